// The stand-in for aimharder.com: what the other tests rely on.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ANSWERS, EXPIRED, LOGGED_OUT, startAimharder, UPDATE_ANSWERS } from "../local/aimharder.mjs";
import { until } from "../local/processes.mjs";

const AGENT = "Mozilla/5.0 (X11; Linux x86_64)";
let site;

beforeEach(async () => (site = await startAimharder()));
afterEach(() => site.close());

const header = (cookies) => cookies.map(({ name, value }) => `${name}=${value}`).join("; ");

function call(session, { token = session.token, cookies = session.cookies, agent = AGENT, signal } = {}) {
  const url = `${site.refreshUrl}?token=${encodeURIComponent(token)}&fingerprint=${session.fingerprint}`;
  return fetch(url, { headers: { cookie: header(cookies), "user-agent": agent }, redirect: "manual", signal });
}

/** As aimharder's own page calls it. `fields`, `type` and `query`: what differs. */
function update(session, { token = session.token, fields = {}, type, query = "", agent = AGENT, signal } = {}) {
  const all = { token, ciclo: "1", fingerprint: session.fingerprint, ...fields };
  const form = new URLSearchParams(Object.entries(all).filter(([, value]) => value !== undefined));
  return fetch(site.updateUrl + query, {
    method: "POST",
    body: String(form),
    headers: {
      cookie: header(session.cookies),
      "user-agent": agent,
      "content-type": type ?? "application/x-www-form-urlencoded",
    },
    redirect: "manual",
    signal,
  });
}

/** Asks by `call` or `update`, leaves once the site is at it, and waits until the site has noticed. */
async function askAndLeave(ask, session) {
  const calls = session.calls.length;
  const controller = new AbortController();
  const answer = ask(session, { signal: controller.signal });
  await until(() => session.calls.length > calls, { problem: "the site was not asked" });
  controller.abort();
  await assert.rejects(answer);
  await until(() => session.calls[calls].end, { problem: "the site did not notice" });
}

const tokenIn = (page) => page.match(/^ {4}localStorage\.setItem\("refreshToken", "([^"]+)"\)/m)?.[1];

test("a live session gets a new token and new affinity cookies", async () => {
  const session = site.createSession();
  const [before, awsalb] = [session.token, session.cookie("AWSALB")];
  const response = await call(session);
  assert.equal(response.status, 200);
  assert.equal(tokenIn(await response.text()), session.token);
  assert.notEqual(session.token, before);
  assert.match(session.token, /^\d+\|\d{10}\|[0-9a-f]{32}$/);
  assert.notEqual(session.cookie("AWSALB"), awsalb);
  assert.deepEqual(
    response.headers.getSetCookie().map((cookie) => cookie.split("=")[0]),
    ["AWSALB", "AWSALBCORS"],
  );
  assert.equal(session.calls.length, 1);
  site.assertClean();
});

test("a session that is not refreshed dies, and one that is lives on", async () => {
  const [idle, kept] = [site.createSession(), site.createSession()];
  site.advance(25 * 60 * 1000);
  assert.equal((await call(kept)).status, 200);
  site.advance(25 * 60 * 1000);
  assert.deepEqual([idle.alive, kept.alive], [false, true]);
  assert.equal((await call(idle)).headers.get("location"), "/login");
  assert.equal((await call(kept)).status, 200);
});

test("an old token is refused, unless the site is gracious, and the session lives on", async () => {
  for (const [rotation, accepted] of [
    ["strict", false],
    ["grace", true],
    ["same", true],
  ]) {
    const session = site.createSession({ rotation });
    const old = session.token;
    await call(session);
    const response = await call(session, { token: old });
    assert.equal(response.status === 200, accepted, rotation);
    assert.equal(session.alive, true);
  }
});

test("wrong cookies are answered like a dead session", async () => {
  const session = site.createSession();
  const cookies = session.cookies.filter(({ name }) => name !== "PHPSESSID");
  assert.equal((await call(session, { cookies })).status, 302);
  assert.equal((await call(session, { cookies: [] })).status, 302);
});

test("two calls at once kill the session, two in turn don't", async () => {
  const session = site.createSession({ rotation: "same" });
  await (await call(session)).text();
  await (await call(session)).text();
  site.assertClean();
  const release = session.hold();
  const both = [call(session), call(session)];
  await until(() => session.calls.length === 4, { problem: "the site was not asked twice" });
  release();
  await Promise.all(both);
  assert.equal(session.alive, false);
  assert.throws(() => site.assertClean(), /two calls at once/);
});

