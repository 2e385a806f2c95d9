// Who refreshes a batch: each has a name and `refreshAll()`, which ends when nothing is due any more.

import { startService } from "../contestants/service.mjs";
import { startWorld } from "../../tests/support/world.mjs";

/** Politeness and plans are out of the way: what is measured is how fast it can be. */
const UNBOUND = {
  UPSTREAM_CALLS_PER_SECOND: "10000",
  UPSTREAM_MAX_IN_FLIGHT: "1000",
  SUBREQUEST_LIMIT: "10000",
  REFRESH_SESSIONS_PER_RUN: "10000",
  REFRESH_TIMEOUT_SECONDS: "10",
};

/** Invocations at work side by side where the queue has woken them. */
export const CONSUMERS = 4;

const WAKE = { wake: "claim" };

/** A world whose stand-in keeps connections as aimharder's load balancer does. */
export const startBatchWorld = () => startWorld({ settings: UNBOUND });

export const settings = (batchSize) => ({ ...UNBOUND, REFRESH_BATCH_SIZE: String(batchSize) });

/** One invocation after the other, until nothing is due. */
export const inOneInvocation = (worker) => async () => {
  let runs = 0;
  for (let remaining; remaining !== 0; runs += 1) {
    const { status, body } = await worker.batch({ batchSize: 100 });
    if (status !== 200 || body.failed > 0) throw new Error(`a run answered ${status}: ${JSON.stringify(body)}`);
    remaining = body.remaining;
  }
  return { runs };
};

/** A tick, and the consumers that a queue would run beside it. */
export const withTheQueue = (worker) => async () => {
  const messages = Array.from({ length: CONSUMERS - 1 }, () => worker.deliver(WAKE));
  await Promise.all([worker.tick(), ...messages]);
  return { runs: CONSUMERS };
};

export async function startContestants(world) {
  const ours = await world.startWorker(settings(100), { queue: false });
  const service = startService(world);
  const usual = (name, how) => ({ name, bareTable: true, refreshAll: () => service.run(how) });
  return {
    contestants: [
      { name: OURS, refreshAll: inOneInvocation(ours) },
      { name: QUEUE, refreshAll: withTheQueue(ours) },
      usual(CHUNKS_OF_6, { chunk: 6 }),
      usual(CHUNKS_OF_10, { chunk: 10 }),
    ],
    paused: usual(PAUSED),
    stop: () => service.stop(),
  };
}

export const OURS = "ours, one invocation";
export const QUEUE = "ours, 4 invocations";
export const RIVAL = "TypeScript Worker, one invocation";
export const CHUNKS_OF_6 = "service, chunks of 6";
export const CHUNKS_OF_10 = "service, chunks of 10";
export const PAUSED = "service, with its pause";
