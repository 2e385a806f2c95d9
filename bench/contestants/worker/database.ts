// The database, over PostgREST: every call is one of the functions in supabase/migrations.

import type { Cookie } from "./cookies";
import type { Outcome } from "./outcome";
import type { Settings } from "./settings";

const TIMEOUT_MS = 6_000;
const TRIES = 5;

/** A row that a claim handed out, with a lease on it. */
export interface ClaimedRow {
  id: string;
  fence: number;
  token: string;
  cookies: Cookie[];
  fingerprint: string | null;
  consecutiveFailures: number;
  refusalsInDoubt: number;
  inDoubt: boolean;
  startsInMs?: number;
}

export interface Claim {
  now: number;
  sessions: ClaimedRow[];
  width: number;
  held: string | null;
  retryInMs: number | null;
}

export interface Status {
  state: "active" | "expired" | "exhausted";
  lastRefreshDate: number | null;
  lastAttemptAt: number | null;
  nextRefreshAt: number | null;
  refreshCount: number;
  lastError: string | null;
  leased: boolean;
  signedInAt: number;
}

export interface UserClaim {
  result: "claimed" | "not_found" | "expired" | "busy" | "reused" | "too_soon" | "spared";
  now: number;
  status: Status | null;
  session: ClaimedRow | null;
  retryAfterSeconds?: number;
}

/** One session's part of `finish_sessions`. */
export interface Entry {
  id: string;
  fence: number;
  kind: "refreshed" | "failed" | "expired" | "released";
  outcome?: Outcome;
  token?: string;
  cookies?: Cookie[];
  fingerprint?: string;
  nextInSeconds?: number;
  retryAfterSeconds?: number;
  own: boolean;
  saidOver?: boolean;
  upstreamStatus?: number;
  durationMs: number;
  tries: number;
}

export interface Finish {
  now: number;
  results: { result: "written" | "doubted" | "already" | "lost" | "refused" | "locked"; status: Status | null }[];
  held?: string | null;
}

export interface Holder {
  runId: string | null;
  leaseId: string;
  trigger: "cron" | "api" | "user" | "queue";
}

export class DatabaseError extends Error {
  constructor(readonly code: "database_unavailable" | "database_timed_out" | "database_refused") {
    super(code);
  }
}

/** Calls a function, once. */
export async function call<T>(settings: Settings, name: string, parameters: object): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`${settings.databaseUrl}/${name}`, {
      method: "POST",
      headers: settings.databaseHeaders,
      body: JSON.stringify(parameters),
      // Followed, a redirect would carry the key elsewhere.
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.ok) return await response.json<T>();
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    throw new DatabaseError(timedOut ? "database_timed_out" : "database_unavailable");
  }
  const passes = response.status === 429 || response.status >= 500;
  throw new DatabaseError(passes ? "database_unavailable" : "database_refused");
}

/** The same, repeated while its trouble may pass: for functions that tell a repetition. */
export async function callPatiently<T>(settings: Settings, name: string, parameters: object): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call<T>(settings, name, parameters);
    } catch (error) {
      const passes = error instanceof DatabaseError && error.code !== "database_refused";
      if (!passes || tries === TRIES) throw error;
      await scheduler.wait(300 * 2 ** (tries - 1) * (0.5 + Math.random() / 2));
    }
  }
}

/** Takes a lease on up to `limit` due sessions. */
export function claimDue(settings: Settings, holder: Holder, limit: number, width: number, leaseSeconds: number) {
  return call<Claim>(settings, "claim_due_sessions", {
    p_run_id: holder.runId,
    p_trigger: holder.trigger,
    p_holder: holder.leaseId,
    p_limit: limit,
    p_width: width,
    p_lease_seconds: leaseSeconds,
    p_upstream: settings.upstream,
    p_policy: settings.policy,
  });
}

/** Takes a lease on a user's session, if it may be refreshed now. */
export function claimOfUser(
  settings: Settings,
  holder: Holder,
  { email, sessionId, reuseSeconds, leaseSeconds }: UserWish,
) {
  return callPatiently<UserClaim>(settings, "claim_session", {
    p_email: email,
    p_session_id: sessionId,
    p_holder: holder.leaseId,
    p_lease_seconds: leaseSeconds,
    p_reuse_seconds: reuseSeconds,
    p_min_seconds: settings.manualSeconds,
    p_upstream: settings.upstream,
    p_policy: settings.policy,
  });
}

export interface UserWish {
  email: string;
  sessionId: string | null;
  reuseSeconds: number;
  leaseSeconds: number;
}

/** Writes what came of claimed sessions. */
export function finish(settings: Settings, holder: Holder, entries: Entry[]) {
  return callPatiently<Finish>(settings, "finish_sessions", {
    p_holder: holder.leaseId,
    p_run_id: holder.runId,
    p_trigger: holder.trigger,
    p_results: entries,
    p_upstream: settings.upstream,
    p_done: holder.runId === null,
  });
}

/** Closes a run's record; answers how many sessions are due still. */
export async function finishRun(settings: Settings, holder: Holder, summary: object): Promise<number> {
  const end = await callPatiently<{ remaining: number }>(settings, "finish_run", {
    p_run_id: holder.runId,
    p_holder: holder.leaseId,
    p_summary: summary,
    p_retention_days: settings.historyDays,
  });
  return end.remaining;
}
