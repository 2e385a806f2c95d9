// The wall time of a batch, from the moment it is due until the last row is written.

import { startWorld } from "../../tests/support/world.mjs";
import { startContestants, startPaused } from "../batch/contestants.mjs";
import { report } from "../batch/report.mjs";
import { timeBatch } from "../batch/run.mjs";
import { alternate } from "../statistics.mjs";

const LATENCIES = [50, 200, 500];

/** The largest takes minutes a round, and spreads least. */
const CASES = [
  { count: 120, latencyMs: 50, warmUps: 1, rounds: 5 },
  { count: 120, latencyMs: 200, warmUps: 0, rounds: 5 },
  { count: 120, latencyMs: 500, warmUps: 0, rounds: 5 },
  { count: 1200, latencyMs: 50, warmUps: 1, rounds: 3 },
  { count: 1200, latencyMs: 200, warmUps: 0, rounds: 3 },
  { count: 1200, latencyMs: 500, warmUps: 0, rounds: 1 },
];

/** What takes the paused service two to three minutes. */
const PAUSED_COUNT = 120;

/** `cases` and `paused` can be cut short for a trial. */
async function measure({ say, cases = CASES, paused = LATENCIES }) {
  const world = await startWorld();
  const timed = [];
  try {
    for (const count of new Set(cases.map((one) => one.count))) {
      const { contestants, stop } = await startContestants(world, count);
      try {
        for (const one of cases.filter((other) => other.count === count)) {
          timed.push(await timeCase(world, contestants, one, say));
        }
      } finally {
        await stop();
      }
    }
  } finally {
    await world.stop();
  }
  say(`the service with its pause, ${PAUSED_COUNT} sessions, ${paused.join(", ")} ms at once`);
  return { cases: timed, paused: await Promise.all(paused.map(timePaused)) };
}

async function timeCase(world, contestants, { count, latencyMs, warmUps, rounds }, say) {
  say(`${count} sessions, upstream at ${latencyMs} ms, ${rounds} rounds`);
  const results = await alternate(contestants, { warmUps, rounds }, (contestant) =>
    timeBatch(world, contestant, { count, latencyMs }),
  );
  const runs = Object.fromEntries([...results].map(([contestant, figures]) => [contestant.name, figures]));
  return { count, latencyMs, runs };
}

/** A world for each, since the service takes all that is due there. It waits nearly all of the time. */
async function timePaused(latencyMs) {
  const world = await startWorld();
  try {
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
  } finally {
    await world.stop();
  }
}

export const section = { name: "batch", title: "A batch, from due to done", measure, report };
