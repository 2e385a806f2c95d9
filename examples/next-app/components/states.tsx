"use client";

import { RefreshIndicator, type RefreshToken } from "aimharder-keepalive-client/react";

/** Every state, with made-up values around `now`, the time of the request. */
export function States({ now }: { now: number }) {
  return Object.entries(states(now)).map(([name, changes]) => {
    const token = { ...healthy(now), ...changes };
    return (
      <section key={name} className="state" aria-labelledby={name}>
        <h2 id={name}>{name}</h2>
        <RefreshIndicator token={token} locale="en" onSignIn={nothing} />
        <RefreshIndicator token={token} locale="es" onSignIn={nothing} />
      </section>
    );
  });
}

const nothing = () => {};

const healthy = (now: number): RefreshToken => {
  const { refresh, checkStatus, ...rest } = {
    refresh: async () => rest,
    checkStatus: async () => rest,
    state: "active" as const,
    health: "healthy" as const,
    lastRefreshDate: ago(now, 3 * 60),
    nextRefreshDue: ahead(now, 14 * 60),
    refreshCount: 42,
    needsRefresh: false,
    isRefreshing: false,
    canRefresh: true,
    canRefreshAt: null,
    blocked: null,
    clockOffset: 0,
    error: null,
  };
  return { ...rest, refresh, checkStatus };
};

const ahead = (now: number, seconds: number) => new Date(now + seconds * 1000);
const ago = (now: number, seconds: number) => ahead(now, -seconds);

function states(now: number): Record<string, Partial<RefreshToken>> {
  const wait = { canRefresh: false, blocked: "wait" as const, canRefreshAt: ahead(now, 90) };
  const signIn = { canRefresh: false, blocked: "sign_in" as const };
  const none = { lastRefreshDate: null, nextRefreshDue: null, refreshCount: 0 };
  const trouble = (code: string, retryIn?: number): Partial<RefreshToken> => ({
    health: "degraded",
    lastRefreshDate: ago(now, 41 * 60),
    error: { code, message: "", ...(retryIn && { retryAt: ahead(now, retryIn) }) },
  });
  return {
    healthy: {},
    refreshing: { isRefreshing: true, canRefresh: false, blocked: "busy", lastRefreshDate: ago(now, 17 * 60) },
    wait: { ...wait, lastRefreshDate: ago(now, 8) },
    due: { health: "due", needsRefresh: true, lastRefreshDate: ago(now, 19 * 60) },
    throttled: { ...trouble("upstream_throttled", 93), ...wait },
    fault: trouble("upstream_fault", 42),
    database: trouble("database_unavailable", 8),
    network: trouble("network", 25),
    other: trouble("http_418"),
    unusable: { ...trouble("session_unusable"), ...signIn },
    "no session": { ...trouble("session_not_found"), ...none, state: "unknown" },
    expired: { health: "expired", state: "expired", ...signIn, error: { code: "session_expired", message: "" } },
    "signed out": {
      ...none,
      ...signIn,
      health: "unknown",
      state: "signed_out",
      error: { code: "unauthorized", message: "" },
    },
    unavailable: { ...none, health: "unknown", state: "unavailable" },
    unknown: { ...none, health: "unknown", state: "unknown", canRefresh: false },
    "new session": none,
  };
}
