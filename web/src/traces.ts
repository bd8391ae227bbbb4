/** Traces of the list that is shown: asked for once each, kept until the list changes. */

import { effect, signal, type Signal } from "@preact/signals";
import { inWords, isAbort, think, type Entry, type Fact, type Item, type StepEvent, type TaskEvent } from "./api.ts";
import { announced, answer, patience, type Answer } from "./state.ts";

export type Thinker = "explain" | "teach";

export interface Trace {
  state: "running" | "done" | "failed";
  entries: Entry[];
  facts: Map<number, Fact>;
  /** Each step as it was written, by its tag. */
  raw: [tag: string, text: string][];
  candidates: TaskEvent["candidates"];
  ranking: Item[];
  started: number;
  /** Milliseconds from the request to the last event. */
  took: number;
  message: string;
}

/** Items that a trace ranks: as many as think mode takes up by itself. */
const MOST = 20;

const traces = new Map<string, Signal<Trace>>();
let control = new AbortController();
let of: Answer | null = null;

effect(() => {
  if (answer.value === of) return;
  of = answer.value;
  control.abort();
  control = new AbortController();
  traces.clear();
});

/** The items whose ranking is explained: the first of the list, and the one that is asked about. */
export function candidatesOf(found: Answer, itemId?: string): string[] {
  const ids = found.ranking.rows.map((row) => row.item_id);
  const first = ids.slice(0, MOST);
  return itemId === undefined || first.includes(itemId) ? first : [...first.slice(0, MOST - 1), itemId];
}

/** Why there is nothing to think about; empty where there is. */
export function thinkable(found: Answer): string {
  if (!found.ranking.history.length) return "Without a history there is nothing to think about. Add an item first.";
  return found.ranking.rows.length < 2 ? "There is one item only, so there is nothing to rank." : "";
}

/** A trace over these items; the same one whenever it is asked for again. */
export function traceOf(by: Thinker, found: Answer, candidates: string[]): Signal<Trace> {
  const name = `${by} ${candidates.join("\n")}`;
  let trace = traces.get(name);
  if (!trace) {
    trace = signal<Trace>({
      state: "running",
      entries: [],
      facts: new Map(),
      raw: [],
      candidates: [],
      ranking: [],
      started: performance.now(),
      took: 0,
      message: "",
    });
    traces.set(name, trace);
    void run(by, found, candidates, trace);
  }
  return trace;
}

export function forget(by: Thinker, candidates: string[]): void {
  traces.delete(`${by} ${candidates.join("\n")}`);
}

async function run(by: Thinker, found: Answer, candidates: string[], shown: Signal<Trace>): Promise<void> {
  const { where: _, ...about } = found.asked;
  const body = { ...about, candidates };
  let trace = shown.value;
  let frame = 0;
  // Drawn once a frame: steps may come faster, and drawing must not hold up the clock.
  const change = (changes: Partial<Trace>): void => {
    trace = { ...trace, ...changes, took: performance.now() - trace.started };
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      shown.value = trace;
    });
  };
  try {
    const stream = think(by, body, {
      signal: control.signal,
      waiting: (seconds, why) => change({ message: patience(seconds, why) }),
    });
    for await (const [event, content] of stream) {
      if (event === "task") {
        const task = content as TaskEvent;
        change({ candidates: task.candidates, entries: task.entries, message: "" });
      } else {
        change(after(trace, event, content as StepEvent));
      }
    }
    change({ state: "done" });
    announced.value = `The ${by === "explain" ? "student" : "teacher"} is done.`;
  } catch (error) {
    if (!isAbort(error)) change({ state: "failed", message: inWords(error) });
  }
}

function after(trace: Trace, tag: string, step: StepEvent): Partial<Trace> {
  const facts = new Map(trace.facts);
  for (const fact of step.facts) facts.set(fact.number, fact);
  const named = new Map(trace.candidates.map((item) => [item.item_id, item]));
  const ranking = (step.ranking ?? []).flatMap((id) => named.get(id) ?? []);
  return {
    entries: [...trace.entries.slice(0, step.kept), ...step.entries],
    facts,
    raw: [...trace.raw, [tag, step.text]],
    ...(ranking.length ? { ranking } : {}),
  };
}
