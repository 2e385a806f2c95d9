// `ops tail`: runs as they end.

import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "./failure.mjs";
import { clock, counted, many, plain, span, took } from "./words.mjs";

const EVERY_MS = 5_000;
const LOOKED_AT = 20;
/** A run is over after 45 s: one that did not say so by now never will. */
const LOST_AFTER_MS = 120_000;

export async function tail({ call, output, values }) {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, leave);
  const { signal } = leaving;
  try {
    await follow({ call, output, signal, last: values.last });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  output.clear();
  return 0;
}

async function follow({ call, output, signal, last }) {
  const look = () => call(`runs?limit=${LOOKED_AT}`, { signal });
  const seen = new Set();
  const first = await look();
  const earlier = unseen(first, seen);
  show(output, earlier.slice(earlier.length - Math.min(last, earlier.length)), first.serverTime);
  for (;;) {
    output.draw("waiting for runs …");
    await sleep(EVERY_MS, undefined, { signal });
    const told = await patiently(look, { output, signal });
    const fresh = unseen(told, seen);
    if (fresh.length === LOOKED_AT) output.note(`More than ${LOOKED_AT} runs may have ended: some are left out.`);
    show(output, fresh, told.serverTime);
  }
}

/** Asks until there is an answer: who watches a Worker wants to see it come back. */
async function patiently(look, { output, signal }) {
  for (let told = false; ; told = true) {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof Failure) || error.facts.status === 401) throw error;
      if (!told) output.note(`${error.message} Trying again every ${span(EVERY_MS / 1000)}.`);
    }
    await sleep(EVERY_MS, undefined, { signal });
  }
}

/** Runs that ended, or were lost, since the last look; oldest first. */
export function unseen({ runs, serverTime }, seen) {
  const over = runs.filter(
    ({ finishedAt, startedAt }) => finishedAt || new Date(serverTime) - new Date(startedAt) > LOST_AFTER_MS,
  );
  const fresh = over.filter(({ id }) => !seen.has(id));
  for (const { id } of fresh) seen.add(id);
  return fresh.reverse();
}

function show(output, runs, now) {
  output.clear();
  for (const run of runs) {
    output.tell(run, { lines: true });
    const failed = run.failed > 0 || run.error || !run.finishedAt;
    output.say(failed ? output.style("yellow", lineOf(run, now)) : lineOf(run, now));
  }
}

function lineOf(run, now) {
  const { startedAt, finishedAt, trigger, refreshed, expired, failed, remaining, durationMs, error } = run;
  const head = `${clock(startedAt, now)}  ${plain(trigger).padEnd(12)}`;
  if (!finishedAt) return `${head}  never ended: its Worker died, most likely`;
  const counts = `${many(refreshed)} refreshed, ${many(expired)} expired, ${many(failed)} failed`;
  const due = remaining === null ? "" : `, ${counted(remaining)} due`;
  return `${head}  ${counts}${due}, ${took(durationMs ?? 0)}${error ? `; ${plain(error)}` : ""}`;
}
