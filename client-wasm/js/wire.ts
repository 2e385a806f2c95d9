// The JSON of the Worker's routes. Made from session-core/src/wire.rs by its tests.

export type Timestamp = string;

export type State = "active" | "expired" | "exhausted";

export type Recommendation = "none" | "refresh" | "login";

export type RefreshStatus = { 
/**
 * Which of the user's sessions this is.
 */
sessionId: string, 
/**
 * The last success.
 */
lastRefreshDate: Timestamp | null, 
/**
 * When the next one falls due.
 */
nextRefreshDue: Timestamp | null, 
/**
 * Whether it is due already.
 */
needsRefresh: boolean, 
/**
 * Whether `POST` would call upstream now.
 */
canRefresh: boolean, 
/**
 * From when on it would; `null` while a refresh is under way, and where only a sign-in helps.
 */
canRefreshAt: Timestamp | null, 
/**
 * Whether a refresh is under way.
 */
isRefreshing: boolean, 
/**
 * Successes so far.
 */
refreshCount: number, 
/**
 * How the session stands.
 */
state: State, 
/**
 * The last attempt's outcome code, where it failed.
 */
lastError: string | null, 
/**
 * The server's clock.
 */
serverTime: Timestamp, };

export type SessionCheck = { 
/**
 * Whether the session can be used for bookings, as far as is known.
 */
sessionValid: boolean, 
/**
 * Until when, if no refresh succeeds any more.
 */
validUntil: Timestamp, 
/**
 * What to do.
 */
recommendation: Recommendation, 
/**
 * Which of the user's sessions this is.
 */
sessionId: string, 
/**
 * The last success.
 */
lastRefreshDate: Timestamp | null, 
/**
 * When the next one falls due.
 */
nextRefreshDue: Timestamp | null, 
/**
 * Whether it is due already.
 */
needsRefresh: boolean, 
/**
 * Whether `POST` would call upstream now.
 */
canRefresh: boolean, 
/**
 * From when on it would; `null` while a refresh is under way, and where only a sign-in helps.
 */
canRefreshAt: Timestamp | null, 
/**
 * Whether a refresh is under way.
 */
isRefreshing: boolean, 
/**
 * Successes so far.
 */
refreshCount: number, 
/**
 * How the session stands.
 */
state: State, 
/**
 * The last attempt's outcome code, where it failed.
 */
lastError: string | null, 
/**
 * The server's clock.
 */
serverTime: Timestamp, };

export type RefreshAnswer = { 
/**
 * The session is fresh: renewed by this call, or moments ago by another.
 */
refreshed: boolean, 
/**
 * It was another call that renewed it.
 */
reused: boolean, 
/**
 * The last success.
 */
lastRefreshDate: Timestamp | null, 
/**
 * When the next one falls due.
 */
nextRefreshDue: Timestamp | null, 
/**
 * Successes so far.
 */
refreshCount: number, 
/**
 * How the session stands.
 */
state: State, 
/**
 * From when on a further refresh by hand is possible.
 */
canRefreshAt: Timestamp | null, 
/**
 * The server's clock.
 */
serverTime: Timestamp, };

export type Problem = { 
/**
 * Always `false`.
 */
success: boolean, 
/**
 * A sentence for people.
 */
error: string, 
/**
 * Stable, for programs.
 */
code: string, 
/**
 * Names the request in the log.
 */
requestId: string, 
/**
 * The server's clock.
 */
serverTime: Timestamp, };
