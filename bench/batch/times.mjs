// What the figures of a case tell. Pure.

import { median, ratio } from "../statistics.mjs";
import { widthOf } from "./names.mjs";

/** Measured once for 120 sessions; more of them take as much longer. */
export function pausedMs(measured, { count, latencyMs }) {
  const found = measured.find((one) => one.latencyMs === latencyMs);
  return found && (found.ms / found.count) * count;
}

/** A case as it is named in the text. */
export const caseOf = ({ count, latencyMs }) => `${count.toLocaleString("en")} at ${latencyMs} ms`;

export const limitMs = (name, { count, latencyMs }) => Math.ceil(count / widthOf(name)) * latencyMs;

export const wall = (one, name) => one.runs[name].map(({ ms }) => ms);

/** Of each round's pair how often the second goes into the first, in the middle. */
export const times = (one, name, other) => ratio(wall(one, name), wall(one, other)).median;

export const ofLimit = (one, name) => median(wall(one, name)) / limitMs(name, one);

export const hundredths = (number) => number.toFixed(2);
