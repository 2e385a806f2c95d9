// Who takes part in a batch, and how wide each is.

export const OURS = "ours, one invocation";
export const QUEUE = "ours, four invocations";
export const RIVAL = "TypeScript Worker, one invocation";
export const CHUNKS_OF_6 = "service, chunks of 6";
export const CHUNKS_OF_10 = "service, chunks of 10";
export const PAUSED = "service, with its pause";

/** Fetches that the platform lets one invocation wait for at once. */
export const WIDTH = 6;

/** Invocations at work side by side where the queue has woken them. */
export const CONSUMERS = 4;

const WIDTHS = { [QUEUE]: WIDTH * CONSUMERS, [CHUNKS_OF_10]: 10 };

/** Calls that it may have under way. */
export const widthOf = (name) => WIDTHS[name] ?? WIDTH;
