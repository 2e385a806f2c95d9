// This project's client, and the Worker as it answers a browser.

import { MINUTE, SECOND } from "../times.mjs";

const DUE = 20 * MINUTE;

export function ours() {
  return {
    name: "this project's client",
    page: "ours.mjs",
    ...refreshService(),
    remark: "waits as the answer says, 503 without Retry-After ever longer, and asks from one tab alone",
  };
}

/** `POST` refreshes and `GET` tells: also what a hook written by hand asks. */
export function refreshService() {
  const refreshed = { at: 0, count: 0 };
  return {
    endpoint: /^\/api\/auth\/refresh$/,
    throttled: (now) => ({ success: false, code: "too_soon", error: "Please wait.", serverTime: iso(now) }),
    well: (request, now) => {
      if (!refreshed.at) refreshed.at = now - DUE + MINUTE;
      if (request.method() === "POST") Object.assign(refreshed, { at: now, count: refreshed.count + 1 });
      return { ...answer(request, refreshed, now), serverTime: iso(now) };
    },
  };
}

function answer(request, { at, count }, now) {
  const due = at + DUE;
  const common = {
    lastRefreshDate: iso(at),
    nextRefreshDue: iso(due),
    refreshCount: count,
    state: "active",
    canRefreshAt: iso(at + 30 * SECOND),
  };
  if (request.method() === "POST") return { ...common, refreshed: true, reused: false };
  return {
    ...common,
    sessionId: "1",
    needsRefresh: due <= now,
    canRefresh: true,
    isRefreshing: false,
    lastError: null,
  };
}

const iso = (time) => new Date(time).toISOString();
