// The example app: built once, then served as it would be in production.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fingerprint } from "./build.mjs";
import { buildClient } from "./client.mjs";
import { start, stop, until } from "./processes.mjs";
import { run } from "./run.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const HOME = path.join(ROOT, "examples", "next-app");
const NEXT = path.join(ROOT, "node_modules", "next", "dist", "bin", "next");
const QUIET = { NEXT_TELEMETRY_DISABLED: "1" };
const MADE = /\/(\.next|node_modules|next-env\.d\.ts)/;

/** Builds the client's package and the app. Nothing is done if no source is newer. */
export async function buildExample() {
  await buildClient();
  const stamp = path.join(HOME, ".next", "made-from");
  const key = fingerprint(["examples/next-app"], (file) => !MADE.test(file)) + readFileSync(CLIENT, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key) return;
  rmSync(path.join(HOME, ".next"), { recursive: true, force: true });
  const say = (text) => console.log(`[example] ${text}`);
  await run(process.execPath, [NEXT, "build"], { say, what: "build the example app", cwd: HOME, environment: QUIET });
  writeFileSync(stamp, key);
}

const CLIENT = path.join(ROOT, "client-wasm", "dist", "made-from");

/** Serves it. `settings`: what the app reads from its environment. Answers `{ url, stop }`. */
export async function startExample({ port, settings }) {
  const lines = [];
  const server = start(process.execPath, [NEXT, "start", "--hostname", "127.0.0.1", "--port", String(port)], {
    cwd: HOME,
    env: { ...process.env, ...QUIET, ...settings },
    group: true,
    log: (line) => lines.push(line),
  });
  const url = `http://127.0.0.1:${port}`;
  let ended = false;
  server.ended.then(() => (ended = true));
  const ready = async () => {
    if (ended) throw new Error(`the example app ended at once:\n${lines.slice(-10).join("\n")}`);
    return (await fetch(url, { redirect: "manual" }).catch(() => undefined))?.status < 500;
  };
  await until(ready, { seconds: 30, problem: () => `the example app did not start:\n${lines.slice(-10).join("\n")}` });
  return { url, stop: () => stop(server) };
}
