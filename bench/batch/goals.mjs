// What was wanted of batches, and what came of it. Pure.

import { digits } from "../report/page.mjs";
import { median } from "../statistics.mjs";
import { CHUNKS_OF_6, CHUNKS_OF_10, OURS, QUEUE, WIDTH } from "./names.mjs";
import { hundredths, ofLimit, times, wall } from "./times.mjs";

const WIDER = "it has ten calls under way, where Cloudflare lets an invocation have six";

export function goals(cases) {
  return [
    againstLimit(cases, { measure: "a batch in one invocation, of its limit", name: OURS, bound: 1.1 }),
    againstLimit(cases, { measure: "a batch with four invocations, of their limit", name: QUEUE, bound: 1.2 }),
    againstPause(cases.filter(({ paused }) => paused)),
    againstChunks(cases, CHUNKS_OF_6, ""),
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
    reason: missed.map((one) => `${one.count} at ${one.latencyMs} ms: ${told(one)}`).join("; "),
  };
}

function againstPause(cases) {
  const least = (name) => Math.min(...cases.map((one) => one.paused / median(wall(one, name))));
  const most = Math.min(...cases.map(({ latencyMs }) => (WIDTH * (1000 + latencyMs)) / latencyMs));
  const met = least(OURS) >= 20;
  return {
    measure: "a batch against the service with its pause",
    goal: "at least 20 times faster",
    measured: `${digits(least(OURS))} times in one invocation, ${digits(least(QUEUE))} with four, at least`,
    met,
    reason: met
      ? ""
      : `six calls at once are 6 × (1 s + latency) / latency times as fast at most: ${digits(most)} at the slowest upstream`,
  };
}

function againstChunks(cases, service, reason) {
  const least = (name) => Math.min(...cases.map((one) => times(one, service, name)));
  const met = least(OURS) >= 1;
  return {
    measure: `a batch against the ${service}`,
    goal: "never slower",
    measured: `${hundredths(least(OURS))} times as fast in one invocation, ${hundredths(least(QUEUE))} with four, at least`,
    met,
    reason: met ? "" : reason,
  };
}
