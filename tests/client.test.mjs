// The client in a real browser, against the built Worker and the real database. Where upstream or the Worker has to
// misbehave as the real one would not on demand, answers are given in its place.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startBrowser, startPages } from "./support/browser.mjs";
import { as, startWorld } from "./support/world.mjs";

const WIDE = { timeout: 120_000 };
const ANA = "ana@example.com";
const DAY = 24 * 60 * 60 * 1000;
let world;
let pages;
let browser;
let context;

before(async () => {
  pages = await startPages({ worker: () => world.worker.url });
  world = await startWorld({ settings: { ALLOWED_ORIGINS: pages.url } });
  browser = await startBrowser();
});
beforeEach(async () => {
  await world.reset();
  context = await browser.newContext();
});
afterEach(async () => {
  await context.close();
  world.check();
});
after(async () => {
  await browser?.close();
  await pages?.close();
  await world?.stop();
});

const token = (email = ANA) => as(email).authorization.slice(7);

function address({ csp, ...options } = {}) {
  const all = { url: world.worker.url, token: token(), user: "ana", ...options };
  return `${pages.url}/${csp ? `?csp=${encodeURIComponent(csp)}` : ""}#${encodeURIComponent(JSON.stringify(all))}`;
}

/** Opens a page with a client; records the calls that it makes. */
async function open(options = {}, { prepare } = {}) {
  const page = await context.newPage();
  page.calls = [];
  page.on("request", (request) => {
    if (new URL(request.url()).pathname.startsWith("/api/") && request.method() !== "OPTIONS") {
      page.calls.push(request.method());
    }
  });
  await prepare?.(page);
  await page.goto(address(options));
  page.shown = () => page.evaluate(() => window.client?.getSnapshot());
  page.settled = (probe) => settled(page, probe);
  return page;
}

async function settled(page, probe = (shown) => shown.state !== "unknown" && !shown.isRefreshing) {
  let shown;
  await world.until(
    async () => {
      shown = await page.shown();
      return shown && probe(shown);
    },
    () => `it shows ${JSON.stringify(shown)}`,
  );
  return shown;
}

/** Answers the Worker's route in its place, and counts. */
async function answer(page, reply) {
  const asked = [];
  await page.route("**/api/auth/refresh*", async (route) => {
    const request = route.request();
    const headers = {
      "access-control-allow-origin": "*",
      "access-control-allow-headers": "authorization, content-type",
      "access-control-expose-headers": "Retry-After",
    };
    if (request.method() === "OPTIONS") return route.fulfill({ status: 204, headers });
    asked.push({ method: request.method(), at: Date.now() });
    const given = reply(asked.length, request.method());
    if (given === "abort") return route.abort();
    if (given === "hang") return undefined;
    const { status = 200, json, html, retryAfter } = given;
    if (retryAfter) headers["retry-after"] = retryAfter;
    const body = html ?? JSON.stringify({ success: status === 200, serverTime: new Date().toISOString(), ...json });
    return route.fulfill({ status, headers, body, contentType: html ? "text/html" : "application/json" });
  });
  return asked;
}

const fresh = (changed = {}) => ({
  json: {
    state: "active",
    lastRefreshDate: new Date(Date.now() - 60_000).toISOString(),
    nextRefreshDue: new Date(Date.now() + 17 * 60_000).toISOString(),
    canRefreshAt: new Date(Date.now() - 30_000).toISOString(),
    refreshCount: 7,
    isRefreshing: false,
    lastError: null,
    ...changed,
  },
});

test("the first visit refreshes a session that is due", WIDE, async () => {
  const session = await world.signIn({ due: true });
  const page = await open();
  const shown = await page.settled((now) => now.refreshCount === 1);
  assert.deepEqual([shown.state, shown.health, shown.needsRefresh, shown.error], ["active", "healthy", false, null]);
  assert.deepEqual(page.calls, ["GET", "POST"]);
  assert.equal(session.calls.length, 1);
  assert.equal(await world.isInStep(session), true);
  const date = await page.evaluate(() => window.client.getSnapshot().lastRefreshDate instanceof Date);
  assert.equal(date, true);
});