test("every form of an expired session", async () => {
  const statuses = { expired_login_form: 200, expired_short_page: 200, expired_401: 401, expired_403: 403 };
  for (const name of Object.keys(EXPIRED)) {
    const session = site.createSession();
    session.fail(name, { times: 1 });
    assert.equal((await call(session)).status, statuses[name] ?? 302, name);
    assert.equal((await call(session)).status, 200, "once only");
  }
});

test("throttling says when to come back, in seconds or as a date", async () => {
  const session = site.createSession();
  session.fail("throttled");
  assert.equal((await call(session)).headers.get("retry-after"), null);
  session.fail("throttled_seconds", { seconds: 7 });
  assert.equal((await call(session)).headers.get("retry-after"), "7");
  session.fail("throttled_date", { seconds: 60 });
  const asked = Date.now();
  const date = Date.parse((await call(session)).headers.get("retry-after"));
  // A header's date has whole seconds.
  assert.ok(date > asked + 59_000 && date <= Date.now() + 60_000);
});

test("statuses", async () => {
  const session = site.createSession();
  const expected = {
    forbidden: 403,
    server_error: 500,
    bad_gateway: 502,
    unavailable: 503,
    gateway_timeout: 504,
    redirect_other_host: 302,
  };
  for (const [name, status] of Object.entries(expected)) {
    session.fail(name);
    assert.equal((await call(session)).status, status, name);
  }
});

test("answers that break off", async () => {
  const session = site.createSession({ rotation: "same" });
  for (const name of ["reset_before_headers", "commit_then_reset"]) {
    session.fail(name);
    await assert.rejects(call(session), name);
  }
  for (const name of ["reset_mid_body", "truncated", "truncated_after_token"]) {
    session.fail(name);
    const response = await call(session);
    await assert.rejects(response.text(), name);
  }
});

test("a lost answer has rotated the token", async () => {
  const session = site.createSession();
  const before = session.token;
  session.fail("commit_then_reset", { times: 1 });
  await assert.rejects(call(session));
  assert.notEqual(session.token, before);
});

test("a hang lasts until the caller leaves, who may then come back", async () => {
  const session = site.createSession();
  session.fail("hang", { times: 1 });
  await askAndLeave(call, session);
  assert.equal((await call(session)).status, 200);
  site.assertClean();
});

test("pages of every kind", async () => {
  const body = async (name, options) => {
    const session = site.createSession();
    session.fail(name, options);
    const response = await call(session);
    return { session, response, text: await response.text() };
  };
  const large = await body("large");
  assert.ok(large.text.length > 4_500_000);
  assert.ok(large.text.indexOf(large.session.token) > 4_000_000);
  const early = await body("large", { at: "start" });
  assert.ok(early.text.indexOf(early.session.token) < 10_000);
  const gzip = await body("gzip");
  assert.equal(tokenIn(gzip.text), gzip.session.token);
  const drip = await body("drip", { pauseMs: 1 });
  assert.equal(tokenIn(drip.text), drip.session.token);
  const changed = await body("markup_changed");
  assert.equal(tokenIn(changed.text), undefined);
  assert.ok(changed.text.includes(changed.session.token));
  const stranger = await body("other_user");
  assert.equal(tokenIn(stranger.text).split("|")[0], String(stranger.session.userId + 1));
  assert.doesNotMatch(tokenIn((await body("malformed_token")).text), /[0-9a-f]{32}$/);
  assert.doesNotMatch((await body("no_fingerprint")).text, /fingerprint/);
  assert.match((await body("wrong_charset")).response.headers.get("content-type"), /utf-16/);
  assert.equal((await body("set_cookie_delete")).response.headers.getSetCookie().length, 3);
  const bomb = await body("gzip_bomb");
  assert.equal(bomb.text.length, 100 * 1024 * 1024);
});

test("tokenUpdate hands out a new token and new affinity cookies, and no fingerprint", async () => {
  const session = site.createSession();
  const before = session.token;
  const response = await update(session);
  assert.deepEqual(await response.json(), { newToken: session.token });
  assert.notEqual(session.token, before);
  assert.deepEqual(
    response.headers.getSetCookie().map((cookie) => cookie.split("=")[0]),
    ["AWSALB", "AWSALBCORS"],
  );
  assert.equal(session.calls[0].form, `token=${encodeURIComponent(before)}&ciclo=1&fingerprint=${session.fingerprint}`);
  assert.deepEqual(await (await update(session, { token: before })).json(), { logout: 1 }, "an old token");
  session.killed = true;
  assert.deepEqual(await (await update(session)).json(), { logout: 1 });
  site.assertClean();
});

