// When to start the next run, and when to stop: decisions alone, no clock, no network.

const IDLE_WAIT_MS = 5_000;
const TROUBLE_WAIT_MS = 5_000;
const SPARED_WAIT_MS = 30_000;
/** How often in a row nothing may come of it. */
const MOST_IDLE = 3;
const MOST_TROUBLES = 3;
/** How long in a row is waited for aimharder to be let alone: a breaker opens for minutes at a time. */
const MOST_SPARED_MS = 15 * 60_000;

/** Nothing was met yet. */
export const FRESH = { idle: 0, troubles: 0, sparedMs: 0 };

/**
 * What to do after a run. `told`: `{ claimed, remaining, code?, error?, retryAfterMs? }`. Answers `{ end: why, complete }`, or
 * `{ waitMs, why, met }`, where `met` is to be given back the next time.
 */
export function next(told, met) {
  if (told.remaining === 0) return { end: "Nothing is due any more.", complete: true };
  if (told.code === "upstream_spared") return whenSpared(told, met);
  if (told.code) return whenTroubled(told, met);
  if (told.claimed > 0) return { waitMs: 0, why: "", met: FRESH };
  const idle = met.idle + 1;
  if (told.remaining === null || idle > MOST_IDLE) {
    return { end: "Nothing more can be done now: others have what is due, or it is held back.", complete: false };
  }
  return { waitMs: IDLE_WAIT_MS, why: "nothing was free", met: { ...FRESH, idle } };
}

function whenSpared({ retryAfterMs = SPARED_WAIT_MS, claimed }, met) {
  const waitMs = Math.max(1000, retryAfterMs);
  const sparedMs = (claimed > 0 ? 0 : met.sparedMs) + waitMs;
  if (sparedMs > MOST_SPARED_MS) return { end: "aimharder is left alone for too long to wait.", complete: false };
  return { waitMs, why: "aimharder is left alone", met: { ...FRESH, sparedMs } };
}

/** `batch_failed` needs no time of waiting named; of other failures, those that pass have one. */
function whenTroubled({ code, error, retryAfterMs }, met) {
  const troubles = met.troubles + 1;
  const passes = code === "batch_failed" || retryAfterMs !== undefined;
  if (!passes || troubles > MOST_TROUBLES) return { end: error, complete: false };
  return { waitMs: Math.max(1000, retryAfterMs ?? TROUBLE_WAIT_MS), why: error, met: { ...FRESH, troubles } };
}
