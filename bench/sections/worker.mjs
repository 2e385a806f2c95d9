// How large the Worker is, and how long it takes to start.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { layOut, timeStart } from "../contestants/start.mjs";
import { bundleRival, WORKERS } from "../contestants/workers.mjs";
import { digits, spread, table } from "../report/page.mjs";
import { bars } from "../report/plot.mjs";
import { alternate, median, percentile, ratio, summary } from "../statistics.mjs";

const ROOT = path.join(import.meta.dirname, "..", "..");
const BUILD = path.join(ROOT, "edge-worker", "build");
const MOST_UPLOADED = 400_000;
const MOST_START = 2;

/** Workers that answer and do no more: what workerd itself takes, and with our wasm compiled, but not run. */
const EMPTY = `export default { fetch: () => new Response("ok") };`;
const COMPILED = `import module from "./index_bg.wasm";\nglobalThis.kept = module;\n${EMPTY}`;
const STEPS = {
  empty: "an empty Worker",
  compiled: "an empty Worker with our wasm, not instantiated",
  ...WORKERS,
};

export const section = { name: "worker", title: "The Worker's size and start", measure, report };

async function measure({ say, rounds = 21, warmUps = 2 }) {
  const workers = await codes();
  const sizes = Object.fromEntries(Object.keys(WORKERS).map((name) => [name, weigh(workers[name])]));
  const compatibility = settingsOfToml();
  const folders = Object.entries(workers).map(([name, modules]) => [name, layOut({ modules, compatibility })]);
  try {
    const places = Object.fromEntries(folders);
    const times = await alternate(Object.keys(STEPS), { warmUps, rounds }, (name) => timeStart(places[name].folder));
    for (const [name, list] of times) say(`${name} starts in ${digits(summary(list).median)} ms`);
    return { sizes, starts: Object.fromEntries(times) };
  } finally {
    for (const [, { remove }] of folders) remove();
  }
}

async function codes() {
  const js = (contents) => ({ name: "index.js", kind: "esModule", contents });
  const wasm = { name: "index_bg.wasm", kind: "wasm", contents: readFileSync(path.join(BUILD, "index_bg.wasm")) };
  // As its glue names it.
  const beside = { ...wasm, name: "index_bg.wasm" };
  return {
    empty: [js(EMPTY)],
    compiled: [js(COMPILED), beside],
    ours: [js(readFileSync(path.join(BUILD, "index.js"), "utf8")), beside],
    rival: [js(await bundleRival())],
  };
}

/** Bytes; `gzip` as wrangler tells it: of all modules together. */
function weigh(modules) {
  const parts = modules.map(({ contents }) => Buffer.from(contents));
  const all = Buffer.concat(parts);
  const wasm = modules.filter(({ kind }) => kind === "wasm").reduce((sum, { contents }) => sum + contents.length, 0);
  return { wasm, total: all.length, gzip: gzipSync(all).length, brotli: brotliCompressSync(all).length };
}

function settingsOfToml() {
  const { unstable_readConfig: readConfig } = createRequire(import.meta.url)("wrangler");
  const config = readConfig({ config: path.join(ROOT, "wrangler.toml") }, { hideWarnings: true });
  return { date: config.compatibility_date, flags: config.compatibility_flags };
}

/** The part of rounds in which a Worker has to start later than the empty one for its own time to be told from noise. */
const CLEARLY = 0.9;

const beyondEmpty = (starts, name) => starts[name].map((ms, round) => ms - starts.empty[round]);

/**
 * Both ratios, the second of the medians: one round's remainder may be next to nothing, or less. Where the rival's can't be
 * told from noise, ours is too long if nine rounds in ten are beyond what the rival takes in nine of ten.
 */
function compareStarts(starts) {
  const [ours, rival, compiled] = ["ours", "rival", "compiled"].map((name) => beyondEmpty(starts, name));
  const isTold = percentile(rival, 1 - CLEARLY) > 0;
  return {
    whole: ratio(starts.ours, starts.rival),
    own: median(ours) / median(rival),
    isTold,
    isTooLong: isTold
      ? median(ours) / median(rival) > MOST_START
      : percentile(ours, 1 - CLEARLY) > MOST_START * percentile(rival, CLEARLY),
    beyond: { ours: median(ours), rival: median(rival), compiled: median(compiled) },
  };
}

