// The folder of one `npm start`: who uses it, and what an earlier one that was killed has left running.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { processes, until, watchRunning } from "./processes.mjs";

const MODULES = path.join(import.meta.dirname, "..", "node_modules");

/** Takes the folder for this process, or fails with one sentence. Answers what gives it back. */
export async function takeState(folder) {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "running.json");
  const earlier = read(file);
  const isOwner = ({ pid, command }) => pid === earlier.pid && pid !== process.pid && command.includes("start.mjs");
  if (processes().some(isOwner)) {
    throw new Error(`"npm start" runs already with ${folder}; end it, or choose another folder with LOCAL_STATE_DIR.`);
  }
  for (const child of earlier.children ?? []) await endGroup(child);
  watchRunning((children) => writeFileSync(file, JSON.stringify({ pid: process.pid, children })));
  return () => {
    watchRunning(() => {});
    rmSync(file, { force: true });
  };
}

/** Ends a child's group, if what has its number now is of the same program, or of this checkout. */
async function endGroup({ pid, program }) {
  // Next's server gives itself a title.
  const isKnown = (command) => [program, "next-server"].some((start) => command.startsWith(start));
  const isOurs = ({ group, command }) => group === pid && (isKnown(command) || command.includes(MODULES));
  if (!processes().some(isOurs)) return;
  // PostgreSQL ends fast and in good order by this; for workerd it takes more.
  process.kill(-pid, program.endsWith("/postgres") ? "SIGINT" : "SIGKILL");
  await until(() => !processes().some(isOurs), { problem: `An earlier ${program} (process ${pid}) does not end.` });
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return {};
  }
}
