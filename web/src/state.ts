/** What the page knows: who is asked about, what was answered, and what is being asked. */

import { batch, computed, effect, signal } from "@preact/signals";
import {
  ApiError,
  catalogue as fetchCatalogue,
  inWords,
  isAbort,
  loaded,
  recommend,
  storeKey,
  storedKey,
  type Asking,
  type Catalogue,
  type Item,
  type Ranking,
  type RecommendRequest,
} from "./api.ts";

/** How many items are compared when an item is left out; all that the server retrieves. */
const COMPARED = 100;
const STEPS = [10, 20, 50, 100];

export type Phase = "starting" | "loading" | "locked" | "failed" | "ready";

export interface Taken extends Item {
  /** Whether it counts; what is left out stays in the list. */
  on: boolean;
}

export interface Answer {
  ranking: Ranking;
  /** The request, without how many. */
  asked: Asked;
  milliseconds: number;
  /** Where each item stood, and stands, among the first hundred; only while something is left out. */
  moved: { before: Map<string, number>; after: Map<string, number> } | null;
}

export type Asked = Partial<Pick<RecommendRequest, "user" | "history" | "where">>;

export const phase = signal<Phase>("starting");
export const trouble = signal("");
export const keyRefused = signal(false);
export const catalogue = signal<Catalogue | null>(null);

export const taken = signal<Taken[]>([]);
/** A user of the data; empty for a history of one's own. */
export const user = signal("");
export const category = signal("");
export const years = signal<[string, string]>(["", ""]);
export const count = signal(STEPS[0] ?? 10);

export const answer = signal<Answer | null>(null);
export const asking = signal(false);
export const failure = signal<ApiError | null>(null);
/** What the server is waited for, in words. */
export const waiting = signal("");
/** For people who do not see the list change. */
export const announced = signal("");

export const leftOut = computed(() => taken.value.filter((item) => !item.on));
export const more = computed(() => STEPS.find((step) => step > count.value) ?? null);

export const isYear = (text: string): boolean => /^-?\d{1,4}$/.test(text);

const where = computed<NonNullable<RecommendRequest["where"]>>(() => {
  const [first, last] = years.value.map((year) => (isYear(year) ? Number(year) : null));
  const bounds = catalogue.value?.years;
  return {
    ...(category.value ? { categories: category.value } : {}),
    ...(bounds && (first != null || last != null)
      ? { year: [first ?? Math.min(bounds[0], last ?? bounds[0]), last ?? Math.max(bounds[1], first ?? bounds[1])] }
      : {}),
  };
});

/** Wait until the server can answer, then learn what it is about. */
export async function start(): Promise<void> {
  trouble.value = "";
  try {
    if ((await loaded(() => (phase.value = "loading"))) === "failed") {
      trouble.value = "The run cannot be loaded. The server's log says why.";
      phase.value = "failed";
      return;
    }
    catalogue.value = await fetchCatalogue();
    keyRefused.value = false;
    phase.value = "ready";
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      keyRefused.value = storedKey() !== "";
      storeKey("");
      phase.value = "locked";
    } else {
      trouble.value = inWords(error);
      phase.value = "failed";
    }
  }
}

export async function unlock(key: string): Promise<void> {
  storeKey(key.trim());
  await start();
}

export function add(item: Item): void {
  if (taken.value.some((other) => other.item_id === item.item_id)) return;
  taken.value = [...taken.value, { ...item, on: true }];
  announced.value = `Added ${item.title}.`;
}

export function remove(itemId: string): void {
  taken.value = taken.value.filter((item) => item.item_id !== itemId);
}

export function toggle(itemId: string): void {
  taken.value = taken.value.map((item) => (item.item_id === itemId ? { ...item, on: !item.on } : item));
}

export function clear(): void {
  about("", []);
}

export function clearFilters(): void {
  batch(() => {
    category.value = "";
    years.value = ["", ""];
  });
}

