// Runs one long step, showing that it lives. Node's own modules only: it works before `npm ci`.

import { start, stop } from "./processes.mjs";

const HEARTBEAT_MS = 10_000;

/**
 * Runs a program to its end. Its last lines are shown if it fails; every ten seconds one is shown as progress.
 * `silence`: how long it may print nothing, in ms, before it is ended.
 */
export async function run(program, args, { say, what, cwd, environment = {}, silence } = {}) {
  const started = Date.now();
  say(`${what} …`);
  const lines = [];
  let heard = Date.now();
  const log = (line) => {
    heard = Date.now();
    if (line.trim()) lines.push(line.trimEnd());
    lines.splice(0, Math.max(0, lines.length - 40));
  };
  const child = start(program, args, { cwd, env: { ...process.env, ...environment }, group: true, log });
  const beat = setInterval(
    () => say(`${what}: ${seconds(started)} s … ${lines.at(-1)?.slice(0, 70) ?? ""}`),
    HEARTBEAT_MS,
  );
  const watch = setInterval(() => silence && Date.now() - heard > silence && stop(child, { signal: "SIGKILL" }), 1000);
  const { error, code, signal } = await child.ended;
  const ended = error ? error.message : code === 0 ? "" : `it ended with ${signal ?? `code ${code}`}`;
  clearInterval(beat);
  clearInterval(watch);
  if (ended) throw new Error(`${what} failed: ${ended}.\n${lines.join("\n")}`);
  say(`${what}: done in ${seconds(started)} s`);
}

function seconds(since) {
  return Math.round((Date.now() - since) / 1000);
}