test("a fresh session costs one look, and a reload none", WIDE, async () => {
  const session = await world.signIn();
  const page = await open();
  const shown = await page.settled();
  assert.deepEqual([shown.state, shown.health], ["active", "healthy"]);
  await page.reload();
  await page.settled();
  assert.deepEqual(page.calls, ["GET"]);
  assert.equal(session.calls.length, 0);
});

test("a trigger that isn't due makes no call and no render", WIDE, async () => {
  await world.signIn();
  const page = await open();
  await page.settled();
  await sleep(300);
  const before = await page.evaluate(() => {
    window.before = window.client.getSnapshot();
    return window.shown.length;
  });
  await page.evaluate(() => {
    for (const name of ["focus", "pageshow", "online"]) window.dispatchEvent(new Event(name));
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await sleep(300);
  assert.equal(await page.evaluate(() => window.shown.length), before);
  assert.equal(await page.evaluate(() => window.client.getSnapshot() === window.before), true, "another object");
  assert.deepEqual(page.calls, ["GET"]);
});

test("eight tabs make exactly one refresh, and all show its result", WIDE, async () => {
  const session = await world.signIn({ due: true });
  const tabs = await Promise.all(Array.from({ length: 8 }, () => open()));
  for (const tab of tabs) await tab.settled((shown) => shown.refreshCount === 1);
  const calls = tabs.flatMap((tab) => tab.calls);
  assert.deepEqual(calls.sort(), ["GET", "POST"]);
  assert.equal(session.calls.length, 1);
});

const withoutLocks = () => context.addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));

test("without Web Locks tabs take turns all the same", WIDE, async () => {
  const session = await world.signIn({ due: true });
  await withoutLocks();
  const release = session.hold();
  const first = await open();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  const tabs = [first, ...(await Promise.all([open(), open()]))];
  release();
  for (const tab of tabs) await tab.settled((shown) => shown.refreshCount === 1);
  assert.deepEqual(tabs.flatMap((tab) => tab.calls).sort(), ["GET", "POST"]);
  assert.equal(session.calls.length, 1);
});

// Storage tells them of each other when the machine lets it: two may think it their turn, and the Worker keeps order.
test("without Web Locks tabs that start at once make one refresh, and all show its result", WIDE, async () => {
  const session = await world.signIn({ due: true });
  await withoutLocks();
  const tabs = await Promise.all(Array.from({ length: 3 }, () => open()));
  for (const tab of tabs) await tab.settled((shown) => shown.refreshCount === 1);
  assert.equal(session.calls.length, 1);
  const calls = tabs.flatMap((tab) => tab.calls);
  assert.ok(calls.length < 6, `not each by itself: ${calls}`);
});

test("without storage a tab is on its own, and works", WIDE, async () => {
  await world.signIn({ due: true });
  await context.addInitScript(() =>
    Object.defineProperty(window, "localStorage", {
      get() {
        throw new DOMException("blocked", "SecurityError");
      },
    }),
  );
  const page = await open();
  assert.equal((await page.settled((shown) => shown.refreshCount === 1)).health, "healthy");
});

test("by hand: a refresh of a fresh session, in one tab for all", WIDE, async () => {
  const session = await world.signIn();
  const [one, two] = [await open(), await open()];
  await two.settled();
  await one.evaluate(() => window.client.refresh());
  assert.equal((await two.settled((shown) => shown.refreshCount === 1)).health, "healthy");
  assert.deepEqual(
    [one.calls, two.calls].map((calls) => calls.filter((method) => method === "POST").length),
    [1, 0],
  );
  const blocked = await one.settled((shown) => shown.blocked === "wait");
  assert.equal(blocked.canRefresh, false, "a pause between two of them");
  await one.evaluate(() => window.client.refresh());
  assert.equal(session.calls.length, 1);
});

test("an expired session asks for a sign-in and stops; after that sign-in it goes on", WIDE, async () => {
  const session = await world.signIn({ due: true });
  session.fail("expired_401");
  const page = await open();
  const shown = await page.settled((now) => now.state === "expired");
  assert.deepEqual(
    [shown.health, shown.error.code, shown.canRefresh, shown.blocked],
    ["expired", "session_expired", false, "sign_in"],
  );
  const { length } = page.calls;
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await sleep(200);
  assert.equal(page.calls.length, length, "it goes on asking");
  await page.reload();
  await world.until(() => page.calls.length > length, "a page that is opened looks once");
  await sleep(300);
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await sleep(200);
  assert.deepEqual(page.calls.slice(length), ["GET"]);
  assert.equal((await page.shown()).state, "expired");
  const renewed = world.site.createSession({ userId: session.userId });
  await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
  await page.evaluate(() => window.client.checkStatus());
  assert.equal((await page.settled()).health, "healthy");
});

