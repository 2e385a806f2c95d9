// The folder of one `npm start`: who uses it, and what an earlier one that was killed has left running.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { processes, until } from "./processes.mjs";

const ROOT = path.join(import.meta.dirname, "..");

/** Takes the folder for this process, or fails with one sentence. Answers `{ note(group), release() }`. */
export async function takeState(folder) {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "running.json");
  const earlier = read(file);
  const all = processes();
  if (all.some(({ pid, command }) => pid === earlier.pid && pid !== process.pid && command.includes("start.mjs"))) {
    throw new Error(`"npm start" runs already with ${folder}; end it, or choose another folder with LOCAL_STATE_DIR.`);
  }
  await endGroup(earlier.group, all);
  const write = (group) => writeFileSync(file, JSON.stringify({ pid: process.pid, group }));
  write();
  return { note: write, release: () => rmSync(file, { force: true }) };
}

/** Ends wrangler's group, if what has that number now is one of this checkout. */
async function endGroup(group, all) {
  const isOurs = (running) => running.group === group && running.command.includes(path.join(ROOT, "node_modules"));
  if (!group || !all.some(isOurs)) return;
  process.kill(-group, "SIGKILL");
  await until(() => !processes().some(isOurs), {
    problem: `An earlier wrangler (process group ${group}) does not end.`,
  });
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return {};
  }
}
