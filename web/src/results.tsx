/** The recommendations, each with its reason; ranks that move, and why an item stands where it stands. */

import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Row } from "./api.ts";
import { Graph } from "./graph.tsx";
import { answer, asking, count, leftOut, more, type Answer } from "./state.ts";
import { Sentence, Title } from "./text.tsx";
import { Clock, TraceView } from "./trace.tsx";
import { candidatesOf, forget, thinkable, traceOf, type Trace } from "./traces.ts";

const MOVE: KeyframeAnimationOptions = { duration: 420, easing: "cubic-bezier(.2,.7,.2,1)" };

export function Results({ answer: found }: { answer: Answer }): JSX.Element {
  const [why, setWhy] = useState<string | null>(null);
  const list = useRef<HTMLOListElement>(null);
  useMoves(list, found);
  const rows = found.ranking.rows;
  return (
    <section aria-label="Recommendations">
      {found.ranking.notes.map((note) => (
        <p key={note} class="note">
          <bdi>{note}</bdi>
        </p>
      ))}
      <ol class={asking.value ? "rows stale" : "rows"} ref={list}>
        {rows.map((row) => (
          <Recommended
            key={row.item_id}
            row={row}
            answer={found}
            open={why === row.item_id}
            flip={() => setWhy(why === row.item_id ? null : row.item_id)}
          />
        ))}
      </ol>
      <Dropped answer={found} />
      {more.value !== null && rows.length === count.value && (
        <button type="button" class="more" onClick={() => (count.value = more.value ?? count.value)}>
          Show {more.value}
        </button>
      )}
    </section>
  );
}

function Recommended(props: { row: Row; answer: Answer; open: boolean; flip: () => void }): JSX.Element {
  const { row, answer: found, open } = props;
  const panel = `why-${row.rank}`;
  return (
    <li class="row">
      <div class="head">
        <span class="rank">{row.rank}</span>
        <div class="what">
          <h2>
            <Title text={row.title} />
          </h2>
          {row.reason && (
            <p class="reason">
              <Sentence text={row.reason.text} figures={row.reason.figures} />
            </p>
          )}
        </div>
        <Move row={row} answer={found} />
        <button type="button" class="why" aria-expanded={open} aria-controls={panel} onClick={props.flip}>
          Why?<span class="visually-hidden"> {row.title.slice(0, 100)}</span>
        </button>
      </div>
      <div id={panel} class="panel" hidden={!open}>
        {open && <Why row={row} answer={found} />}
      </div>
    </li>
  );
}

/** The counts of the reason at once, then the student's trace as it is written. */
function Why({ row, answer: found }: { row: Row; answer: Answer }): JSX.Element {
  const candidates = candidatesOf(found, row.item_id);
  return (
    <>
      {row.reason &&
        (row.reason.figures ? (
          <Graph sentence={row.reason.counts} figures={row.reason.figures} />
        ) : (
          <p>
            <Sentence text={row.reason.counts} />
          </p>
        ))}
      {thinkable(found) === "" && <Thought row={row} answer={found} candidates={candidates} />}
    </>
  );
}

function Thought(props: { row: Row; answer: Answer; candidates: string[] }): JSX.Element {
  const { row, answer: found, candidates } = props;
  const [, again] = useState(0);
  const trace = traceOf("explain", found, candidates);
  return (
    <>
      <header class="thought">
        <h3>How the student ranks these {candidates.length}, thinking aloud</h3>
        <Clock trace={trace.value} />
      </header>
      <Aloud rank={row.rank} itemId={row.item_id} trace={trace.value} system={found.ranking.system} />
      <TraceView
        trace={trace}
        about={row.item_id}
        retry={() => {
          forget("explain", candidates);
          again((times) => times + 1);
        }}
      />
    </>
  );
}

/** Where a trace puts the item, if that is another place than the list's. */
function Aloud(props: { rank: number; itemId: string; trace: Trace; system: string }): JSX.Element | null {
  const place = props.trace.ranking.findIndex((item) => item.item_id === props.itemId) + 1;
  if (!place || place === props.rank) return null;
  const list = props.system === "star" ? "the student's answer without thinking" : `ranked by ${props.system}`;
  return (
    <p class="quiet aloud">
      Thinking aloud puts it in place {place}; the list above is {list}.
    </p>
  );
}

/** How far an item moved since nothing was left out. */
function Move({ row, answer: found }: { row: Row; answer: Answer }): JSX.Element | null {
  if (!found.moved) return null;
  const before = found.moved.before.get(row.item_id);
  if (before === undefined) return <span class="move up">new</span>;
  if (before === row.rank) return <span class="move same">unmoved</span>;
  const up = before > row.rank;
  return (
    <span class={up ? "move up" : "move down"}>
      <span aria-hidden="true">
        {up ? "▲" : "▼"} {before} → {row.rank}
      </span>
      <span class="visually-hidden">
        {up ? "up" : "down"} from {before} to {row.rank}
      </span>
    </span>
  );
}

/** What stood in the list and does not any more. */
function Dropped({ answer: found }: { answer: Answer }): JSX.Element | null {
  if (!found.moved || !leftOut.value.length) return null;
  const n = found.ranking.rows.length;
  const titles = lastTitles;
  const gone = [...found.moved.before]
    .filter(([id, rank]) => rank <= n && (found.moved?.after.get(id) ?? Infinity) > n)
    .flatMap(([id, rank]) => {
      const title = titles.get(id);
      return title === undefined ? [] : [{ id, title, rank, now: found.moved?.after.get(id) }];
    });
  if (!gone.length) return null;
  return (
    <section class="dropped" aria-labelledby="dropped">
      <h2 id="dropped">No longer among the first {n}</h2>
      <ul>
        {gone.map((item) => (
          <li key={item.id}>
            <Title text={item.title} />{" "}
            <span class="move down">
              {item.rank} → {item.now ?? "below 100"}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Titles that were shown, for those that left the list. */
const lastTitles = new Map<string, string>();

/** Rows glide from where they were; at once for whoever asked for less motion. */
function useMoves(list: { current: HTMLOListElement | null }, found: Answer): void {
  // While this is computed the screen still shows the list before.
  const before = tops(list.current);
  useLayoutEffect(() => {
    for (const row of found.ranking.rows) lastTitles.set(row.item_id, row.title);
    if (!before.size || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const [element, top] of tops(list.current)) {
      const was = before.get(element);
      if (was === undefined) element.animate([{ opacity: 0 }, { opacity: 1 }], MOVE);
      else if (was !== top) element.animate([{ transform: `translateY(${was - top}px)` }, { transform: "none" }], MOVE);
    }
  }, [found]);
}

/** Where each row stands; rows are kept as long as their item is shown. */
function tops(list: HTMLOListElement | null): Map<HTMLElement, number> {
  const rows = [...(list?.children ?? [])].filter((row) => row instanceof HTMLElement);
  return new Map(rows.map((row) => [row, row.offsetTop]));
}

/** What ranked, and how long it took. */
export function Summary(): JSX.Element | null {
  const found = answer.value;
  if (!found) return null;
  const { rows, system } = found.ranking;
  const who = system === "star" ? "the student" : system;
  return (
    <p class="summary quiet">
      {rows.length} items, ranked by {who} in {Math.round(found.milliseconds)} ms
    </p>
  );
}