test("the app's own sign-in gone is told apart", WIDE, async () => {
  await world.signIn();
  const page = await open({ token: "not.a.token" });
  const shown = await page.settled((now) => now.state === "signed_out");
  assert.deepEqual([shown.error.code, shown.health, shown.blocked], ["unauthorized", "unknown", "sign_in"]);
});

test("a token that was kept for too long is asked for anew before anybody is signed out", WIDE, async () => {
  await world.signIn({ due: true });
  const page = await open({ token: "too.old.token", other: token() });
  assert.equal((await page.settled((now) => now.refreshCount === 1)).health, "healthy");
  assert.deepEqual(page.calls, ["GET", "GET", "POST", "POST"]);
});

test("signed out by one token, a later page with a better one goes on", WIDE, async () => {
  await world.signIn({ due: true });
  const page = await open({ token: "not.a.token" });
  await page.settled((now) => now.state === "signed_out");
  await page.close();
  const later = await open();
  await later.settled((now) => now.refreshCount === 1);
});

test("a call that breaks off after the token was renewed is a failure like any other", WIDE, async () => {
  const prepare = (page) =>
    answer(page, (count) => (count === 1 ? { status: 401, json: { code: "unauthorized", error: "No." } } : "abort"));
  const page = await open({ token: "too.old.token", other: "new.token.x" }, { prepare });
  const shown = await page.settled((now) => now.error);
  assert.deepEqual([shown.error.code, shown.health, shown.isRefreshing], ["network", "degraded", false]);
  const { length } = page.calls;
  await page.evaluate(() => window.client.refresh());
  assert.ok(page.calls.length > length, "it is stuck");
});

test("what a gateway or another script writes can't break the page", WIDE, async () => {
  const prepare = (page) => answer(page, () => ({ status: 500, json: { code: 500, error: { message: "x" } } }));
  const page = await open({}, { prepare });
  const shown = await page.settled((now) => now.error);
  assert.deepEqual([shown.error.code, typeof shown.error.message], ["http_500", "string"]);
  await page.evaluate(() => {
    for (const key of Object.keys(localStorage)) {
      localStorage.setItem(key, JSON.stringify({ ...JSON.parse(localStorage.getItem(key)), problem: { code: 5 } }));
    }
  });
  await page.reload();
  await page.settled((now) => now.health === "degraded");
  await page.evaluate(() => {
    for (const key of Object.keys(localStorage)) localStorage.setItem(key, '{"core":["x",{},[]]}');
  });
  await page.reload();
  await page.settled((now) => now.error);
});

test("where locks are refused tabs take turns all the same", WIDE, async () => {
  const session = await world.signIn({ due: true });
  await context.addInitScript(() => {
    navigator.locks.request = () => Promise.reject(new DOMException("blocked", "SecurityError"));
  });
  const page = await open();
  await page.settled((now) => now.refreshCount === 1);
  assert.equal(session.calls.length, 1);
});

test("a core that could not be loaded is loaded at the next occasion", WIDE, async () => {
  await world.signIn({ due: true });
  let broken = true;
  const prepare = (page) => page.route("**/*.wasm", (route) => (broken ? route.abort() : route.continue()));
  const page = await open({}, { prepare });
  await page.settled((now) => now.state === "unavailable");
  broken = false;
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await page.settled((now) => now.refreshCount === 1);
});

test("many clicks are one refresh", WIDE, async () => {
  const session = await world.signIn();
  const page = await open();
  await page.settled();
  session.fail("forbidden");
  await page.evaluate(() => Promise.all([1, 2, 3, 4, 5].map(() => window.client.refresh())));
  assert.deepEqual(page.calls, ["GET", "POST"]);
  assert.equal((await page.settled((now) => now.error)).health, "degraded");
});

