/** Teacher beside student: the same task, both written at once, each with its clock. */

import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Answer } from "./state.ts";
import { Title } from "./text.tsx";
import { Clock, TraceView } from "./trace.tsx";
import { candidatesOf, forget, thinkable, traceOf, type Thinker, type Trace } from "./traces.ts";

const WHO: [by: Thinker, name: string, what: string, other: string][] = [
  ["explain", "Student", "One small language model, which writes the whole trace itself", "teacher"],
  ["teach", "Teacher", "Seven agents that plan, ask tools and reflect", "student"],
];

export function Compare({ answer }: { answer: Answer }): JSX.Element {
  const candidates = candidatesOf(answer);
  const nothing = thinkable(answer);
  if (nothing) return <p class="note">{nothing}</p>;
  return <Pair answer={answer} candidates={candidates} />;
}

function Pair({ answer, candidates }: { answer: Answer; candidates: string[] }): JSX.Element {
  const [, again] = useState(0);
  const traces = WHO.map(([by]) => traceOf(by, answer, candidates));
  return (
    <section aria-labelledby="compare">
      <h2 id="compare" class="visually-hidden">
        Teacher beside student
      </h2>
      <p class="quiet lead">
        Both rank the same {candidates.length} items for the same history, and start at the same moment.
      </p>
      <div class="pair">
        {WHO.map(([by, name, what, beside], at) => {
          const trace = traces[at] as Signal<Trace>;
          return (
            <article key={by} class={`thinker ${by}`} aria-label={name}>
              <header>
                <h3>{name}</h3>
                <Clock trace={trace.value} />
              </header>
              <p class="quiet">{what}</p>
              <Ranks trace={trace.value} other={(traces[1 - at] as Signal<Trace>).value} beside={beside} />
              <TraceView
                trace={trace}
                retry={() => {
                  forget(by, candidates);
                  again((times) => times + 1);
                }}
              />
            </article>
          );
        })}
      </div>
    </section>
  );
}

/** The ranking that a trace ended with, and where the other one put each item. */
function Ranks(props: { trace: Trace; other: Trace; beside: string }): JSX.Element | null {
  const { trace, other, beside } = props;
  if (!trace.ranking.length) return null;
  const elsewhere = new Map(other.ranking.map((item, at) => [item.item_id, at + 1]));
  return (
    <details class="ranks" open>
      <summary>Ranking</summary>
      {other.ranking.length > 0 && <p class="quiet">{beside}'s place, where it differs</p>}
      <ol>
        {trace.ranking.map((item, at) => {
          const there = elsewhere.get(item.item_id);
          return (
            <li key={item.item_id}>
              <span class="rank">{at + 1}</span>
              <Title text={item.title} />
              {there !== undefined && there !== at + 1 && (
                <span class="quiet">
                  <span class="visually-hidden">{beside}: </span>
                  {there}
                </span>
              )}
            </li>
          );
        })}
      </ol>
    </details>
  );
}
