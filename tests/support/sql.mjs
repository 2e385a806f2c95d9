// The database's functions, called as the Worker calls them.

import { randomUUID } from "node:crypto";

/** What a Worker tells the database of its settings: limits wide enough to be out of the way. */
export const POLICY = { intervalSeconds: 1200, maxInFlight: 1000, callsPerSecond: 10000, exhaustAfter: 10 };

/** What a tick tells of its settings when it looks at how everything stands. */
export const WATCH = {
  alerts: true,
  events: true,
  limit: 50,
  repeatSeconds: 3600,
  failureRate: 0.5,
  historyDays: 30,
  attemptsKept: 5_000_000,
  conditions: [],
};

/** Calls a function by its arguments' names, as PostgREST does; answers its JSON. */
export async function call(sql, name, parameters) {
  const names = Object.keys(parameters);
  const places = names.map((parameter, index) => `${parameter} => $${index + 1}`);
  const { rows } = await sql.query(`select public.${name}(${places}) as answer`, Object.values(parameters));
  return rows[0].answer;
}

/** Leases due sessions, as a run does. */
export function claimDue(sql, limit, changed = {}) {
  const holder = randomUUID();
  return call(sql, "claim_due_sessions", {
    p_run_id: holder,
    p_trigger: "test",
    p_holder: holder,
    p_limit: limit,
    p_width: 6,
    p_lease_seconds: 60,
    p_upstream: "upstream",
    p_policy: POLICY,
    ...changed,
  });
}

/** Leases a user's session, as their own route does. */
export function claimFor(sql, email, changed = {}) {
  return call(sql, "claim_session", {
    p_email: email,
    p_session_id: null,
    p_holder: randomUUID(),
    p_lease_seconds: 60,
    p_reuse_seconds: 0,
    p_min_seconds: 0,
    p_upstream: "upstream",
    p_policy: POLICY,
    ...changed,
  });
}

/** Writes what came of claimed sessions. */
export function finish(sql, holder, entries, changed = {}) {
  return call(sql, "finish_sessions", {
    p_holder: holder,
    p_run_id: null,
    p_trigger: "test",
    p_results: JSON.stringify(entries),
    p_upstream: "upstream",
    p_done: true,
    ...changed,
  });
}