test("on the Worker's own origin an HttpOnly cookie signs in", WIDE, async () => {
  const session = await world.signIn({ due: true });
  const cookie = { name: "keepalive_token", value: token(), url: pages.url, httpOnly: true, sameSite: "Lax" };
  await context.addCookies([cookie]);
  const page = await open({ url: "", token: undefined });
  assert.equal((await page.settled((now) => now.refreshCount === 1)).health, "healthy");
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.equal(session.calls.length, 1);
});

test("hazard 11: nothing but a 401 and session_expired signs anybody out", WIDE, async () => {
  const replies = {
    403: { status: 403, json: { code: "email_missing", error: "No." } },
    "403, a page": { status: 403, html: "<h1>Forbidden</h1>" },
    "404, a page": { status: 404, html: "<h1>Not found</h1>" },
    "409 of another kind": { status: 409, json: { code: "session_unusable", error: "No." } },
    429: { status: 429, json: { code: "too_soon", error: "Wait." } },
    500: { status: 500, json: { code: "interrupted", error: "No." } },
    "502, a page": { status: 502, html: "<h1>Bad gateway</h1>" },
    "200, a page": { status: 200, html: "<h1>Checking your browser</h1>" },
    "200, an empty object": { status: 200, json: {} },
    "no network": "abort",
  };
  for (const [name, reply] of Object.entries(replies)) {
    const page = await open({ user: name }, { prepare: (opened) => answer(opened, () => reply) });
    const shown = await page.settled((now) => now.error !== null && !now.isRefreshing);
    assert.equal(shown.health, "degraded", name);
    assert.ok(!["expired", "signed_out"].includes(shown.state), `${name}: ${shown.state}`);
    await page.close();
  }
});

test("a Retry-After, in seconds or as a date, is kept to by itself, by hand, and over a reload", WIDE, async () => {
  for (const form of ["seconds", "date"]) {
    let asked;
    const retryAfter = () => (form === "seconds" ? "4" : new Date(Date.now() + 5000).toUTCString());
    const throttled = () => ({ status: 429, json: { code: "too_soon", error: "Wait." }, retryAfter: retryAfter() });
    const prepare = async (page) => {
      asked = await answer(page, (count) => (count === 1 ? throttled() : fresh()));
    };
    const page = await open({ user: form }, { prepare });
    const shown = await page.settled((now) => now.error);
    assert.deepEqual([shown.blocked, shown.state], ["wait", "unknown"], form);
    await page.evaluate(() => window.client.refresh());
    await page.evaluate(() => window.client.checkStatus());
    await page.reload();
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    const inTime = Date.now() - asked[0].at < 3900;
    await page.settled((now) => now.health === "healthy");
    // On a machine that stalled, what was done by hand came after the pause, and was lawful.
    if (inTime) assert.equal(asked.length, 2, form);
    assert.ok(asked[1].at - asked[0].at >= 3900, `${form}: after ${asked[1].at - asked[0].at} ms`);
    await page.close();
  }
});

/** Until no call is under way or about to be: one would be taken for lost when the clock is put forward. */
async function idle(page) {
  const isIdle = async () => {
    const { held, pending } = await navigator.locks.query();
    return held.length + pending.length === 0;
  };
  await world.until(() => page.evaluate(isIdle), "a call does not end");
}

test("a storm of 503 for an hour makes few calls, and ends by itself", WIDE, async () => {
  let asked;
  let healthy = false;
  const prepare = async (page) => {
    await page.clock.install();
    asked = await answer(page, () => (healthy ? fresh() : { status: 503, html: "<h1>Unavailable</h1>" }));
  };
  const page = await open({}, { prepare });
  await page.settled((now) => now.error);
  for (let minute = 0; minute < 60; minute += 1) {
    await page.clock.fastForward(60_000);
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await idle(page);
  }
  assert.ok(asked.length >= 5 && asked.length <= 18, `${asked.length} calls`);
  healthy = true;
  await page.clock.fastForward(11 * 60_000);
  await page.settled((now) => now.health === "healthy");
});

