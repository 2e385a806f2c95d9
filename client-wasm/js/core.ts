// The wasm core by names instead of numbers. It decides; this only translates.

import init, { Core } from "./wasm/core.js";
import type { Problem, RefreshAnswer, RefreshStatus } from "./wire.js";

/** How a session stands. `unavailable`: WebAssembly can't be used here, so nothing is refreshed by itself. */
export type SessionState = "unknown" | "active" | "expired" | "exhausted" | "signed_out" | "unavailable";

/** How that looks to a user. */
export type Health = "unknown" | "healthy" | "due" | "degraded" | "expired";

/** Why a user can't refresh now. */
export type Blocked = "busy" | "wait" | "sign_in";

/** What {@link Core.view} holds, by place. Times are by the server's clock. */
export interface View {
  state: SessionState;
  health: Health;
  needsRefresh: boolean;
  isRefreshing: boolean;
  lastRefreshDate: Date | null;
  nextRefreshDue: Date | null;
  refreshCount: number;
  canRefresh: boolean;
  canRefreshAt: Date | null;
  blocked: Blocked | null;
  retryAt: Date | null;
  /** The server's clock less the browser's, in milliseconds: add it to `Date.now()` to compare with a time told. */
  clockOffset: number;
}

const STATES: readonly SessionState[] = ["unknown", "active", "expired", "exhausted", "signed_out"];
const HEALTHS: readonly Health[] = ["unknown", "healthy", "due", "degraded", "expired"];
const CODES = ["", "session_expired", "session_not_found", "session_unusable"];

let loading: Promise<unknown> | undefined;

/** Loads the core, once per page. Fails where WebAssembly is missing or blocked, or the network is away. */
export async function loadCore(): Promise<Core> {
  loading ??= Promise.race([init(), tooLate()]);
  try {
    await loading;
  } catch (error) {
    loading = undefined;
    throw error;
  }
  return new Core();
}

const tooLate = () => new Promise<never>((_, reject) => setTimeout(() => reject(new Error("too late")), 10_000));

/** Whether it makes no sense to try again on this page. */
export const isBlocked = (error: unknown): boolean =>
  typeof WebAssembly === "undefined" || error instanceof WebAssembly.CompileError;

export type { Core };

const time = (text: string | null | undefined): number => (text ? Date.parse(text) : Number.NaN);
const date = (at: number | undefined): Date | null => (at !== undefined && Number.isFinite(at) ? new Date(at) : null);

/** Puts numbers into the core's window. */
export function put(core: Core, numbers: readonly (number | null)[]): void {
  for (const [place, number] of numbers.entries()) core.set(place, number ?? Number.NaN);
}

/** Reads the first numbers in the core's window. */
export const take = (core: Core, count: number): number[] =>
  Array.from({ length: count }, (_, place) => core.get(place));

/** How many numbers {@link Core.view} and {@link Core.keep} make. */
export const VIEW = 10;
export const KEPT = 19;

/** A status, or the answer to a refresh, as {@link Core.told} wants it. */
export function numbersOf(answer: RefreshStatus | RefreshAnswer): number[] {
  const refreshing = "isRefreshing" in answer && answer.isRefreshing;
  const failed = "lastError" in answer && answer.lastError !== null;
  return [
    time(answer.serverTime),
    time(answer.lastRefreshDate),
    time(answer.nextRefreshDue),
    time(answer.canRefreshAt),
    answer.refreshCount,
    STATES.indexOf(answer.state),
    Number(refreshing),
    Number(failed),
  ];
}

/** The number of an error's code. */
export const codeOf = (problem: Partial<Problem>): number => Math.max(0, CODES.indexOf(problem.code ?? ""));

/** A server's time in an answer, in milliseconds. */
export const serverTimeOf = (answer: { serverTime?: string }): number => time(answer.serverTime);

/** Reads {@link Core.view}. */
export function readView(numbers: readonly number[]): View {
  const [state = 0, health = 0, needs, refreshing, last, due, count = 0, byHand = 0, next, offset = 0] = numbers;
  return {
    state: STATES[state] ?? "unknown",
    health: HEALTHS[health] ?? "unknown",
    needsRefresh: needs === 1,
    isRefreshing: refreshing === 1,
    lastRefreshDate: date(last),
    nextRefreshDue: date(due),
    refreshCount: count,
    canRefresh: byHand === 0,
    canRefreshAt: byHand > 0 ? date(byHand) : null,
    blocked:
      byHand === 0 ? null : Number.isNaN(byHand) ? "sign_in" : byHand === Number.POSITIVE_INFINITY ? "busy" : "wait",
    retryAt: date(next),
    clockOffset: offset,
  };
}

/** Before the core is there. */
export const UNKNOWN: Omit<View, "retryAt"> = {
  state: "unknown",
  health: "unknown",
  needsRefresh: false,
  isRefreshing: false,
  lastRefreshDate: null,
  nextRefreshDue: null,
  refreshCount: 0,
  canRefresh: false,
  canRefreshAt: null,
  blocked: null,
  clockOffset: 0,
};
