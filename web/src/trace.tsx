/** A trace as a person reads it: who asked what, what came back, what decided; each figure leads to its graph. */

import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import type { Entry, Fact, Part } from "./api.ts";
import { Graph } from "./graph.tsx";
import { Title } from "./text.tsx";
import type { Trace } from "./traces.ts";

/** Time since a trace was asked for; stands still when it is done. */
export function Clock({ trace }: { trace: Trace }): JSX.Element {
  const [now, setNow] = useState(performance.now());
  const running = trace.state === "running";
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(performance.now()), 50);
    return () => clearInterval(timer);
  }, [running]);
  const milliseconds = Math.max(0, running ? now - trace.started : trace.took);
  const shown = milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
  return (
    <span class={`clock ${running ? "running" : ""}`} role="timer">
      {shown}
    </span>
  );
}

export function TraceView(props: {
  trace: Signal<Trace>;
  /** The item that is asked about, which is marked. */
  about?: string;
  retry: () => void;
}): JSX.Element {
  const trace = props.trace.value;
  const [raw, setRaw] = useState(false);
  return (
    <div class="trace" aria-busy={trace.state === "running"}>
      {raw ? (
        <Raw trace={trace} />
      ) : (
        <ol class="steps">
          {trace.entries.map((entry, at) => (
            <Step key={at} entry={entry} facts={trace.facts} about={props.about} />
          ))}
        </ol>
      )}
      {trace.state === "running" && <p class="quiet thinking">{trace.message || "Thinking"}</p>}
      {trace.state === "failed" && (
        <p class="problem" role="alert">
          {trace.message}{" "}
          <button type="button" class="link" onClick={props.retry}>
            Ask again
          </button>
        </p>
      )}
      {trace.raw.length > 0 && (
        <button type="button" class="link" aria-pressed={raw} onClick={() => setRaw(!raw)}>
          {raw ? "As people read it" : "As it was written"}
        </button>
      )}
    </div>
  );
}

function Step(props: { entry: Entry; facts: Map<number, Fact>; about: string | undefined }): JSX.Element {
  const { entry, facts, about } = props;
  return (
    <li class={entry.who === "What decided" ? "step decided" : "step"}>
      <span class="who">{entry.who}</span>
      <Line parts={entry.text} facts={facts} about={about} />
      {entry.lines.length > 0 && (
        <ul class="lines">
          {entry.lines.map((line, at) => (
            <li key={at}>
              <Line parts={line} facts={facts} about={about} />
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

/** Parts as text; a citation is a button that unfolds the graph behind it, and so are its figures for a mouse. */
function Line(props: { parts: Part[]; facts: Map<number, Fact>; about: string | undefined }): JSX.Element {
  const [open, setOpen] = useState<number | null>(null);
  const id = useId();
  const flip = (number: number): void => setOpen(open === number ? null : number);
  const fact = open === null ? undefined : props.facts.get(open);
  return (
    <>
      <span class="said">
        {props.parts.map((part, at) => {
          if (part.item_id !== undefined) {
            return <Title key={at} text={part.text} class={part.item_id === props.about ? "item about" : "item"} />;
          }
          const number = part.fact;
          if (number === undefined) return part.text;
          const cite = part.text.startsWith("#");
          // Of what too few people did there are no counts to show.
          if (!props.facts.has(number)) return cite ? <span class="cite none">{part.text}</span> : part.text;
          if (!cite) {
            return (
              <mark key={at} class="figure" onClick={() => flip(number)}>
                {part.text}
              </mark>
            );
          }
          return (
            <button
              key={at}
              type="button"
              class="cite"
              aria-expanded={open === number}
              aria-controls={id}
              aria-label={`Figure ${number}: show the graph behind it`}
              onClick={() => flip(number)}
            >
              {part.text}
            </button>
          );
        })}
      </span>
      <div id={id} class="behind">
        {fact && <Graph sentence={fact.sentence} figures={fact.figures} />}
      </div>
    </>
  );
}

/** The record: each step between its tags, labels and all. */
function Raw({ trace }: { trace: Trace }): JSX.Element {
  return (
    <div class="raw" role="region" aria-label="The trace as it was written" tabIndex={0}>
      {trace.candidates.length > 0 && (
        <p class="quiet">
          {trace.candidates.map((item, at) => (
            <span key={at}>
              {item.label} <Title text={item.title} />{" "}
            </span>
          ))}
        </p>
      )}
      {trace.raw.map(([tag, text], at) => (
        <p key={at}>
          <span class="tag">{`<${tag}>`}</span>
          <bdi>{text}</bdi>
          <span class="tag">{`</${tag}>`}</span>
        </p>
      ))}
    </div>
  );
}
