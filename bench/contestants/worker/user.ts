// A signed-in user's own refresh.

import { failure, ok } from "./answer";
import { logFailure } from "./batch";
import { claimOfUser, type Finish, finish, type Holder, type Status, type UserClaim } from "./database";
import { refreshOne } from "./refresh";
import type { Settings } from "./settings";

const REUSE_SECONDS = 10;
/** How long a refresh that somebody else has under way may take beyond its bound, for its write. */
const BUSY_MS = 5_000;
const LEASE_MARGIN_SECONDS = 38;

/** Refreshes the user's session now, or waits for who is at it already. */
export async function refreshForUser(email: string, sessionId: string | null, settings: Settings): Promise<Response> {
  const holder: Holder = { runId: null, leaseId: crypto.randomUUID(), trigger: "user" };
  const leaseSeconds = settings.timeoutMs / 1000 + LEASE_MARGIN_SECONDS;
  const wish = { email, sessionId, reuseSeconds: REUSE_SECONDS, leaseSeconds };
  const giveUp = Date.now() + settings.timeoutMs + BUSY_MS;
  for (let wait = 250; ; wait = Math.min(2 * wait, 2_000)) {
    const claim = await claimOfUser(settings, holder, wish);
    const passes = claim.result === "busy" || (claim.result === "spared" && (claim.retryAfterSeconds ?? 1) <= 1);
    if (!passes || Date.now() + wait > giveUp) return settle(claim, holder, settings);
    await scheduler.wait(wait);
  }
}

async function settle(claim: UserClaim, holder: Holder, settings: Settings): Promise<Response> {
  const { result, session, status, now, retryAfterSeconds } = claim;
  if (result === "claimed" && session) {
    if (session.startsInMs) await scheduler.wait(session.startsInMs);
    const entry = await refreshOne(session, settings);
    if (entry.kind !== "refreshed") logFailure(entry, holder);
    const written = await finish(settings, holder, [entry]);
    return settled(entry.outcome ?? "unrecognised", entry.retryAfterSeconds, written, settings);
  }
  if (result === "reused" && status) return ok(refreshAnswer(status, true, now, settings));
  if (result === "expired") return failure("session_expired");
  if (result === "busy") return failure("refresh_in_progress", BUSY_MS / 1000);
  if (result === "too_soon") return failure("too_soon", retryAfterSeconds);
  if (result === "spared") return failure("upstream_spared", retryAfterSeconds);
  return failure("session_not_found");
}

function settled(outcome: string, retryAfter: number | undefined, { now, results }: Finish, settings: Settings) {
  const [written] = results;
  if (!written || written.result === "refused" || written.result === "locked") return failure("database_unavailable");
  if (written.result === "lost") return failure("superseded");
  if (outcome === "refreshed" && written.status) return ok(refreshAnswer(written.status, false, now, settings));
  if (outcome === "expired") {
    return failure(written.status?.state === "expired" ? "session_expired" : "upstream_unrecognised");
  }
  return failure(UPSTREAM[outcome] ?? "upstream_unrecognised", retryAfter);
}

const UPSTREAM: Record<string, string> = {
  throttled: "upstream_throttled",
  refused: "upstream_refused",
  upstream_fault: "upstream_fault",
  unreachable: "upstream_unreachable",
  timed_out: "upstream_timed_out",
  unusable: "session_unusable",
};

function refreshAnswer(status: Status, reused: boolean, now: number, settings: Settings) {
  const date = (moment: number | null) => (moment === null ? null : new Date(moment).toISOString());
  const rested =
    status.lastAttemptAt === null ? status.signedInAt : status.lastAttemptAt + settings.manualSeconds * 1000;
  return {
    refreshed: true,
    reused,
    lastRefreshDate: date(status.lastRefreshDate),
    nextRefreshDue: date(status.nextRefreshAt),
    refreshCount: status.refreshCount,
    state: status.state,
    canRefreshAt: status.leased ? null : date(rested),
    serverTime: date(now),
  };
}
