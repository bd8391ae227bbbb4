/** Whose recommendations: a history that is built here, or a user of the data, each item of which can be left out. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { Search } from "./search.tsx";
import {
  add,
  askUser,
  catalogue,
  category,
  clear,
  example,
  failure,
  isYear,
  leftOut,
  remove,
  taken,
  toggle,
  user,
  years,
  type Taken,
} from "./state.ts";
import { Title } from "./text.tsx";

const SHOWN = 12;

export function Person(): JSX.Element {
  return (
    <aside class="person" aria-label="Who it is for">
      <Search />
      <History />
      <Further />
    </aside>
  );
}

/** What few people need: folded up where it would push the recommendations off the screen. */
function Further(): JSX.Element {
  const rest = (
    <>
      <User />
      <Filters />
    </>
  );
  if (!useNarrow()) return <div class="further">{rest}</div>;
  return (
    <details class="further">
      <summary>Filters, or a user of the data</summary>
      {rest}
    </details>
  );
}

const NARROW = "(max-width: 900px)";

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const changed = (): void => setNarrow(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return narrow;
}

function History(): JSX.Element {
  const all = useSignal(false);
  const items = taken.value;
  const hidden = all.value ? 0 : Math.max(0, items.length - SHOWN);
  if (!items.length) return <Start />;
  return (
    <section class="history" aria-labelledby="history">
      <header>
        <h2 id="history">{user.value ? "History of this user" : "History"}</h2>
        <span class="quiet">oldest first</span>
        <button type="button" class="link" onClick={clear}>
          Clear
        </button>
      </header>
      {hidden > 0 && (
        <button type="button" class="link earlier" onClick={() => (all.value = true)}>
          {hidden} earlier
        </button>
      )}
      <ol start={hidden + 1}>
        {items.slice(hidden).map((item, at) => (
          <Chip key={item.item_id} item={item} place={hidden + at + 1} />
        ))}
      </ol>
      <p class="quiet hint">
        {leftOut.value.length
          ? `What if: ${leftOut.value.length} left out. Arrows show how ranks moved.`
          : "What if? Switch an item off and watch the ranks move."}
      </p>
    </section>
  );
}

/** Do what takes the button away that was pressed, and give the focus to an item of the history, if there is one. */
function follow(change: () => void, place = 1): void {
  change();
  requestAnimationFrame(() => {
    const items = document.querySelectorAll<HTMLElement>(".chip .switch");
    (items[Math.min(place, items.length) - 1] ?? document.querySelector<HTMLElement>(".pill"))?.focus();
  });
}

function Chip({ item, place }: { item: Taken; place: number }): JSX.Element {
  return (
    <li class={item.on ? "chip" : "chip off"}>
      <span class="place" aria-hidden="true">
        {place}
      </span>
      <button
        type="button"
        class="switch"
        role="switch"
        aria-checked={item.on}
        title={item.on ? "Leave out" : "Count again"}
        onClick={() => toggle(item.item_id)}
      >
        <span class="knob" aria-hidden="true" />
        <Title text={item.title} />
      </button>
      <button type="button" class="remove" aria-label={`Remove ${item.title}`} onClick={() => follow(() => remove(item.item_id), place)}>
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="m4.5 4.5 7 7m0-7-7 7" />
        </svg>
      </button>
    </li>
  );
}

function Start(): JSX.Element | null {
  const popular = catalogue.value?.popular ?? [];
  if (!popular.length || user.value) return null;
  return (
    <section class="start" aria-labelledby="start">
      <h2 id="start">Or start from what most people took</h2>
      <ul class="popular">
        {popular.slice(0, 8).map((item) => (
          <li key={item.item_id}>
            <button type="button" class="pill" onClick={() => follow(() => add(item))}>
              <span aria-hidden="true">+ </span>
              <Title text={item.title} />
            </button>
          </li>
        ))}
      </ul>
      {popular.length > 2 && (
        <button type="button" class="primary" onClick={() => follow(example)}>
          Try an example history
        </button>
      )}
    </section>
  );
}

function User(): JSX.Element {
  const id = useId();
  const typed = useSignal("");
  useEffect(() => {
    typed.value = user.value;
  }, [user.value]);
  const refused = failure.value?.code === "unknown_user" ? failure.value.message : "";
  const submit = (event: Event): void => {
    event.preventDefault();
    if (typed.value.trim()) askUser(typed.value.trim());
    else if (user.value) clear();
  };
  return (
    <form class="user" onSubmit={submit}>
      <label for={id}>Or a user of the data</label>
      <div class="field">
        <input
          id={id}
          type="text"
          autocomplete="off"
          spellcheck={false}
          maxLength={500}
          placeholder="User id"
          value={typed.value}
          aria-invalid={refused ? true : undefined}
          aria-describedby={refused ? `${id}-problem` : undefined}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
        <button type="submit">Show</button>
      </div>
      {refused && (
        <p class="problem" id={`${id}-problem`}>
          <bdi>{refused}</bdi>
        </p>
      )}
    </form>
  );
}

function Filters(): JSX.Element | null {
  const id = useId();
  const about = catalogue.value;
  if (!about || (!about.categories.length && !about.years)) return null;
  const year = (at: 0 | 1, name: string): JSX.Element => (
    <input
      type="text"
      inputMode="numeric"
      pattern="-?[0-9]{1,4}"
      maxLength={5}
      aria-label={name}
      placeholder={String(about.years?.[at] ?? "")}
      value={years.value[at]}
      aria-invalid={years.value[at] && !isYear(years.value[at]) ? true : undefined}
      onChange={(event) => {
        const value = event.currentTarget.value.trim();
        years.value = at === 0 ? [value, years.value[1]] : [years.value[0], value];
      }}
    />
  );
  return (
    <section class="filters" aria-label="Filters">
      {about.categories.length > 0 && (
        <div>
          <label for={id}>Category</label>
          <select id={id} value={category.value} onChange={(event) => (category.value = event.currentTarget.value)}>
            <option value="">Any</option>
            {about.categories.map((each) => (
              <option key={each.name} value={each.name}>
                {each.name}
              </option>
            ))}
          </select>
        </div>
      )}
      {about.years && (
        <div role="group" aria-label="Years">
          <span class="label">Years</span>
          <div class="years">
            {year(0, "First year")}
            <span aria-hidden="true">to</span>
            {year(1, "Last year")}
          </div>
        </div>
      )}
    </section>
  );
}
