// What a client costs its page: in real Chromium by the real clock.

import { setTimeout as sleep } from "node:timers/promises";
import { ORIGIN } from "./serve.mjs";
import { AWAY, HOUR } from "./times.mjs";

/** For how long after its first status a page is left alone before it is measured, in milliseconds. */
export const REST = 2000;

/** How long a first status may take, in milliseconds. */
const PATIENCE = 20_000;

/** Runs in the page before its app. */
function meter() {
  const memories = [];
  const { instantiateStreaming } = WebAssembly;
  let start;
  let resolve;
  const first = new Promise((done) => {
    resolve = done;
  });

  WebAssembly.instantiateStreaming = async (...options) => {
    const made = await instantiateStreaming(...options);
    memories.push(made.instance.exports.memory);
    return made;
  };

  window.bench = {
    first,
    start: () => {
      start = performance.now();
    },
    tell: ({ fresh }) => fresh && resolve(performance.now() - start),
    wasm: () => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
  };
}

/**
 * Opens a client's app for the first time in a new profile, its session due where the client can know that by itself,
 * and then once more. Answers milliseconds and bytes.
 */
export async function measureOnce(browser, server, { client, files }) {
  server.show({ client, files });
  const context = await browser.newContext();
  try {
    await context.addInitScript(meter);
    const page = await context.newPage();
    await seed(context, page, client);
    const devTools = await context.newCDPSession(page);
    // Processor time, so that what else the machine does doesn't count.
    await devTools.send("Performance.enable", { timeDomain: "threadTicks" });
    const before = await metrics(devTools);
    await page.goto(`${ORIGIN}/`);
    const first = await firstStatus(page, client);
    await sleep(REST);
    const after = await metrics(devTools);
    const wasm = await page.evaluate(() => window.bench.wasm());
    for (let time = 0; time < 2; time += 1) await devTools.send("HeapProfiler.collectGarbage");
    const { JSHeapUsedSize: heap } = await metrics(devTools);
    await page.reload();
    const again = await firstStatus(page, client);
    server.check();
    const spent = (name) => 1000 * (after[name] - before[name]);
    return { first, again, script: spent("ScriptDuration"), task: spent("TaskDuration"), heap, wasm };
  } finally {
    await context.close();
  }
}

async function seed(context, page, client) {
  const then = Date.now() - AWAY - HOUR;
  await page.goto(`${ORIGIN}/seed`);
  await page.evaluate((items) => Object.assign(localStorage, items), client.seed?.(then) ?? {});
  const cookies = client.cookies?.(then) ?? [];
  await context.addCookies(cookies.map((cookie) => ({ url: ORIGIN, ...cookie })));
}

async function firstStatus(page, { name }) {
  const tooLate = sleep(PATIENCE, undefined, { ref: false }).then(() => {
    throw new Error(`${name} tells no good status within ${PATIENCE / 1000} s.`);
  });
  return Promise.race([page.evaluate(() => window.bench.first), tooLate]);
}

async function metrics(devTools) {
  const { metrics: all } = await devTools.send("Performance.getMetrics");
  return Object.fromEntries(all.map(({ name, value }) => [name, value]));
}
