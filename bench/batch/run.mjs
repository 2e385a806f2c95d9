// One timed batch: so many sessions that are due, refreshed by a contestant, checked, and told in figures.

import { performance } from "node:perf_hooks";

/**
 * Has a contestant refresh `count` sessions whose calls take `latencyMs` each, and answers what it took. It did the same
 * with none to refresh just before, so that it is awake and connected.
 */
export async function timeBatch(world, contestant, { count, latencyMs }) {
  await world.reset();
  await contestant.refreshAll();
  await world.reset();
  const sessions = await world.signInMany(count, { latencyMs });
  if (contestant.bareTable) await world.sql.query("alter table auth_sessions disable trigger user");
  world.supabase.gateway.calls.length = 0;
  try {
    const before = { at: Date.now(), loop: performance.eventLoopUtilization(), cpu: process.cpuUsage() };
    const started = performance.now();
    const said = await contestant.refreshAll();
    const ms = performance.now() - started;
    const figures = { ms, ...said, ...harness(before, ms), ...parts(world, before.at, ms, latencyMs) };
    await check(world, contestant, sessions);
    return figures;
  } finally {
    if (contestant.bareTable) await world.sql.query("alter table auth_sessions enable trigger user");
  }
}

/** What stand-in and gateway, which run in this process, took of it. */
function harness({ loop, cpu }, ms) {
  const { user, system } = process.cpuUsage(cpu);
  const busy = performance.eventLoopUtilization(loop).utilization;
  return { harnessCpu: (user + system) / 1000 / ms, harnessBusy: busy };
}

/** Where the time went, by the records of stand-in and gateway. */
function parts(world, started, ms, latencyMs) {
  const calls = world.site.requests;
  const first = Math.min(...calls.map(({ at }) => at)) - started;
  const last = Math.max(...calls.map(({ end }) => end)) - started;
  const held = calls.reduce((sum, { at, end }) => sum + end - at, 0);
  const database = world.supabase.gateway.calls;
  const writes = database.filter(({ method, path }) => method === "PATCH" || path.endsWith("/finish_sessions"));
  const written = Math.max(...writes.map(({ at, ms: lasted = 0 }) => at + lasted)) - started;
  return {
    databaseCalls: database.length,
    databaseMs: database.reduce((sum, call) => sum + (call.ms ?? 0), 0) / database.length,
    upstreamCalls: calls.length,
    mostAtOnce: world.site.maxConcurrent,
    beforeFirstCallMs: first,
    afterLastAnswerMs: ms - last,
    /** Of that, once the last row was written. */
    afterLastWriteMs: ms - written,
    /** How much longer than its latency the stand-in held a call. */
    overLatencyMs: held / calls.length - latencyMs,
    /** Calls under way, of the time between the first and the last. */
    meanAtOnce: held / (last - first),
  };
}

async function check(world, contestant, sessions) {
  world.check();
  const wrong = await world.outOfStep(sessions);
  const { rows } = await world.sql.query("select count(*)::int as count from auth_sessions where refresh_count = 1");
  const once = sessions.filter(({ calls }) => calls.length === 1);
  if (wrong.length > 0 || rows[0].count !== sessions.length || once.length !== sessions.length) {
    throw new Error(
      `${contestant.name}: of ${sessions.length} sessions ${wrong.length} are out of step, ` +
        `${rows[0].count} are marked refreshed, ${once.length} were presented once.`,
    );
  }
}
