// The clients that are compared, and the servers that they expect.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const HOUR = 60 * 60 * 1000;
const SECOND = 1000;

/** How long each page is left alone before the trouble: by its end every session is due. */
export const AWAY = 10 * 60 * SECOND;

/** The name of a package with its installed version. */
export function versionOf(name, module = name) {
  let folder = path.dirname(createRequire(import.meta.url).resolve(module));
  while (!folder.endsWith(name) || !existsSync(path.join(folder, "package.json"))) folder = path.dirname(folder);
  return `${name} ${JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")).version}`;
}

const iso = (time) => new Date(time).toISOString();

/**
 * `page`: the app. `endpoint`: what it asks. `log`: where it reports failures. `well(request, now)`: its server's good
 * answer; `throttled`: its 429. `seed(now)`: what an earlier sign-in left in the browser's storage.
 */
export function clients() {
  const auth = versionOf("@supabase/auth-js");
  return [
    ours(),
    authJs(`${auth}, token about to expire`, AWAY + 105 * SECOND),
    authJs(`${auth}, token expired`, AWAY - 5 * 60 * SECOND),
    nextAuth(versionOf("next-auth", "next-auth/react")),
  ];
}

function ours() {
  const refreshed = { at: 0, count: 0 };
  return {
    name: "this project's client",
    page: "ours.mjs",
    endpoint: /^\/api\/auth\/refresh$/,
    throttled: (now) => ({ success: false, code: "too_soon", error: "Please wait.", serverTime: iso(now) }),
    well: (request, now) => {
      if (!refreshed.at) refreshed.at = now - 19 * 60 * SECOND;
      if (request.method() === "POST") Object.assign(refreshed, { at: now, count: refreshed.count + 1 });
      return { ...oursAnswer(request, refreshed, now), serverTime: iso(now) };
    },
  };
}

function oursAnswer(request, { at, count }, now) {
  const due = at + 20 * 60 * SECOND;
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

function authJs(name, life) {
  return {
    name,
    page: "auth-js.mjs",
    endpoint: /^\/auth\/v1\/token$/,
    seed: (now) => ({ "sb-app-auth-token": JSON.stringify(supabaseSession(now + life, 1)) }),
    throttled: () => ({ code: "over_request_rate_limit", message: "Request rate limit reached" }),
    well: (_request, now) => supabaseSession(now + HOUR, 2),
  };
}

function supabaseSession(until, serial) {
  return {
    access_token: `header.payload.signature${serial}`,
    refresh_token: `refresh${serial}`,
    token_type: "bearer",
    expires_in: 3600,
    expires_at: Math.floor(until / 1000),
    user: { id: "1", aud: "authenticated", role: "authenticated", email: "somebody@example.com" },
  };
}

function nextAuth(name) {
  return {
    name,
    page: "next-auth.mjs",
    endpoint: /^\/api\/auth\/session$/,
    log: /^\/api\/auth\/_log$/,
    throttled: () => ({ message: "Too many requests" }),
    well: (_request, now) => ({ user: { email: "somebody@example.com" }, expires: iso(now + 30 * 24 * HOUR) }),
  };
}
