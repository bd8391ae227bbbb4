/** Find titles as you type: a combobox with a list, by mouse or keyboard (WAI-ARIA, editable with list autocomplete). */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { inWords, isAbort, search, type Item } from "./api.ts";
import { add, taken } from "./state.ts";
import { Title } from "./text.tsx";

const QUIET = 120;

export function Search(): JSX.Element {
  const text = useSignal("");
  const found = useSignal<Item[] | null>(null);
  const active = useSignal(-1);
  const open = useSignal(false);
  const message = useSignal("");
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();

  useEffect(() => {
    const query = text.value.trim();
    active.value = -1;
    message.value = "";
    if (!query) {
      found.value = null;
      open.value = false;
      return;
    }
    const control = new AbortController();
    const timer = setTimeout(() => {
      search(query, { signal: control.signal }).then(
        (items) => {
          const inHistory = new Set(taken.value.map((item) => item.item_id));
          found.value = items.filter((item) => !inHistory.has(item.item_id));
          open.value = true;
          const number = found.value.length;
          message.value = number ? `${number} ${number === 1 ? "title" : "titles"} found.` : "No such title.";
        },
        (error: unknown) => {
          if (isAbort(error)) return;
          found.value = [];
          open.value = true;
          message.value = inWords(error);
        },
      );
    }, QUIET);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [text.value]);

  useEffect(() => {
    list.current?.children[active.value]?.scrollIntoView({ block: "nearest" });
  }, [active.value]);

  const take = (item: Item): void => {
    add(item);
    text.value = "";
    found.value = null;
    open.value = false;
    input.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const items = found.value ?? [];
    if (event.key === "Escape") {
      if (open.value) open.value = false;
      else text.value = "";
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!items.length) return;
      open.value = true;
      const step = event.key === "ArrowDown" ? 1 : -1;
      const from = active.value < 0 && step < 0 ? 0 : active.value;
      active.value = (from + step + items.length) % items.length;
    } else if (event.key === "Enter") {
      const chosen = items[active.value < 0 ? 0 : active.value];
      if (!open.value || !chosen) return;
      take(chosen);
    } else {
      return;
    }
    event.preventDefault();
  };

  const items = found.value ?? [];
  const shown = open.value && found.value !== null;
  return (
    <div class="search">
      <label for={`${id}-input`}>Add a title</label>
      <div class="field">
        <svg class="lens" viewBox="0 0 20 20" aria-hidden="true">
          <circle cx="9" cy="9" r="5.5" />
          <path d="m13 13 4 4" />
        </svg>
        <input
          ref={input}
          id={`${id}-input`}
          type="text"
          role="combobox"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          maxLength={500}
          placeholder="Type a few letters"
          aria-autocomplete="list"
          aria-expanded={shown}
          aria-controls={`${id}-list`}
          aria-activedescendant={shown && active.value >= 0 ? `${id}-${active.value}` : undefined}
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onFocus={() => (open.value = found.value !== null)}
          onBlur={() => (open.value = false)}
        />
      </div>
      <ul ref={list} id={`${id}-list`} role="listbox" aria-label="Titles" class="options" hidden={!shown || !items.length}>
        {items.map((item, at) => (
          <li
            key={item.item_id}
            id={`${id}-${at}`}
            role="option"
            aria-selected={at === active.value}
            // The field keeps the focus, so that it does not close before the click counts.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(item)}
            onMouseMove={() => (active.value = at)}
          >
            <Title text={item.title} />
          </li>
        ))}
      </ul>
      {shown && !items.length && <p class="options none">{message.value}</p>}
      <p class="visually-hidden" role="status">
        {message.value}
      </p>
    </div>
  );
}