test("a call that is never answered is given up after ten seconds", WIDE, async () => {
  const prepare = async (page) => {
    // It stands still but for what it is put forward: what this test itself takes would count as well.
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 60_000);
    await answer(page, (count) => (count === 1 ? "hang" : fresh()));
  };
  const page = await open({}, { prepare });
  await world.until(() => page.calls.length === 1, "no call");
  await page.clock.fastForward(9_900);
  assert.equal((await page.shown()).error, null);
  await page.clock.fastForward(200);
  const shown = await page.settled((now) => now.error);
  assert.deepEqual([shown.error.code, shown.health], ["timeout", "degraded"]);
});

test("offline it waits, and coming back it looks soon", WIDE, async () => {
  await world.signIn({ due: true });
  const page = await open();
  await page.settled((shown) => shown.refreshCount === 1);
  await context.setOffline(true);
  const { length } = page.calls;
  await page.evaluate(() => window.client.checkStatus());
  assert.equal(page.calls.length, length, "it asks though there is no network");
  await context.setOffline(false);
  await world.until(() => page.calls.length > length, "it doesn't look");
  assert.equal((await page.settled()).health, "healthy");
});

test("a clock that is a day off changes nothing", WIDE, async () => {
  for (const off of [-DAY, DAY]) {
    const session = await world.signIn({ email: `clock${off}@example.com`, due: true });
    const options = { token: token(`clock${off}@example.com`), user: String(off) };
    const prepare = (page) => page.clock.install({ time: Date.now() + off });
    const page = await open(options, { prepare });
    await page.settled((shown) => shown.refreshCount === 1);
    await page.clock.fastForward(10 * 60_000);
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await sleep(200);
    assert.equal(session.calls.length, 1, "refreshed before it was due");
    const calls = page.calls.length;
    await page.clock.fastForward(10 * 60_000);
    await world.until(() => page.calls.length > calls, "not looked at when it fell due");
    await page.close();
  }
});

test("back from the back-forward cache it shows what happened meanwhile", WIDE, async () => {
  const session = await world.signIn();
  const page = await open();
  await page.settled();
  await page.evaluate(() => {
    window.marked = true;
  });
  await page.goto(`${pages.url}/other`);
  const other = await open();
  await other.settled();
  await other.evaluate(() => window.client.refresh());
  assert.equal(session.calls.length, 1);
  await page.goBack({ waitUntil: "commit" });
  assert.equal(await page.evaluate(() => window.marked), true, "the page was not in the cache");
  await page.settled((shown) => shown.refreshCount === 1);
});

test("a late answer after a sign-out is dropped", WIDE, async () => {
  const session = await world.signIn({ due: true });
  const release = session.hold();
  const page = await open();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  await page.evaluate(() => window.leave());
  await sleep(100);
  const shown = await page.evaluate(() => window.shown.length);
  release();
  await world.until(async () => (await world.row(session)).refresh_count === 1, "the Worker dropped it");
  await sleep(300);
  assert.equal(await page.evaluate(() => window.shown.length), shown);
});

test("where WebAssembly is blocked the page works, and refreshes by hand", WIDE, async () => {
  const session = await world.signIn({ due: true });
  const page = await open({ csp: "script-src 'self' 'unsafe-inline'" });
  const shown = await page.settled((now) => now.state === "unavailable");
  assert.deepEqual([shown.canRefresh, shown.error, page.calls], [true, null, []]);
  await page.evaluate(() => window.client.refresh());
  const after = await page.shown();
  assert.deepEqual([after.refreshCount, after.error, after.canRefresh], [1, null, true]);
  assert.equal(session.calls.length, 1);
});

test("a CSP with 'wasm-unsafe-eval' is enough", WIDE, async () => {
  await world.signIn({ due: true });
  const csp = `default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; connect-src 'self' ${world.worker.url}`;
  const page = await open({ csp });
  await page.settled((now) => now.refreshCount === 1);
});

test("no token of aimharder's ever reaches the page", WIDE, async () => {
  const session = await world.signIn({ due: true });
  const page = await open();
  const bodies = [];
  page.on("response", async (response) => {
    if (response.url().includes("/api/")) bodies.push(await response.text().catch(() => ""));
  });
  const before = [session.token, ...session.cookies.map(({ value }) => value)];
  await page.settled((now) => now.refreshCount === 1);
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage }));
  for (const secret of [...before, session.token, session.fingerprint, token()]) {
    assert.ok(![...bodies, stored].join().includes(secret));
  }
});
