// The wall time of a batch, from the moment it is due until the last row is written.

import { startWorld } from "../../tests/support/world.mjs";
import { startContestants, startInChunks, startPaused } from "../batch/contestants.mjs";
import { report } from "../batch/report.mjs";
import { timeBatch } from "../batch/run.mjs";
import { alternate } from "../statistics.mjs";

const LATENCIES = [50, 200, 500];

/** The largest takes minutes a round, and spreads least; the machine idles meanwhile. */
const CASES = [
  { count: 120, latencyMs: 50, warmUps: 1, rounds: 5 },
  { count: 120, latencyMs: 200, warmUps: 0, rounds: 3 },
  { count: 120, latencyMs: 500, warmUps: 0, rounds: 3 },
  { count: 1200, latencyMs: 50, warmUps: 0, rounds: 3 },
  { count: 1200, latencyMs: 200, warmUps: 0, rounds: 1 },
  { count: 1200, latencyMs: 500, warmUps: 0, rounds: 1, idle: true },
];

/** What takes the paused service two to three minutes. */
const PAUSED_COUNT = 120;

/** How the service can read pages, at its widest and with next to no latency. */
const READERS = ["regex", "cheerio"];
const READING = { count: 120, latencyMs: 5 };

/** What is measured can be cut short for a trial. */
async function measure({ say, cases = CASES, paused = LATENCIES, readings = { warmUps: 1, rounds: 5 } }) {
  const busy = await timeAll(
    cases.filter(({ idle }) => !idle),
    say,
  );
  say("the service with a regular expression and with cheerio");
  const readers = await inWorld((world) => timeReaders(world, readings));
  say(
    `the service with its pause, ${PAUSED_COUNT} sessions, ${paused.join(", ")} ms, and beside it what idles as well`,
  );
  const [idle, ...pausedRuns] = await Promise.all([
    timeAll(
      cases.filter(({ idle }) => idle),
      say,
    ),
    ...paused.map(timePaused),
  ]);
  return { cases: [...busy, ...idle], readers, paused: pausedRuns };
}

async function timeAll(cases, say) {
  const timed = [];
  for (const count of new Set(cases.map((one) => one.count))) {
    const some = cases.filter((one) => one.count === count);
    timed.push(...(await inWorld((world) => timeCases(world, some, say))));
  }
  return timed;
}

async function inWorld(work) {
  const world = await startWorld();
  try {
    return await work(world);
  } finally {
    await world.stop();
  }
}

/** Cases of one count, each with its contestants in turns. */
async function timeCases(world, cases, say) {
  const { contestants, stop } = await startContestants(world, cases[0].count);
  const timed = [];
  try {
    for (const { count, latencyMs, idle: _, ...turns } of cases) {
      say(`${count} sessions, upstream at ${latencyMs} ms, ${turns.rounds} rounds`);
      const once = (contestant) => timeBatch(world, contestant, { count, latencyMs });
      const results = await alternate(contestants, turns, once);
      const runs = Object.fromEntries([...results].map(([contestant, figures]) => [contestant.name, figures]));
      timed.push({ count, latencyMs, runs });
    }
    return timed;
  } finally {
    await stop();
  }
}

/** By reader the milliseconds of processor time for a session, round by round. */
async function timeReaders(world, turns) {
  const contestants = READERS.map((reader) => startInChunks(world, { reader, chunk: 10 }));
  try {
    const results = await alternate(contestants, turns, ({ contestant }) => timeBatch(world, contestant, READING));
    const each = [...results.values()].map((runs) => runs.map(({ cpuMs }) => cpuMs / READING.count));
    return Object.fromEntries(READERS.map((reader, index) => [reader, each[index]]));
  } finally {
    for (const { stop } of contestants) await stop();
  }
}

/** A world for each, since the service takes all that is due there. It waits nearly all of the time. */
const timePaused = (latencyMs) =>
  inWorld(async (world) => {
    const { contestant, stop } = startPaused(world);
    try {
      return {
        latencyMs,
        count: PAUSED_COUNT,
        ...(await timeBatch(world, contestant, { count: PAUSED_COUNT, latencyMs })),
      };
    } finally {
      await stop();
    }
  });

export const section = { name: "batch", title: "A batch, from due to done", measure, report };
