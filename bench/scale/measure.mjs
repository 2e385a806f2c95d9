// What one refresh costs, measured on the real parts: the built Worker in workerd, PostgREST, PostgreSQL.

import { cpuTime, processes } from "../../local/processes.mjs";
import { Caller, createDatabase, fill } from "../../tests/support/rows.mjs";
import { startWorld } from "../../tests/support/world.mjs";

const SESSIONS = 3_000;
const WARM = 300;
const ROWS = 100_000;

/** Answers the figures that docs/scale-figures.json keeps. */
export async function measure() {
  const world = await startWorld({ settings: { REFRESH_BATCH_SIZE: "50" } });
  try {
    await refreshAll(world, WARM, 50);
    const refreshed = await refreshAll(world, SESSIONS, 50);
    const small = await refreshAll(world, WARM, 10);
    return {
      measuredOn: new Date().toISOString().slice(0, 10),
      ...refreshed,
      databaseCallsInBatchesOf10: small.databaseCallsInBatchesOf50,
      sessionsInARunOf50Fetches: await sessionsInARun(world, "50"),
      ...(await measureRows(world)),
    };
  } finally {
    await world.stop();
  }
}

/** Makes so many sessions due, lets a run refresh them, and answers what each of them cost. */
async function refreshAll(world, count, batchSize) {
  await world.reset();
  await world.signInMany(count);
  world.supabase.gateway.calls.length = 0;
  const start = await counters(world);
  const { body } = await world.worker.batch({ batchSize });
  if (body.refreshed !== count) throw new Error(`only ${body.refreshed} of ${count} were refreshed`);
  const end = await counters(world);
  const each = (name) => round((end[name] - start[name]) / count);
  const { calls } = world.supabase.gateway;
  const sum = (of) => calls.reduce((total, call) => total + of(call), 0);
  return {
    workerCpuMs: each("workerd"),
    databaseCpuMs: each("postgres"),
    restCpuMs: each("postgrest"),
    databaseCallsInBatchesOf50: round(calls.length / count, 4),
    logBytes: Math.round(each("log")),
    bytesFromDatabase: Math.round(sum((call) => call.bytes) / count),
    bytesToDatabase: Math.round(sum((call) => call.body.length) / count),
  };
}

async function counters(world) {
  const { rows } = await world.sql.query("select pg_current_wal_insert_lsn() - '0/0' as log");
  return { log: Number(rows[0].log), ...cpuTimesByProgram() };
}

/** Milliseconds on the CPU of what this process started, by program; those that ended included. */
export function cpuTimesByProgram() {
  const all = processes();
  const ours = new Set([process.pid]);
  for (let found = -1; found !== ours.size; ) {
    found = ours.size;
    for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid);
  }
  const times = { workerd: 0, postgres: 0, postgrest: 0 };
  for (const { pid, command } of all) {
    const name = ["workerd", "postgrest", "postgres"].find((program) => command.split(" ")[0].includes(program));
    if (name && ours.has(pid)) times[name] += cpuTime(pid);
  }
  return times;
}

/** As many as a run refreshes within a limit of fetches. */
async function sessionsInARun(world, limit) {
  await world.reset();
  await world.signInMany(100);
  const worker = await world.startWorker({ SUBREQUEST_LIMIT: limit, REFRESH_SESSIONS_PER_RUN: "1000" });
  const { body } = await worker.batch({ batchSize: 50 });
  return body.refreshed;
}

/** Bytes on disk, and the time that a claim and a finish of 50 keep others from theirs. */
async function measureRows(world) {
  const sql = await createDatabase(world.supabase, "measured");
  await fill(sql, ROWS);
  const { rows } = await sql.query(`select pg_total_relation_size('auth_sessions') as sessions,
    pg_total_relation_size('refresh_attempts') as attempts`);
  const caller = await Caller.open(sql);
  for (let turn = 0; turn < 20; turn += 1) await caller.round();
  const milliseconds = {
    claimMs: round(caller.median("claim_due_sessions", "ms")),
    finishMs: round(caller.median("finish_sessions", "ms")),
  };
  await caller.lookInside();
  await caller.round();
  const account = caller.plans.find((plan) => plan["Query Text"].includes(":= public.note_answers("));
  caller.close();
  await sql.end();
  return {
    bytesOfASession: Math.round(rows[0].sessions / ROWS),
    bytesOfAnAttempt: Math.round(rows[0].attempts / ROWS),
    ...milliseconds,
    accountMs: round(account.ms),
  };
}

const round = (number, digits = 2) => Number(number.toFixed(digits));
