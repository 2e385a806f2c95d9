// What the benchmarks promise of sizes and counts; times are theirs alone. Who needs more than this has to say why.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { bundleApp } from "../bench/client/bundle.mjs";
import { ours } from "../bench/client/peers/ours.mjs";
import { play, SCRIPTS } from "../bench/client/scripts.mjs";
import { MINUTE, SECOND } from "../bench/client/times.mjs";
import { weigh } from "../local/client.mjs";
import { startBrowser } from "./support/browser.mjs";
import { startWorld } from "./support/world.mjs";

const WIDE = { timeout: 120_000 };

/** Of wasm, glue, client, hook and provider, with brotli. */
const MOST_BYTES = 11_000;

/** By script of bench/client/scripts.mjs. */
const MOST_REQUESTS = {
  429: 1,
  503: 13,
  "eight tabs": 2,
  sleep: 2,
  "sleep, no network at first": 2,
};

/** What spares time and changes no count: longer steps, and no more waiting than for the first refresh, after a minute. */
const SHORT = { step: 5 * SECOND, quiet: 2 * MINUTE };

/** Of the Worker's wasm, gzipped, and what it may need of Cloudflare's 3 MB at the most. */
const MOST_UPLOADED = 900_000;

let browser;

before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

test(`the client loads no more than ${MOST_BYTES} bytes`, async () => {
  const sizes = await weigh();
  const { bytes } = sizes.find(({ what }) => what === "all with hook and provider");
  assert.ok(bytes <= MOST_BYTES, JSON.stringify(sizes));
});

test(`the Worker's upload is no more than ${MOST_UPLOADED} bytes`, () => {
  const wasm = readFileSync(path.join(import.meta.dirname, "..", "edge-worker", "build", "index_bg.wasm"));
  const { length } = gzipSync(wasm, { level: 9 });
  assert.ok(length <= MOST_UPLOADED, `${length} bytes`);
});

test(
  "a batch takes two calls of the database for each claim of a hundred, and one more for each second",
  WIDE,
  async () => {
    const world = await startWorld();
    try {
      for (const count of [120, 1_200]) {
        await world.reset();
        const sessions = await world.signInMany(count);
        const started = Date.now();
        const { body } = await world.worker.batch({ batchSize: 100 });
        const seconds = Math.ceil((Date.now() - started) / 1000);
        assert.equal(body.refreshed, count);
        const [claims, finishes] = ["claim_due_sessions", "finish_sessions"].map((name) => world.callsOf(name).length);
        assert.ok(
          claims <= Math.ceil(count / 100) + 1 && finishes <= claims + seconds,
          `${count}: ${claims} and ${finishes}`,
        );
        // Besides: the run's end, and the note of who asked for it.
        assert.equal(world.supabase.gateway.calls.length, claims + finishes + 2);
        assert.deepEqual(await world.outOfStep(sessions), []);
      }
    } finally {
      await world.stop();
    }
  },
);

for (const script of SCRIPTS) {
  const most = MOST_REQUESTS[script.name];
  test(`${script.name}: the client asks no more than ${most} times, and keeps the session`, WIDE, async () => {
    const files = await bundleApp("ours.mjs");
    const result = await play(browser, { client: ours(), script, files, ...SHORT });
    assert.equal(result.session, "kept", JSON.stringify(result));
    assert.ok(result.requests <= most, JSON.stringify(result));
  });
}
