/** The server's API: requests with the key, errors in words, and traces as they stream. */

import type { components } from "./schema.d.ts";

type Schemas = components["schemas"];

export type Item = Schemas["ItemBody"];
export type Catalogue = Schemas["CatalogueBody"];
export type Ranking = Schemas["RankingBody"];
export type Row = Schemas["RowBody"];
export type Figures = Schemas["FiguresBody"];
export type Evidence = Schemas["EvidenceBody"];
export type RecommendRequest = Schemas["RecommendRequest"];
export type ExplainRequest = Schemas["ExplainRequest"];

/** A piece of a paragraph: words, an item, or a citation or figure of a fact. */
export interface Part {
  text: string;
  item_id?: string;
  fact?: number;
}

/** A paragraph of a trace. */
export interface Entry {
  who: string;
  text: Part[];
  lines: Part[][];
}

export interface Fact {
  number: number;
  sentence: string;
  figures: Figures;
}

export interface TaskEvent {
  candidates: (Item & { label: string })[];
  entries: Entry[];
}

export interface StepEvent {
  text: string;
  written: boolean;
  /** How many of the entries before stay. */
  kept: number;
  entries: Entry[];
  facts: Fact[];
  /** Ids, best first; of the last step. */
  ranking?: string[];
}

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly near: Item[] = [],
    /** Seconds after which it is worth asking again. */
    readonly wait = 0,
  ) {
    super(message);
  }
}

const KEY = "starrec_key";
const MOST_WAITS = 4;
const POLL = 700;
const LONGEST_WAIT = 30;

export function storedKey(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

export function storeKey(key: string): void {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** Lend the key to the report's path for a moment: a link that is followed sends no header. */
export function lendKey(): void {
  const key = storedKey();
  const secure = location.protocol === "https:" ? "; secure" : "";
  if (key) document.cookie = `${KEY}=${key}; path=/report; max-age=20; samesite=strict${secure}`;
}

export interface Asking {
  signal?: AbortSignal;
  /** Called when the server wants to be asked again later. */
  waiting?: (seconds: number, why: string) => void;
}

/** Whether the run is loaded; a server that cannot be reached is an error. */
async function ready(signal?: AbortSignal): Promise<"ok" | "loading" | "failed"> {
  const answer = await reached("/readyz", signal ? { signal } : {});
  const status = (await answer.json()) as Schemas["StatusBody"];
  // Without its database it ranks all the same.
  return status.parts?.["run"] === "ok" ? "ok" : status.status === "ok" ? "ok" : runStatus(status.parts?.["run"]);
}

function runStatus(run: string | undefined): "loading" | "failed" {
  return run === "failed" ? "failed" : "loading";
}

export const catalogue = (asking?: Asking): Promise<Catalogue> => get("/v1/catalogue", asking);

export async function search(query: string, asking?: Asking): Promise<Item[]> {
  const found = await get<Schemas["ItemsBody"]>(`/v1/items?n=8&query=${encodeURIComponent(query)}`, asking);
  return found.items;
}

export const evidence = (itemId: string, asking?: Asking): Promise<Evidence> =>
  get(`/v1/items/${encodeURIComponent(itemId)}/evidence?n=6`, asking);

export async function recommend(body: Partial<RecommendRequest>, asking?: Asking): Promise<Ranking> {
  return (await ask("/v1/recommend", posted(body), asking)).json() as Promise<Ranking>;
}

/** The events of a trace, the student's or the teacher's, as they are written. */
export async function* think(
  by: "explain" | "teach",
  body: Partial<ExplainRequest>,
  asking?: Asking,
): AsyncGenerator<["task", TaskEvent] | [string, StepEvent]> {
  const answer = await ask(`/v1/${by}`, posted(body), asking);
  if (!answer.body) throw new ApiError("The trace has no content.", 0, "empty");
  for await (const [event, data] of events(answer.body)) {
    if (event === "end") return;
    if (event === "error") throw problem(JSON.parse(data), 200);
    yield [event, JSON.parse(data)];
  }
  throw new ApiError("The trace was cut off before its end.", 0, "cut_off");
}

async function get<T>(path: string, asking?: Asking): Promise<T> {
  return (await ask(path, {}, asking)).json() as Promise<T>;
}

function posted(body: object): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** An answer that is no error; asks again as long as the server says that this helps. */
async function ask(path: string, init: RequestInit, asking: Asking = {}): Promise<Response> {
  const key = storedKey();
  const headers = { ...init.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  for (let waits = 0; ; waits++) {
    const answer = await reached(path, { ...init, headers, ...(asking.signal ? { signal: asking.signal } : {}) });
    if (answer.ok) return answer;
    const error = problem(await answer.json().catch(() => null), answer.status, answer.headers.get("retry-after"));
    if (error.code === "loading") {
      asking.waiting?.(0, error.code);
      if ((await loaded(() => undefined, asking.signal)) === "failed") throw error;
    } else if (error.status === 429 && waits < MOST_WAITS && error.wait <= LONGEST_WAIT) {
      const seconds = Math.max(1, error.wait);
      asking.waiting?.(seconds, error.code);
      await pause(1000 * seconds, asking.signal);
    } else {
      throw error;
    }
  }
}

/** Wait until the run is loaded, or cannot be.
 *  @param still called whenever it is not yet. */
export async function loaded(still: () => void, signal?: AbortSignal): Promise<"ok" | "failed"> {
  for (;;) {
    const status = await ready(signal);
    if (status !== "loading") return status;
    still();
    await pause(POLL, signal);
  }
}

async function reached(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Does `starrec serve` still run?", 0, "unreachable");
  }
}

function problem(body: unknown, status: number, wait: string | null = null): ApiError {
  const said = (body as Schemas["ErrorBody"] | null)?.error;
  if (!said) return new ApiError(`The server answered ${status} without saying why.`, status, "unknown");
  return new ApiError(said.message, status, said.code, said.near, Number(wait) || 0);
}

export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}

/** Server-Sent Events of a body: `EventSource` can neither post nor send a key. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<[event: string, data: string]> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        let event = "message";
        const data: string[] = [];
        for (const line of block.split(/\r?\n/)) {
          if (line.startsWith("event: ")) event = line.slice(7);
          else if (line.startsWith("data: ")) data.push(line.slice(6));
        }
        if (data.length) yield [event, data.join("\n")];
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

export function inWords(error: unknown): string {
  return error instanceof ApiError ? error.message : "Something on this page failed. Load it again.";
}
