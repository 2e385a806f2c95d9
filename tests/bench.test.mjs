// What the benchmarks promise and a clock has no part in: sizes and counts. Who needs more than this has to say why.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bundleApp } from "../bench/client/bundle.mjs";
import { ours } from "../bench/client/peers/ours.mjs";
import { play, SCRIPTS } from "../bench/client/scripts.mjs";
import { MINUTE, SECOND } from "../bench/client/times.mjs";
import { weigh } from "../local/client.mjs";
import { startBrowser } from "./support/browser.mjs";

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

for (const script of SCRIPTS) {
  const most = MOST_REQUESTS[script.name];
  test(`${script.name}: the client asks no more than ${most} times, and keeps the session`, WIDE, async () => {
    const files = await bundleApp("ours.mjs");
    const result = await play(browser, { client: ours(), script, files, ...SHORT });
    assert.equal(result.session, "kept", JSON.stringify(result));
    assert.ok(result.requests <= most, JSON.stringify(result));
  });
}
