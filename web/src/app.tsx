/** The page: who it is for on one side, what comes of it on the other. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useId } from "preact/hooks";
import { lendKey, type Catalogue } from "./api.ts";
import { Compare } from "./compare.tsx";
import { Person } from "./history.tsx";
import { Results, Summary } from "./results.tsx";
import {
  announced,
  answer,
  asking,
  catalogue,
  clearFilters,
  failure,
  keyRefused,
  phase,
  start,
  taken,
  trouble,
  tryAgain,
  unlock,
  user,
  waiting,
} from "./state.ts";
import { Title } from "./text.tsx";

type View = "list" | "compare";
const VIEWS: [View, string][] = [
  ["list", "Recommendations"],
  ["compare", "Teacher beside student"],
];
const grouped = new Intl.NumberFormat("en");

export function App(): JSX.Element {
  return (
    <>
      <Top about={catalogue.value} />
      {phase.value === "ready" ? <Ready /> : <Gate />}
      <p class="visually-hidden" role="status" aria-live="polite">
        {announced.value}
      </p>
    </>
  );
}

function Top({ about }: { about: Catalogue | null }): JSX.Element {
  return (
    <header class="top">
      <a class="brand" href="/">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M7 23 15 8M15 8l10 6M7 23l18-9" />
          <circle cx="7" cy="23" r="3.6" />
          <circle cx="15" cy="8" r="3.6" />
          <circle cx="25" cy="14" r="3.6" />
        </svg>
        starrec
      </a>
      {about && (
        <p class="quiet about">
          <Title text={about.dataset} /> · {grouped.format(about.items)} items · {grouped.format(about.people)} people
        </p>
      )}
      {about &&
        (about.report ? (
          <a class="report" href="/report" target="_blank" rel="noopener" onClick={lendKey}>
            Report<span class="visually-hidden"> of this run, in a new tab</span>
          </a>
        ) : (
          <span class="report quiet" title="`starrec evaluate` writes one.">
            No report yet
          </span>
        ))}
    </header>
  );
}

function Ready(): JSX.Element {
  const view = useSignal<View>("list");
  const found = answer.value;
  const nobody = !taken.value.length && !user.value;
  return (
    <main class="page">
      <Person />
      <div class="answers">
        {nobody && (
          <div class="hero">
            <h1>What would you like next?</h1>
            <p class="quiet">
              Add a few titles, in the order in which they were taken. Each recommendation says why, and every figure
              can be counted again.
            </p>
          </div>
        )}
        {!nobody && <h1 class="visually-hidden">Recommendations</h1>}
        <div class="bar">
          <Tabs view={view.value} choose={(chosen) => (view.value = chosen)} />
          <Summary />
        </div>
        {catalogue.value?.why_served && <p class="note">{catalogue.value.why_served}</p>}
        <Trouble />
        <div role="tabpanel" id={`panel-${view.value}`} aria-labelledby={`tab-${view.value}`} aria-busy={asking.value}>
          {found && (view.value === "list" ? <Results answer={found} /> : <Compare answer={found} />)}
          {!found && !failure.value && <Skeleton />}
        </div>
      </div>
    </main>
  );
}

function Tabs({ view, choose }: { view: View; choose: (view: View) => void }): JSX.Element {
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const next = view === "list" ? "compare" : "list";
    choose(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="What to show" onKeyDown={onKeyDown}>
      {VIEWS.map(([name, label]) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`tab-${name}`}
          aria-selected={view === name}
          aria-controls={view === name ? `panel-${name}` : undefined}
          tabIndex={view === name ? 0 : -1}
          onClick={() => choose(name)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

function Trouble(): JSX.Element | null {
  const error = failure.value;
  if (waiting.value) return <p class="note">{waiting.value}</p>;
  if (!error || error.code === "unknown_user") return null;
  return (
    <div class="note problem" role="alert">
      <p>
        <bdi>{error.message}</bdi>
      </p>
      {error.code === "nothing_left" ? (
        <button type="button" onClick={clearFilters}>
          Clear the filters
        </button>
      ) : (
        <button type="button" onClick={tryAgain}>
          Try again
        </button>
      )}
    </div>
  );
}

function Skeleton(): JSX.Element {
  return (
    <ol class="rows skeleton" aria-hidden="true">
      {Array.from({ length: 6 }, (_, at) => (
        <li key={at} class="row">
          <div class="bone wide" />
          <div class="bone" />
        </li>
      ))}
    </ol>
  );
}

/** What stands there until the page can ask: loading, a key, or what is wrong. */
function Gate(): JSX.Element {
  switch (phase.value) {
    case "locked":
      return <Key />;
    case "failed":
      return (
        <main class="gate">
          <h1>Not available</h1>
          <p role="alert">{trouble.value}</p>
          <button type="button" class="primary" onClick={() => void start()}>
            Try again
          </button>
        </main>
      );
    default:
      return (
        <main class="gate" aria-busy="true">
          <h1>{phase.value === "loading" ? "The run is being loaded" : "One moment"}</h1>
          <p class="quiet">This takes some seconds after the server has started.</p>
          <div class="progress" />
        </main>
      );
  }
}

function Key(): JSX.Element {
  const id = useId();
  const typed = useSignal("");
  return (
    <main class="gate">
      <h1>This server asks for a key</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.value.trim()) void unlock(typed.value);
        }}
      >
        <label for={id}>API key</label>
        <div class="field">
          <input
            id={id}
            type="password"
            autocomplete="off"
            placeholder="starrec_…"
            value={typed.value}
            aria-invalid={keyRefused.value ? true : undefined}
            aria-describedby={keyRefused.value ? `${id}-problem` : undefined}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
          <button type="submit" class="primary">
            Open
          </button>
        </div>
        {keyRefused.value && (
          <p class="problem" role="alert" id={`${id}-problem`}>
            This key is not one of this server's. Is it complete, and not revoked?
          </p>
        )}
        <p class="quiet">
          It stays in this tab until you close it. Whoever runs the server makes one with{" "}
          <code>starrec keys add NAME</code>.
        </p>
      </form>
    </main>
  );
}
