// Runs one long step, showing that it lives. Node's own modules only: it works before `npm ci`.

import { spawn } from "node:child_process";

const HEARTBEAT_MS = 10_000;

/**
 * Runs a program to its end. Its last lines are shown if it fails; every ten seconds one is shown as progress.
 * `silence`: how long it may print nothing, in ms, before it is ended.
 */
export async function run(program, args, { say, what, cwd, environment = {}, silence } = {}) {
  const started = Date.now();
  say(`${what} …`);
  const child = spawn(program, args, { cwd, env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
  const lines = [];
  let heard = Date.now();
  const hear = (text) => {
    heard = Date.now();
    lines.push(...text.split("\n").map((line) => line.trimEnd()).filter(Boolean));
    lines.splice(0, Math.max(0, lines.length - 40));
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", hear);
  const beat = setInterval(() => say(`${what}: ${seconds(started)} s … ${lines.at(-1)?.slice(0, 70) ?? ""}`), HEARTBEAT_MS);
  const watch = setInterval(() => silence && Date.now() - heard > silence && child.kill("SIGKILL"), 1000);
  const ended = await new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(code === 0 ? "" : `it ended with ${signal ?? `code ${code}`}`));
  });
  clearInterval(beat);
  clearInterval(watch);
  if (ended) throw new Error(`${what} failed: ${ended}.\n${lines.join("\n")}`);
  say(`${what}: done in ${seconds(started)} s`);
}

function seconds(since) {
  return Math.round((Date.now() - since) / 1000);
}
