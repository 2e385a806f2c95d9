// The two Workers that are measured against each other, each in a workerd of its own: this project's, and one in TypeScript
// that does the same work over the same database functions.

import path from "node:path";
import { build } from "esbuild";
import { processes } from "../../local/processes.mjs";

const RIVAL = path.join(import.meta.dirname, "worker");

export const WORKERS = { ours: "this project", rival: "the TypeScript Worker" };

let bundled;

/** The rival's code as wrangler would upload it: one module. */
export function bundleRival() {
  bundled ??= build({
    entryPoints: [path.join(RIVAL, "index.ts")],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    write: false,
  }).then(({ outputFiles }) => outputFiles[0].text);
  return bundled;
}

/**
 * Starts one of them beside a world's database and stand-in; ends with the world, or by its own `stop`. It is a Worker as
 * tests know it (`batch`, `tick`, `deliver`, `call`), with `pid`, its own workerd's. `miniflare`: further options.
 */
export async function startContestant(world, name, settings = {}, miniflare = {}) {
  const code = name === "rival" ? await rivalCode() : {};
  const before = new Set(workerds());
  const worker = await world.startWorker(settings, { stillClock: false, miniflare: { ...code, ...miniflare } });
  const [pid, ...others] = workerds().filter((candidate) => !before.has(candidate));
  if (!pid || others.length > 0) throw new Error("It can't be told which workerd is whose.");
  return Object.assign(worker, { name, pid });
}

async function rivalCode() {
  const modules = [{ type: "ESModule", path: path.join(RIVAL, "index.js"), contents: await bundleRival() }];
  return { rootPath: RIVAL, modules };
}

function workerds() {
  const own = processes().filter(({ parent, command }) => parent === process.pid && command.includes("workerd"));
  return own.map(({ pid }) => pid);
}
