// Child processes that never outlive this one.

import { execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const running = new Set();
let changed = () => {};

/** Calls `handle` with `[{ pid, program }]` for all that runs, now and whenever that changes. */
export function watchRunning(handle) {
  changed = () => handle([...running].map((child) => ({ pid: child.pid, program: child.spawnfile })));
  changed();
}

// The last resort: whatever else went wrong, nothing is left behind.
process.on("exit", () => {
  for (const child of running) kill(child, "SIGKILL");
});

// A program without a way of its own to end, such as a file of tests, would die of these without an `exit`.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => process.listenerCount(signal) === 1 && process.exit(130));
}

/** Starts a program; `log` gets each line that it prints. With `group`, it leads a process group of its own. */
export function start(command, args, { log = () => {}, group = false, ...options } = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: group, ...options });
  child.ownGroup = group;
  running.add(child);
  changed();
  child.ended = new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("exit", (code, signal) => resolve({ code, signal }));
  }).finally(() => {
    running.delete(child);
    changed();
    // A leader that died by itself may have left its group behind.
    if (group) kill(child, "SIGKILL");
  });
  for (const stream of [child.stdout, child.stderr]) onLines(stream, log);
  return child;
}

/** Asks a process to end, and makes it after `patience` ms. */
export async function stop(child, { signal = "SIGINT", patience = 5000 } = {}) {
  if (!running.has(child)) return;
  kill(child, signal);
  const timer = setTimeout(() => kill(child, "SIGKILL"), patience);
  await child.ended;
  clearTimeout(timer);
}

function kill(child, signal) {
  if (!child.pid) return;
  try {
    process.kill(child.ownGroup ? -child.pid : child.pid, signal);
  } catch {
    // It has ended already.
  }
}

/** What runs on this machine: `{ pid, parent, group, command }` for each process. */
export function processes() {
  const format = { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 };
  const list = execFileSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,pgid=,stat=,args="], format);
  const rows = list.split("\n").map((line) => line.match(/^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/));
  // With threads left ("l"), it has its ports still.
  const hasEnded = (state) => state.startsWith("Z") && !state.includes("l");
  return rows
    .filter((row) => row && !hasEnded(row[4]))
    .map(([, pid, parent, group, , command]) => ({
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      command,
    }));
}

export function onLines(stream, handle) {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    lines.forEach(handle);
  });
  stream.on("end", () => rest && handle(rest));
}

/** Calls `probe` until it answers something true; throws `problem` after `seconds`. */
export async function until(probe, { seconds = 20, every = 50, problem = "It did not start in time." } = {}) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(typeof problem === "function" ? problem() : problem);
    await sleep(every);
  }
}

/** Linux counts a process' time on the processors in hundredths of a second. */
const TICK_MS = 10;

/** Milliseconds on the processors that a process has used, those of its children that ended included. Linux only. */
export function cpuTime(pid) {
  const { user, system } = cpuTimes(pid);
  return user + system;
}

/** The same apart: in the program, and in the system on its behalf. */
export function cpuTimes(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the name, which is in brackets: user and system time, the process' own and its ended children's.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15);
  const [user, system, usersChildren, systemsChildren] = fields.map((ticks) => Number(ticks) * TICK_MS);
  return { user: user + usersChildren, system: system + systemsChildren };
}

const given = new Set();

/**
 * A port of this machine that is free, and stays so until it is used: below those that systems hand out by themselves,
 * to servers that ask for any and to outgoing connections. None is given twice, nor to two files of tests that run at
 * the same time.
 */
export async function freePort() {
  // node:test numbers its processes from 1.
  const share = Number(process.env.NODE_TEST_WORKER_ID ?? 0) % 8;
  for (;;) {
    const port = randomInt(20_000, 21_500) + 1_500 * share;
    if (given.has(port)) continue;
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    given.add(port);
    return port;
  }
}

/** Fails with one sentence if something listens on the port. */
export async function assertFree(port, what, variable) {
  const server = createServer();
  await new Promise((resolve, reject) => {
    server.once("error", () =>
      reject(new Error(`Port ${port} for ${what} is in use; end what uses it, or choose another with ${variable}.`)),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