test("both ways renew one session", async () => {
  const session = site.createSession();
  const { newToken } = await (await update(session)).json();
  assert.equal(tokenIn(await (await call(session, { token: newToken })).text()), session.token);
  assert.deepEqual(await (await update(session)).json(), { newToken: session.token });
});

test("tokenUpdate fails in all the ways of setrefresh", async () => {
  const statuses = {
    throttled: 429,
    forbidden: 403,
    server_error: 500,
    unavailable: 503,
    expired_login_redirect: 302,
    expired_login_form: 200,
    expired_401: 401,
    redirect_other_host: 302,
  };
  const session = site.createSession({ rotation: "same" });
  for (const [name, status] of Object.entries(statuses)) {
    session.fail(name);
    assert.equal((await update(session)).status, status, name);
  }
  for (const name of ["reset_before_headers", "commit_then_reset"]) {
    session.fail(name);
    await assert.rejects(update(session), name);
  }
  for (const name of ["reset_mid_body", "truncated", "truncated_after_token"]) {
    session.fail(name);
    const response = await update(session);
    await assert.rejects(response.text(), name);
  }
  session.fail("hang", { times: 1 });
  await askAndLeave(update, session);
  assert.equal((await update(session)).status, 200);
  site.assertClean();
});

test("JSON of every kind", async () => {
  const body = async (name, options) => {
    const session = site.createSession();
    session.fail(name, options);
    const response = await update(session);
    const text = await response.text();
    const json = () => JSON.parse(text.replace("\ufeff", ""));
    return { session, text, json, type: response.headers.get("content-type") };
  };
  const yes = [1, true, "1", 1];
  for (const [index, name] of Object.keys(LOGGED_OUT).entries()) {
    assert.deepEqual((await body(name)).json(), { logout: yes[index] }, name);
  }
  for (const name of ["refreshed", "gzip", "drip", "blanks_around", "duplicate_keys", "wrong_charset"]) {
    const { session, json } = await body(name, { pauseMs: 1 });
    assert.deepEqual(json(), { newToken: session.token }, name);
  }
  const both = await body("both_fields");
  assert.deepEqual(both.json(), { newToken: both.session.token, logout: 1 });
  const stranger = await body("other_user");
  assert.equal(stranger.json().newToken.split("|")[0], String(stranger.session.userId + 1));
  assert.doesNotMatch((await body("malformed_token")).json().newToken, /[0-9a-f]{32}$/);
  const changed = await body("markup_changed");
  assert.equal(changed.json().newToken, undefined);
  assert.ok(changed.text.includes(changed.session.token));
  assert.ok((await body("large")).text.length > 4_500_000);
  assert.equal((await body("content_type", { type: "application/json" })).type, "application/json");
  assert.equal((await body("content_type", { type: undefined })).type, null);
  for (const name of [...ANSWERS, ...UPDATE_ANSWERS]) {
    if (/hang|reset|truncated|bomb/.test(name)) continue;
    await body(name, { pauseMs: 1 });
  }
  site.assertClean();
});

test("tokenUpdate is to be asked in no other form", async () => {
  const session = site.createSession();
  assert.equal((await update(session, { agent: "curl/8" })).status, 403);
  site.assertClean();
  for (const [wrong, pattern] of [
    [{ fields: { ciclo: "2" } }, /another ciclo/],
    [{ fields: { fingerprint: undefined } }, /fields ciclo,token/],
    [{ fields: { user: "1" } }, /fields ciclo,fingerprint,token,user/],
    [{ type: "text/plain" }, /content type text\/plain/],
    [{ query: "?token=1" }, /a query/],
  ]) {
    assert.equal((await update(session, wrong)).status, 501);
    assert.throws(() => site.assertClean(), pattern);
    site.unexpected.length = 0;
  }
  assert.equal(session.calls.length, 0);
});

test("what tokenUpdate alone answers can't be had of setrefresh", async () => {
  const session = site.createSession();
  session.fail("logout_number");
  await assert.rejects(call(session));
  assert.throws(() => site.assertClean(), /only tokenUpdate answers logout_number/);
});

test("what nobody should ask is answered 501 and reported", async () => {
  const session = site.createSession();
  assert.equal((await call(session, { agent: "curl/8" })).status, 403);
  site.assertClean();
  assert.equal((await fetch(`${site.url}/logout`)).status, 501);
  assert.equal((await fetch(`${site.url}/setrefresh?token=1`)).status, 501);
  assert.throws(() => site.assertClean(), /GET \/logout/);
});
