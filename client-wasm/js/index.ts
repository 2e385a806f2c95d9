// What a frontend without a framework uses.

export type { RefreshClient, RefreshClientOptions, RefreshError, RefreshSnapshot, TokenSource } from "./client.js";
export { createRefreshClient } from "./client.js";
export type { Blocked, Health, SessionState } from "./core.js";
export type { Problem, RefreshAnswer, RefreshStatus, SessionCheck } from "./wire.js";
