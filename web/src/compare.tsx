/** Teacher beside student: the same task, both written at once, each with its clock. */

import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Answer } from "./state.ts";
import { Title } from "./text.tsx";
import { Clock, TraceView } from "./trace.tsx";
import { candidatesOf, forget, traceOf, type Thinker, type Trace } from "./traces.ts";

const WHO: [Thinker, string, string][] = [
  ["explain", "Student", "One small language model, which writes the whole trace itself"],
  ["teach", "Teacher", "Seven agents that plan, ask tools and reflect"],
];

export function Compare({ answer }: { answer: Answer }): JSX.Element {
  const [, again] = useState(0);
  const candidates = candidatesOf(answer);
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
        {WHO.map(([by, name, what], at) => {
          const trace = traces[at] as Signal<Trace>;
          return (
            <article key={by} class={`thinker ${by}`} aria-label={name}>
              <header>
                <h3>{name}</h3>
                <Clock trace={trace.value} />
              </header>
              <p class="quiet">{what}</p>
              <Ranks trace={trace.value} other={(traces[1 - at] as Signal<Trace>).value} />
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
function Ranks({ trace, other }: { trace: Trace; other: Trace }): JSX.Element | null {
  if (!trace.ranking.length) return null;
  const elsewhere = new Map(other.ranking.map((item, at) => [item.item_id, at + 1]));
  return (
    <details class="ranks" open>
      <summary>Ranking</summary>
      <ol>
        {trace.ranking.map((item, at) => {
          const there = elsewhere.get(item.item_id);
          return (
            <li key={item.item_id}>
              <span class="rank">{at + 1}</span>
              <Title text={item.title} />
              {there !== undefined && there !== at + 1 && (
                <span class="quiet" title="Where the other one puts it">
                  <span class="visually-hidden">the other one: </span>
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