function uploadGoal({ gzip }) {
  return {
    measure: "upload of the Worker, gzipped",
    goal: `< ${MOST_UPLOADED / 1000} kB`,
    measured: `${digits(gzip / 1000)} kB`,
    met: gzip < MOST_UPLOADED,
    reason:
      gzip < MOST_UPLOADED
        ? ""
        : "the goal is from before the dashboard, metrics, alerts, the published contract and key sets; `encoding_rs`'s tables for character sets alone are 115 kB; see [TRIES.md](benchmarks/TRIES.md)",
  };
}

/** By the stricter of both ratios. */
function startGoal({ whole, own, isTold, isTooLong, beyond }) {
  const met = whole.median <= MOST_START && !isTooLong;
  const [ours, rival, compiled] = [beyond.ours, beyond.rival, beyond.compiled].map((ms) => digits(ms));
  const remainder = isTold
    ? `${digits(own)} beyond an empty Worker's start in the same round (${ours} ms against ${rival} ms, medians)`
    : `beyond an empty Worker's start ${ours} ms against ${rival} ms, medians: the latter can't be told from noise, ${isTooLong ? `but ours is more than ${MOST_START} times whatever it is` : "so there is no ratio to judge"}`;
  return {
    measure: "start-up time against the TypeScript Worker's",
    goal: `≤ ${MOST_START}`,
    measured: `${spread(whole)} from nothing, workerd's own start in both; ${remainder}`,
    met,
    reason: met
      ? ""
      : `of ours beyond an empty Worker, ${compiled} ms are the reading and compiling of its wasm, which the TypeScript Worker doesn't have; the rest is its instance and first request`,
  };
}

function report({ sizes, starts }) {
  const beyond = (name) => beyondEmpty(starts, name);
  const compared = compareStarts(starts);
  const sizeRows = Object.entries(sizes).map(([name, { wasm, total, gzip, brotli }]) => [
    WORKERS[name],
    wasm,
    total,
    gzip,
    brotli,
  ]);
  const startRows = Object.entries(STEPS).map(([name, words]) => [
    words,
    spread(summary(starts[name])),
    name === "empty" ? "" : spread(summary(beyond(name))),
  ]);
  const values = Object.entries(STEPS).map(([name, words]) => {
    const { median: value, low, high } = summary(starts[name]);
    return { name: words.split(",")[0], value, low, high };
  });
  return {
    text: text({ sizeRows, startRows, compared, rounds: starts.ours.length }),
    plots: { "worker.svg": bars({ title: "From nothing to the first answer", unit: "milliseconds", values }) },
    goals: [uploadGoal(sizes.ours), startGoal(compared)],
  };
}

function text({ sizeRows, startRows, compared: { whole, own, isTold }, rounds }) {
  const started = ["milliseconds to the first answer", "in all", "beyond an empty Worker"];
  return `
What is uploaded: \`edge-worker/build\` as \`npm start\` and a deployment build it, and the rival bundled and minified by esbuild
(wrangler minifies only if told to: this favours the rival). Gzipped as \`wrangler deploy\` tells it, all modules together. The
rival has only the part of ours that refreshes: no dashboard, no metrics, no alerts, one of four kinds of signatures, no API
contract to serve; and \`HTMLRewriter\`, JSON and cryptography cost it nothing, as they are workerd's.

${table(["bytes", "wasm", "all modules", "gzipped", "with brotli"], sizeRows)}

Start-up: from the start of a fresh workerd, without Miniflare, to the Worker's first answer of \`/healthz\`, which needs no
setting; ${rounds} rounds in turns. Most of it is workerd itself, which Cloudflare has running already: what is beyond an empty
Worker in the same round is the Worker's own.

${table(started, startRows)}

![From nothing to the first answer](benchmarks/worker.svg)

From nothing, workerd's own start in both, ours takes ${digits(whole.median)} times the rival's time. Beyond an empty Worker
${isTold ? `it takes ${digits(own)} times the rival's, by the medians` : "the rival's time can't be told from noise, and a ratio of the two tells nothing"}.
The goal is judged by both. The rival's own time can be told if it started later than the empty Worker in nine rounds of ten; else
ours misses the goal only where it is above any that the rival may have. What the empty Worker with our wasm takes beyond an
empty one is reading and compiling the wasm, which a platform can do once and keep; from there to ours is its instance and the
first request. Not measured: Cloudflare's own start, which \`wrangler deploy\` prints as "Worker Startup Time".`;
}
