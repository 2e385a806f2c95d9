// `ops run`: runs, one after the other, until nothing is due.

import { setTimeout as sleep } from "node:timers/promises";
import { Failure, NOT_WELL } from "./failure.mjs";
import { FRESH, next } from "./pace.mjs";
import { counted, many, plain, plural, span, took } from "./words.mjs";

const RUN_MS = 60_000;
const FRAME_MS = 120;
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const COUNTS = ["claimed", "refreshed", "expired", "failed", "superseded", "released", "unwritten"];
const INTERRUPTED = 130;

export async function run({ call, output, values }) {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, leave);
  const total = { runs: 0, ...Object.fromEntries(COUNTS.map((name) => [name, 0])), outcomes: {}, remaining: null };
  const drawing = progress(output, total);
  try {
    const ended = await runs({ call, output, total, drawing, once: values.once, signal: leaving.signal });
    return conclude(output, total, ended, drawing.seconds());
  } finally {
    drawing.stop();
    for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, leave);
  }
}

/** Runs until an end; answers `{ end, complete, failure? }`. */
async function runs({ call, output, total, drawing, once, signal }) {
  let met = FRESH;
  for (;;) {
    drawing.doing = "";
    const told = await oneRun(call, signal);
    if (signal.aborted) return { end: "Interrupted; the run under way winds up.", interrupted: true };
    if (told.failure && !told.runId && total.runs === 0 && told.retryAfterMs === undefined) throw told.failure;
    if (told.runId) add(total, told);
    if (!output.stderr.isTTY) output.note(lineOf(told, total.runs));
    const then = once && !told.code ? { end: "One run was made.", complete: true } : next(told, met);
    if (then.end || once) return { failure: told.failure, ...then, end: then.end ?? told.error };
    met = then.met;
    if (then.waitMs > 0) await pause(then, { output, drawing, signal });
    if (signal.aborted) return { end: "Interrupted.", interrupted: true };
  }
}

/** A run's summary; of one that failed with what it tells of itself, and the failure. */
async function oneRun(call, signal) {
  try {
    return await call("refresh-sessions", { method: "POST", json: {}, longer: RUN_MS, signal });
  } catch (failure) {
    if (signal.aborted) return {};
    if (!(failure instanceof Failure)) throw failure;
    const { body = {}, code, retryAfterMs } = failure.facts;
    return { claimed: 0, remaining: null, ...body, code, error: failure.message, retryAfterMs, failure };
  }
}

function add(total, told) {
  total.runs += 1;
  for (const name of COUNTS) total[name] += told[name] ?? 0;
  for (const [outcome, count] of Object.entries(told.outcomes ?? {})) {
    total.outcomes[outcome] = (total.outcomes[outcome] ?? 0) + count;
  }
  total.remaining = told.remaining;
}

async function pause({ waitMs, why }, { output, drawing, signal }) {
  if (!output.stderr.isTTY) output.note(`${why.replace(/\.$/, "")}; again in ${span(waitMs / 1000)}`);
  drawing.doing = `${why.replace(/\.$/, "")}; again in ${span(waitMs / 1000)}`;
  await sleep(waitMs, undefined, { signal }).catch(() => {});
}

const left = (remaining) => (remaining === null ? "how many are left is unknown" : `${counted(remaining)} left`);

function lineOf({ runId, claimed, refreshed, expired, failed, remaining, durationMs, error }, number) {
  if (!runId) return `no run: ${error}`;
  const counts = `${many(claimed)} claimed, ${many(refreshed)} refreshed, ${many(expired)} expired, ${many(failed)} failed`;
  return `run ${number}: ${counts}, ${left(remaining)}, ${took(durationMs)}`;
}

/** A line on the terminal that shows that something goes on. */
function progress(output, total) {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const drawing = { doing: "", seconds };
  let frame = 0;
  const draw = () => {
    frame = (frame + 1) % FRAMES.length;
    const counts = `${many(total.refreshed)} refreshed, ${many(total.expired)} expired, ${many(total.failed)} failed`;
    const to = total.remaining === null ? "" : `, ${left(total.remaining)}`;
    output.draw(`${FRAMES[frame]} ${drawing.doing || `run ${total.runs + 1}`} · ${counts}${to} · ${span(seconds())}`);
  };
  const timer = output.stderr.isTTY ? setInterval(draw, FRAME_MS) : undefined;
  drawing.stop = () => {
    clearInterval(timer);
    output.clear();
  };
  return drawing;
}

function conclude(output, total, { end, complete, interrupted, failure }, seconds) {
  const well = Boolean(complete) && !failure && total.failed === 0 && total.unwritten === 0;
  output.clear();
  output.tell({ success: well, ...total, seconds: Math.round(seconds), end, ...(failure && { problem: failure }) });
  output.say(end, "");
  const others = Object.entries(total.outcomes).filter(([outcome]) => !["refreshed", "expired"].includes(outcome));
  output.facts([
    ["Runs", `${many(total.runs)}, ${span(seconds)}`],
    ["Claimed", many(total.claimed)],
    ["Refreshed", many(total.refreshed)],
    ["Expired", many(total.expired)],
    ["Failed", [many(total.failed), ...others.map(([code, count]) => `${plain(code)} ${many(count)}`)].join("; ")],
    ...(total.unwritten > 0 ? [["Unwritten", `${plural(total.unwritten, "result")}, to be done again`]] : []),
    ["Left", total.remaining === null ? "not known" : counted(total.remaining)],
  ]);
  if (interrupted) return INTERRUPTED;
  if (failure && failure.exit !== NOT_WELL) return failure.exit;
  return well ? 0 : NOT_WELL;
}
