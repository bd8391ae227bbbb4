/** Titles and sentences of strangers: text in an element of its own, whatever it holds or whichever way it reads. */

import type { JSX } from "preact";
import type { Figures } from "./api.ts";

/** A title; `<bdi>` keeps its direction, and characters that would turn it, to itself. */
export function Title({ text, class: name = "" }: { text: string; class?: string }): JSX.Element {
  return (
    <bdi class={`title ${name}`} title={text.length > 60 ? short(text, 300) : undefined}>
      {text}
    </bdi>
  );
}

export function short(text: string, most: number): string {
  const letters = Array.from(text.slice(0, 4 * most));
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : letters.join("");
}

/** A sentence, the titles in it each in an element of its own; figures are marked where asked. */
export function Sentence(props: { text: string; figures?: Figures | null | undefined; marked?: boolean }): JSX.Element {
  const titles = [props.figures?.anchor?.title, props.figures?.item?.title].filter((title) => title !== undefined);
  return <>{pieces(props.text, [...new Set(titles)], props.marked ?? false)}</>;
}

function pieces(text: string, titles: string[], marked: boolean): (JSX.Element | string)[] {
  const [title, ...others] = titles;
  if (title) {
    return text
      .split(title)
      .flatMap((part, at) => [...(at ? [<Title text={title} />] : []), ...pieces(part, others, marked)]);
  }
  if (!marked) return [text];
  return text
    .split(/(\d+(?:[.,]\d+)*%?)/)
    .map((part, at) => (at % 2 ? <mark class="figure">{part}</mark> : part));
}
