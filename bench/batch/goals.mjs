// What was wanted of batches, and what came of it. Pure.

import { digits } from "../report/page.mjs";
import { median } from "../statistics.mjs";
import { CHUNKS_OF_6, CHUNKS_OF_10, OURS, QUEUE, WIDTH } from "./names.mjs";
import { caseOf, hundredths, ofLimit, times, wall } from "./times.mjs";

const WIDER = "ten calls at once against six: Workers may have six open";

const WHERE = "where that goes, the section's last table tells part by part";

export function goals(cases) {
  return [
    againstLimit(cases, { measure: "a batch in one invocation, of its limit", name: OURS, bound: 1.1 }),
    againstLimit(cases, { measure: "a batch with four invocations, of their limit", name: QUEUE, bound: 1.2 }),
    againstPause(cases.filter(({ paused }) => paused)),
    againstChunks(cases, CHUNKS_OF_6),
    againstChunks(cases, CHUNKS_OF_10, WIDER),
  ];
}

/** By the worst case; the reason names those that miss it. */
function againstLimit(cases, { measure, name, bound }) {
  const told = (one) => hundredths(ofLimit(one, name));
  const missed = cases.filter((one) => ofLimit(one, name) > bound);
  return {
    measure,
    goal: `within ${bound}`,
    measured: `${hundredths(Math.max(...cases.map((one) => ofLimit(one, name))))} at worst`,
    met: missed.length === 0,
    reason: missed.map((one) => `${caseOf(one)}: ${told(one)}; ${WHERE}`).join("; "),
  };
}

function againstPause(cases) {
  const faster = (one, name) => one.paused / median(wall(one, name));
  const least = (name) => Math.min(...cases.map((one) => faster(one, name)));
  const missed = cases.filter((one) => faster(one, OURS) < 20);
  const slowest = Math.max(...cases.map(({ latencyMs }) => latencyMs));
  const most = digits((WIDTH * (1000 + slowest)) / slowest);
  const told = missed.map((one) => `${caseOf(one)}: ${digits(faster(one, OURS))}`).join("; ");
  return {
    measure: "a batch against the service with its pause",
    goal: "at least 20 times faster",
    measured: `${digits(least(OURS))} times in one invocation, ${digits(least(QUEUE))} with four, at least`,
    met: missed.length === 0,
    reason: told && `${told} (6 × (1 s + latency) / latency is at most ${most} at ${slowest} ms in one invocation)`,
  };
}

/** By the worst case; the reason names those in which one invocation is slower, and `why` if that is known. */
function againstChunks(cases, service, why = "") {
  const least = (name) => Math.min(...cases.map((one) => times(one, service, name)));
  const missed = cases.filter((one) => times(one, service, OURS) < 1);
  const told = missed.map((one) => `${caseOf(one)}: ${hundredths(times(one, service, OURS))}`);
  return {
    measure: `a batch against the ${service}`,
    goal: "never slower",
    measured: `${hundredths(least(OURS))} times as fast in one invocation, ${hundredths(least(QUEUE))} with four, at least`,
    met: missed.length === 0,
    reason: missed.length > 0 ? [why, ...told].filter(Boolean).join("; ") : "",
  };
}
