// Who refreshes a batch: each has a name and `refreshAll()`, which ends when nothing is due any more.

import { startService } from "../contestants/service.mjs";
import { startContestant } from "../contestants/workers.mjs";
import { CHUNKS_OF_6, CHUNKS_OF_10, CONSUMERS, OURS, PAUSED, QUEUE, RIVAL } from "./names.mjs";

/** Politeness and plans are out of the way: what is measured is how fast it can be. */
const UNBOUND = {
  UPSTREAM_CALLS_PER_SECOND: "10000",
  UPSTREAM_MAX_IN_FLIGHT: "1000",
  SUBREQUEST_LIMIT: "10000",
  REFRESH_SESSIONS_PER_RUN: "10000",
  REFRESH_TIMEOUT_SECONDS: "10",
};

/** Sessions that a claim takes at the most. */
export const BATCH = 100;

const WAKE = { wake: "claim" };

export const settings = (batchSize = BATCH) => ({ ...UNBOUND, REFRESH_BATCH_SIZE: String(batchSize) });

/** All but the service with its pause, for so many sessions; `stop` ends what the world's end doesn't. */
export async function startContestants(world, count) {
  // Claims of a hundred would leave two of four with nothing to do.
  const shared = Math.min(BATCH, Math.ceil(count / CONSUMERS));
  const ours = await startContestant(world, "ours", settings());
  const together = await startContestant(world, "ours", { ...settings(shared), REFRESH_QUEUE_ENABLED: "false" });
  const rival = await startContestant(world, "rival", settings());
  const service = startService(world);
  const inChunks = (chunk) => ({ bareTable: true, refreshAll: () => service.run({ chunk }) });
  return {
    contestants: [
      { name: OURS, refreshAll: inOneInvocation(ours) },
      { name: QUEUE, refreshAll: withTheQueue(together) },
      { name: RIVAL, refreshAll: inOneInvocation(rival) },
      { name: CHUNKS_OF_6, ...inChunks(6) },
      { name: CHUNKS_OF_10, ...inChunks(10) },
    ],
    async stop() {
      await Promise.all([service, ours, together, rival].map((one) => one.stop()));
    },
  };
}

/** The service alone: in chunks, or one by one with its pause. */
export function startInChunks(world, { chunk, reader }) {
  const { run, stop } = startService(world, { reader });
  return { contestant: { name: `service, ${reader}`, bareTable: true, refreshAll: () => run({ chunk }) }, stop };
}

export function startPaused(world) {
  const { run, stop } = startService(world);
  return { contestant: { name: PAUSED, bareTable: true, refreshAll: () => run() }, stop };
}

/** One run after the other, until nothing is due: each starts refreshes for 45 seconds. */
const inOneInvocation = (worker) => async () => {
  let runs = 0;
  for (let remaining; remaining !== 0; runs += 1) {
    const { status, body } = await worker.batch({ batchSize: BATCH });
    if (status !== 200 || body.failed > 0) throw new Error(`a run answered ${status}: ${JSON.stringify(body)}`);
    remaining = body.remaining;
  }
  return { runs };
};

/** A tick, and beside it the consumers that Cloudflare runs side by side, and a local queue one after the other. */
const withTheQueue = (worker) => async () => {
  const consumers = Array.from({ length: CONSUMERS - 1 }, () => worker.deliver(WAKE));
  await Promise.all([worker.tick(), ...consumers]);
  return { runs: CONSUMERS };
};
