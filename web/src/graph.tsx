/** The graph behind a figure: the item it starts from, the item it is about, and what else goes with the first. */

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { evidence, inWords, isAbort, type Evidence, type Figures } from "./api.ts";
import { Sentence, short, Title } from "./text.tsx";

interface Leaf {
  title: string;
  people: number;
  /** What stands on the line to it. */
  label: string;
  /** `besides`: counted otherwise, so its line has no width to compare. */
  kind: "own" | "alike" | "besides";
}

const OTHERS = 4;
const ROW = 48;

const grouped = new Intl.NumberFormat("en");

/** What a fact starts from, where that is no item. */
function origin(figures: Figures): string {
  switch (figures.kind) {
    case "user_cf":
      return `${grouped.format(figures.base)} people whose history is most alike`;
    case "popularity":
      return `All ${grouped.format(figures.base)} people`;
    case "trend":
      return `${grouped.format(figures.base)} choices of the last days`;
    case "category":
    case "taste":
    case "rating":
    case "breadth":
    case "recency":
      return `The last ${grouped.format(figures.base)} of the history`;
    default:
      return figures.anchor?.title ?? "The history";
  }
}

/** The unit of a fact's count. */
function counted(figures: Figures): string {
  const both = grouped.format(figures.both);
  switch (figures.kind) {
    case "category":
      return `${both} share a category`;
    case "semantic":
      return figures.base ? `${both} words shared` : "read alike";
    case "taste":
    case "rating":
      return both;
    case "breadth":
      return `${both} categories`;
    case "recency":
      return `${both} days`;
    case "trend":
      return `${both} choices`;
    default:
      return `${both} people`;
  }
}

/** What was counted as the fact was, and so may be compared with it line by line. */
const ALIKE: Partial<Record<string, (found: Evidence) => Evidence["then"]>> = {
  item_cf: (found) => found.together,
  ease: (found) => found.together,
  contrary: (found) => found.together,
  transition: (found) => found.then,
};

/** The item that a fact is about, then others that go with the one it starts from. */
function leaves(figures: Figures, found: Evidence | null): Leaf[] {
  const own = figures.item
    ? { title: figures.item.title, people: figures.both, label: counted(figures), kind: "own" as const }
    : { title: counted(figures), people: figures.both, label: "", kind: "own" as const };
  if (!figures.anchor || !found) return [own];
  const alike = ALIKE[figures.kind]?.(found);
  const others = (alike ?? found.together)
    .filter((other) => other.item_id !== figures.item?.item_id)
    .slice(0, OTHERS)
    .map((other) => ({
      title: other.title,
      people: other.people,
      label: `${grouped.format(other.people)} ${alike ? "people" : "took both"}`,
      kind: alike ? ("alike" as const) : ("besides" as const),
    }));
  return [own, ...others];
}

export function Graph({ sentence, figures }: { sentence: string; figures: Figures }): JSX.Element {
  const [found, setFound] = useState<Evidence | null>(null);
  const [message, setMessage] = useState("");
  const anchor = figures.anchor?.item_id;
  useEffect(() => {
    if (anchor === undefined) return;
    const control = new AbortController();
    evidence(anchor, { signal: control.signal }).then(setFound, (error: unknown) => {
      if (!isAbort(error)) setMessage(inWords(error));
    });
    return () => control.abort();
  }, [anchor]);
  const shown = useMemo(() => leaves(figures, found), [figures, found]);
  return (
    <figure class="graph">
      <Drawing root={origin(figures)} leaves={shown} />
      <figcaption>
        <Sentence text={sentence} figures={figures} marked />
        {shown.length > 1 && figures.anchor && (
          <span class="quiet">
            {" "}
            In grey: what goes with <Title text={figures.anchor.title} /> as well.
          </span>
        )}
        {message && <span class="problem"> {message}</span>}
      </figcaption>
    </figure>
  );
}

function Drawing({ root, leaves }: { root: string; leaves: Leaf[] }): JSX.Element {
  const narrow = matchMedia("(max-width: 620px)").matches;
  const [width, box, letters] = narrow ? [340, 118, 17] : [600, 190, 27];
  const height = Math.max(1, leaves.length) * ROW + 8;
  const middle = height / 2;
  const most = Math.max(...leaves.map((leaf) => (leaf.kind === "besides" ? 0 : leaf.people)), 1);
  const said = leaves.map((leaf) => `${short(leaf.title, 80)}${leaf.label ? `: ${leaf.label}` : ""}`).join("; ");
  return (
    <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`From ${short(root, 80)} to ${said}.`}>
      {leaves
        .map((leaf, at) => {
          const y = at * ROW + ROW / 2 + 4;
          const [from, to] = [box, width - box];
          const half = (from + to) / 2;
          return (
            <g class={leaf.kind === "own" ? "own" : `other ${leaf.kind}`} key={leaf.title}>
              <path
                class="line"
                d={`M${from} ${middle} C${half} ${middle} ${half} ${y} ${to} ${y}`}
                stroke-width={leaf.kind === "besides" ? 1.5 : (1 + 5 * (leaf.people / most)).toFixed(1)}
              />
              <Box x={to} y={y} width={box} title={leaf.title} letters={letters} />
              {leaf.label && (
                <text class="label" x={to - 8} y={y - 7} text-anchor="end">
                  {narrow && leaf.kind !== "own" ? grouped.format(leaf.people) : leaf.label}
                </text>
              )}
            </g>
          );
        })
        .reverse()}
      <g class="root">
        <Box x={0} y={middle} width={box} title={root} letters={letters} />
      </g>
    </svg>
  );
}

function Box(props: { x: number; y: number; width: number; title: string; letters: number }): JSX.Element {
  const lines = wrapped(props.title, props.letters);
  const first = props.y + (lines.length > 1 ? -3 : 4);
  return (
    <g>
      <rect x={props.x + 0.5} y={props.y - 18} width={props.width - 1} height={36} rx={8} />
      <text y={first} text-anchor="middle">
        {lines.map((line, at) => (
          <tspan key={at} x={props.x + props.width / 2} dy={at ? 14 : 0}>
            {line}
          </tspan>
        ))}
      </text>
      <title>{short(props.title, 300)}</title>
    </g>
  );
}

/** A text in one line, or in two. */
function wrapped(text: string, letters: number): string[] {
  const whole = short(text, 2 * letters);
  if (whole.length <= letters) return [whole];
  const space = whole.lastIndexOf(" ", letters);
  const cut = space > letters / 3 ? space : letters;
  return [whole.slice(0, cut), short(whole.slice(cut).trim(), letters)];
}
