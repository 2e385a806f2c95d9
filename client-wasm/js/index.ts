// What a frontend without a framework uses.

export { createRefreshClient } from "./client.js";
export type { RefreshClient, RefreshClientOptions, RefreshError, RefreshSnapshot } from "./client.js";
export type { Blocked, Health, SessionState } from "./core.js";
export type { Problem, RefreshAnswer, RefreshStatus, SessionCheck } from "./wire.js";
