// How much one invocation does in its 45 seconds, how much all do in a minute, and what bounds either.

import os from "node:os";
import { performance } from "node:perf_hooks";
import { startWorld } from "../../tests/support/world.mjs";
import { settings } from "../batch/contestants.mjs";
import { WIDTH } from "../batch/names.mjs";
import { startContestant } from "../contestants/workers.mjs";
import { digits, table } from "../report/page.mjs";
import { cpuTimesByProgram } from "../scale/measure.mjs";

/** Helpers that a tick wakes at the most, by default: REFRESH_MAX_CONSUMERS. */
const HELPERS = 10;

/** For so long of each minute a run starts refreshes. */
const STARTS_FOR_MS = 45_000;

/** More sessions than one invocation can do; for all together, as many as take them about half a minute. */
const CASES = [
  { latencyMs: 50, invocations: 1, count: 6_000 },
  { latencyMs: 200, invocations: 1, count: 1_600 },
  { latencyMs: 50, invocations: 1 + HELPERS, count: 10_000 },
  { latencyMs: 200, invocations: 1 + HELPERS, count: 8_000 },
];

const WARM = { latencyMs: 5, invocations: 1, count: 300 };

async function measure({ say, cases = CASES }) {
  const world = await startWorld();
  try {
    const worker = await startContestant(world, "ours", { ...settings(), REFRESH_QUEUE_ENABLED: "false" });
    await sustain(world, worker, WARM);
    const runs = [];
    for (const one of cases) {
      say(`${one.invocations} at once, upstream at ${one.latencyMs} ms`);
      runs.push({ ...one, ...(await sustain(world, worker, one)) });
    }
    return { runs };
  } finally {
    await world.stop();
  }
}

async function sustain(world, worker, { latencyMs, invocations, count }) {
  await world.reset();
  const sessions = await world.signInMany(count, { latencyMs });
  const before = cpu();
  const started = performance.now();
  await (invocations === 1 ? worker.batch({ batchSize: 100 }) : together(worker, invocations));
  const ms = performance.now() - started;
  const after = cpu();
  const refreshed = sessions.filter(({ calls }) => calls.length === 1).length;
  await check(world, sessions, refreshed);
  const { requests } = world.site;
  const span = Math.max(...requests.map(({ end }) => end)) - requests[0].at;
  const held = requests.reduce((sum, { at, end }) => sum + end - at, 0);
  return {
    refreshed,
    ms,
    meanAtOnce: held / span,
    callMs: held / requests.length,
    databaseCalls: world.supabase.gateway.calls.length,
    cores: Object.fromEntries(Object.keys(after).map((name) => [name, (after[name] - before[name]) / ms])),
  };
}

/** A tick and its helpers, side by side as on Cloudflare. */
function together(worker, invocations) {
  const helpers = Array.from({ length: invocations - 1 }, () => worker.deliver({ wake: "claim" }));
  return Promise.all([worker.tick(), ...helpers]);
}

async function check(world, sessions, refreshed) {
  world.check();
  const { rows } = await world.sql.query("select count(*)::int as count from auth_sessions where refresh_count = 1");
  const wrong = await world.outOfStep(sessions);
  if (wrong.length > 0 || rows[0].count !== refreshed) {
    throw new Error(`${wrong.length} are out of step; ${rows[0].count} of ${refreshed} are marked refreshed.`);
  }
}

/** Milliseconds on the processors by part, and of the whole machine. The harness is stand-in and gateway. */
function cpu() {
  const { user, system } = process.cpuUsage();
  const machine = os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { ...cpuTimesByProgram(), harness: (user + system) / 1000, machine };
}

const NAMES = {
  workerd: "workerd",
  postgres: "PostgreSQL",
  postgrest: "PostgREST",
  harness: "stand-in and gateway",
  machine: "all that runs",
};

function report({ runs, machine }) {
  const rows = runs.map((run) => [
    `${how(run)}, upstream at ${run.latencyMs} ms`,
    run.refreshed,
    digits(run.ms / 1000),
    Math.round(perMinute(run)),
    `${digits(run.meanAtOnce)} of ${run.invocations * WIDTH}`,
    digits(run.callMs),
    ...Object.keys(NAMES).map((name) => digits(run.cores[name], 2)),
    bottleneck(run, machine),
  ]);
  const heads = [
    "",
    "sessions",
    "seconds",
    "a minute",
    "calls at once, on average",
    "ms a call",
    ...Object.values(NAMES).map((name) => `cores: ${name}`),
    "bound by",
  ];
  const text = `A run starts refreshes for ${STARTS_FOR_MS / 1000} seconds, and the tick that follows comes after a minute. One invocation finds more
due than it can do in them. Then a tick and ${HELPERS} consumers run side by side, as many as the default of
\`REFRESH_MAX_CONSUMERS\`, until nothing is due or their time is over. "A minute" is in both rows what they do in those
${STARTS_FOR_MS / 1000} seconds: those who were done earlier are reckoned to go on at their pace until then. A local queue
delivers one message after the other, so that they are woken by hand. Here all of them share one workerd, with one thread for
their code, and the machine with database, stand-in and gateway; on Cloudflare each has its own. Politeness is out of the way
as in the first section: by default \`UPSTREAM_CALLS_PER_SECOND=20\` binds, ${((20 * STARTS_FOR_MS) / 1000).toLocaleString("en")} sessions in as long. Once
each, not in turns, after a warm-up; every row is checked afterwards.

${table(heads, rows)}

What bounds is told by the figures: the width, if at least nine tenths of the calls that may be under way were so throughout; else
the machine, if at least 85 % of its cores were used; else a single thread, of workerd or of the stand-in, if that was.

Not measured: Cloudflare's bound on processor time an invocation, and a database of its own.`;
  return { text, goals: runs.map((run) => goal(run, machine)) };
}

const how = ({ invocations }) => (invocations === 1 ? "one invocation" : `${invocations} invocations`);

/** What is done in the part of a minute in which runs start refreshes: what came beyond it is the end of those started. */
const perMinute = ({ refreshed, ms }) => (refreshed / Math.min(ms, STARTS_FOR_MS)) * STARTS_FOR_MS;

function bottleneck({ meanAtOnce, invocations, latencyMs, cores: { machine: used, ...cores } }, machine) {
  const width = invocations * WIDTH;
  if (meanAtOnce >= 0.9 * width) return `the width: ${width} calls of ${latencyMs} ms at once`;
  const [name, most] = Object.entries(cores).sort(([, one], [, other]) => other - one)[0];
  const others = used - Object.values(cores).reduce((sum, share) => sum + share, 0);
  const alone = others > 0.3 ? `, but ${digits(others, 2)} by what doesn't belong to it` : "";
  const processors = `${digits(used, 2)} of ${machine.cores} cores are used, most by ${NAMES[name]} (${digits(most, 2)})${alone}`;
  if (used >= 0.85 * machine.cores) return `the machine: ${processors}`;
  const thread = ["workerd", "harness"].find((one) => cores[one] >= 0.85);
  return thread ? `one thread, that of ${NAMES[thread]}` : `none of these alone: ${processors}`;
}

function goal(run, machine) {
  return {
    measure: `sustained, ${how(run)}, upstream at ${run.latencyMs} ms`,
    goal: "printed, with the bottleneck",
    measured: `${Math.round(perMinute(run)).toLocaleString("en")} sessions a minute; bound by ${bottleneck(run, machine)}`,
    met: true,
    reason: "",
  };
}

export const section = { name: "sustained", title: "Sustained", measure, report };