/** A history to begin with: what most people took. */
export function example(): void {
  about(
    "",
    (catalogue.value?.popular ?? []).slice(0, 3).map((item) => ({ ...item, on: true })),
  );
}

/** Ask about a user of the data; her history is what the answer says. */
export function askUser(id: string): void {
  about(id, []);
}

/** Somebody else: asked about once, from the top of the list. */
function about(id: string, items: Taken[]): void {
  known = null;
  batch(() => {
    user.value = id;
    taken.value = items;
    count.value = STEPS[0] ?? 10;
  });
}

/** The history of the user that was answered for; null until it is known. */
let known: string | null = null;
/** Where items stand while nothing is left out, by request. */
let baseline: { key: string; ranks: Map<string, number> } | null = null;

/** What is asked: with the items that count, or with all of the list. */
function request(which: "counted" | "all"): Asked {
  const about = Object.keys(where.value).length ? { where: where.value } : {};
  const list = taken.value.filter((item) => which === "all" || item.on).map((item) => item.item_id);
  if (!user.value) return { history: list, ...about };
  const untouched = known === null || (!leftOut.value.length && list.join("\n") === known);
  return untouched ? { user: user.value, ...about } : { user: user.value, history: list, ...about };
}

const ranksOf = (ranking: Ranking): Map<string, number> => new Map(ranking.rows.map((row) => [row.item_id, row.rank]));

async function ranks(asked: Asked, asking: Asking): Promise<Map<string, number>> {
  return ranksOf(await recommend({ ...asked, n: COMPARED, reasons: false }, asking));
}

let under: AbortController | null = null;

async function refresh(): Promise<void> {
  under?.abort();
  const control = (under = new AbortController());
  const patient = {
    signal: control.signal,
    waiting: (seconds: number, why: string) => (waiting.value = patience(seconds, why)),
  };
  const asked = request("counted");
  const all = leftOut.value.length ? request("all") : null;
  const n = count.value;
  asking.value = true;
  const started = performance.now();
  try {
    const ranking = await recommend({ ...asked, n }, patient);
    const milliseconds = performance.now() - started;
    let moved: Answer["moved"] = null;
    if (all) {
      const key = JSON.stringify(all);
      if (baseline?.key !== key) baseline = { key, ranks: await ranks(all, patient) };
      moved = { before: baseline.ranks, after: await ranks(asked, patient) };
    }
    if (user.value && known === null) {
      known = ranking.history.map((item) => item.item_id).join("\n");
      settled = true;
      taken.value = ranking.history.map((item) => ({ ...item, on: true }));
    }
    failure.value = null;
    answer.value = { ranking, asked, milliseconds, moved };
    announced.value = `${ranking.rows.length} recommendations. First: ${ranking.rows[0]?.title ?? "none"}.`;
  } catch (error) {
    if (isAbort(error)) return;
    if (error instanceof ApiError && error.status === 401) {
      storeKey("");
      keyRefused.value = true;
      phase.value = "locked";
    }
    failure.value = error instanceof ApiError ? error : new ApiError(inWords(error), 0, "page");
    // What cannot be answered has no list; what could not be asked leaves the one before.
    if (failure.value.status >= 400 && failure.value.status < 429) answer.value = null;
    announced.value = failure.value.message;
  } finally {
    if (under === control) {
      asking.value = false;
      waiting.value = "";
    }
  }
}

/** Set while a user's history is filled in, which is no reason to ask again. */
let settled = false;

/** What is waited for, in words. */
export function patience(seconds: number, why: string): string {
  if (why === "loading") return "The run is being loaded.";
  const reason = why === "rate_limited" ? "This key has asked often" : "The server is busy";
  return `${reason}. Asking again in ${seconds} s.`;
}

effect(() => {
  // Read, so that a change of them asks again.
  void [taken.value, user.value, where.value, count.value];
  if (phase.value !== "ready") return;
  if (settled) settled = false;
  else void refresh();
});

export const tryAgain = (): void => void refresh();
