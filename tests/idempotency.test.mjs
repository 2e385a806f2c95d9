// A user's refresh, asked for again: by a client whose answer was lost, with the key of its request, or too soon.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { claimFor, finish } from "./support/sql.mjs";
import { ago, as, startWorld } from "./support/world.mjs";

const ANA = "ana@example.com";
const BRUNO = "bruno@example.com";
const APP = "https://app.example.com";

let world;
let other;
let hasty;
before(async () => {
  world = await startWorld({ settings: { ALLOWED_ORIGINS: APP } });
  // A second Worker, as in another of Cloudflare's places.
  other = await world.startWorker();
  // One for what takes as long as it is given.
  hasty = await world.startWorker({ REFRESH_TIMEOUT_SECONDS: "1" });
});
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

/** A refresh; `key` is its Idempotency-Key, `sessionId` names a session. */
function refresh({ key, email = ANA, sessionId, worker = world.worker } = {}) {
  const headers = { ...as(email), ...(key === undefined ? {} : { "idempotency-key": key }) };
  return worker.call("/api/auth/refresh", { method: "POST", headers, json: { sessionId } });
}

const isReplayed = (answer) => answer.headers.get("idempotency-replayed") === "true";

/** What an answer says, but for the id of its own request. */
const said = ({ status, headers, body }) => ({
  status,
  retryAfter: headers.get("retry-after"),
  body: { ...body, ...("requestId" in body && { requestId: undefined }) },
});

/** As if the session had been left alone since for so long that nothing stands against a further attempt. */
const rest = (session) => world.set(session, { last_refresh_date: ago(3600), last_attempt_at: ago(3600) });

const answers = async () => (await world.sql.query("select * from refresh_answers order by answered_at")).rows;

/** What the app does when its user signs in to aimharder again. */
async function signInAgain(session) {
  const renewed = world.site.createSession({ userId: session.userId });
  await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
  return renewed;
}

test("a client that lost the answer gets it by its key, without a second call to upstream", async () => {
  const session = await world.signIn();
  const key = randomUUID();
  const release = session.hold();
  const headers = { ...as(ANA), "idempotency-key": key };
  const leave = world.worker.callAndLeave("/api/auth/refresh", headers);
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  await leave();
  release();
  await world.until(async () => (await world.row(session)).refresh_count === 1, "the refresh was dropped");
  const { last_refresh_date: date } = await world.row(session);
  await rest(session);
  const retried = await refresh({ key, worker: other });
  assert.deepEqual([retried.status, isReplayed(retried), retried.body.reused], [200, true, false]);
  assert.equal(retried.body.lastRefreshDate, date.toISOString());
  assert.equal(session.calls.length, 1);
  assert.equal((await refresh({ key: randomUUID() })).body.refreshCount, 2, "another key is another request");
});

test("a success is answered again as it was, whatever happened since, and so for as long as a day", async () => {
  const session = await world.signIn();
  const first = await refresh({ key: "k" });
  assert.equal(isReplayed(first), false);
  await rest(session);
  assert.equal((await refresh()).body.refreshCount, 2);
  await world.sql.query("update auth_sessions set refresh_state = 'expired', last_refresh_error = 'expired'");
  await world.sql.query("update refresh_answers set answered_at = answered_at - interval '23 hours'");
  await world.set(session, { signed_in_at: ago(90_000) });
  const replayed = await refresh({ key: "k", worker: other });
  assert.equal(isReplayed(replayed), true);
  const then = Date.parse(first.body.serverTime) - 23 * 3_600_000;
  assert.deepEqual(
    said(replayed),
    said({ ...first, body: { ...first.body, serverTime: new Date(then).toISOString() } }),
  );
  assert.equal(session.calls.length, 2);
});

test("after a day a key is a new request's", async () => {
  const session = await world.signIn({ row: { signed_in_at: ago(180_000) } });
  await refresh({ key: "k" });
  await rest(session);
  await world.sql.query("update refresh_answers set answered_at = answered_at - interval '24 hours 1 second'");
  const later = await refresh({ key: "k" });
  assert.deepEqual([isReplayed(later), later.body.refreshCount], [false, 2]);
  assert.equal((await answers()).length, 1);
  assert.deepEqual(said(await refresh({ key: "k" })), said(later));
});

test("each failure is answered again as it was", async () => {
  for (const [name, options, status, code] of [
    ["forbidden", {}, 502, "upstream_refused"],
    ["throttled_seconds", { seconds: 90 }, 503, "upstream_throttled"],
    ["server_error", {}, 502, "upstream_fault"],
    ["unavailable", { retryAfter: 300 }, 502, "upstream_fault"],
    ["hang", {}, 504, "upstream_timed_out"],
    ["reset_before_headers", {}, 502, "upstream_unreachable"],
    ["markup_changed", {}, 502, "upstream_unrecognised"],
    ["expired_401", {}, 409, "session_expired"],
  ]) {
    await world.reset();
    const session = await world.signIn();
    session.fail(name, options);
    const first = await refresh({ key: "k", worker: name === "hang" ? hasty : world.worker });
    assert.deepEqual([first.status, first.body.code], [status, code], name);
    const calls = session.calls.length;
    const replayed = await refresh({ key: "k", worker: other });
    assert.deepEqual(said(replayed), said(first), name);
    assert.deepEqual([isReplayed(first), isReplayed(replayed)], [false, true], name);
    assert.equal(replayed.body.requestId, replayed.headers.get("x-request-id"), name);
    assert.equal(session.calls.length, calls, name);
    const without = await refresh();
    assert.equal(without.body.code, status === 409 ? "session_expired" : "too_soon", name);
  }
});

test("a failure that passes is answered again until it said to come back, and then tried again", async () => {
  for (const [name, options, seconds] of [
    ["forbidden", {}, 30],
    ["throttled_seconds", { seconds: 90 }, 90],
  ]) {
    await world.reset();
    const session = await world.signIn();
    session.fail(name, options);
    const first = await refresh({ key: "k" });
    const answeredBack = (age) => world.sql.query("update refresh_answers set answered_at = $1", [ago(age)]);
    const forget = { last_attempt_at: ago(seconds + 1), next_refresh_at: ago(1), last_refresh_error: null };
    await world.set(session, { ...forget, signed_in_at: ago(3600) });
    await answeredBack(seconds - 3);
    assert.equal((await refresh({ key: "k" })).body.code, first.body.code, name);
    assert.equal(session.calls.length, 1);
    await answeredBack(seconds + 1);
    session.heal();
    const later = await refresh({ key: "k" });
    assert.deepEqual([later.status, isReplayed(later), session.calls.length], [200, false, 2], name);
  }
});

test("a row that can't be presented is told again, too", async () => {
  await world.signIn({ row: { aimharder_token: "undefined" } });
  const first = await refresh({ key: "k" });
  assert.deepEqual([first.status, first.body.code], [409, "session_unusable"]);
  assert.deepEqual(said(await refresh({ key: "k" })), said(first));
});

test("ten parallel requests make one call; with one key they get one answer", async () => {
  for (const [key, fault, status] of [
    [undefined, undefined, 200],
    ["k", undefined, 200],
    ["k", "forbidden", 502],
  ]) {
    await world.reset();
    const session = await world.signIn();
    if (fault) session.fail(fault);
    const release = session.hold();
    const asked = Array.from({ length: 10 }, (_, index) => refresh({ key, worker: index % 2 ? world.worker : other }));
    await world.until(() => session.calls.length > 0, "upstream was not asked");
    release();
    const got = await Promise.all(asked);
    const label = `${key} ${fault}`;
    assert.equal(session.calls.length, 1, label);
    assert.deepEqual([...new Set(got.map((answer) => answer.status))], [status], label);
    assert.equal(got.filter((answer) => isReplayed(answer)).length, key ? 9 : 0, label);
    const different = new Set(got.map((answer) => JSON.stringify(said(answer))));
    if (key) assert.equal(different.size, 1, label);
    else assert.equal(got.filter((answer) => answer.body.reused).length, 9);
  }
});

test("another user's key is another key", async () => {
  const [ana, bruno] = [await world.signIn(), await world.signIn({ email: BRUNO })];
  await refresh({ key: "k" });
  const answer = await refresh({ key: "k", email: BRUNO });
  assert.deepEqual([answer.status, isReplayed(answer), bruno.calls.length], [200, false, 1]);
  const stranger = await refresh({ key: "k", email: "carla@example.com" });
  assert.deepEqual([stranger.status, stranger.body.code], [404, "session_not_found"]);
  const named = await refresh({ key: "k", email: BRUNO, sessionId: ana.id });
  assert.deepEqual([named.status, named.body.code], [404, "session_not_found"], "told as if there were none");
  assert.equal((await answers()).length, 2);
});

test("an answer about a row that is somebody else's by now is nobody's", async () => {
  const session = await world.signIn();
  await refresh({ key: "k" });
  await world.set(session, { user_email: BRUNO });
  const own = await world.signIn();
  const answer = await refresh({ key: "k" });
  assert.deepEqual([answer.status, isReplayed(answer), own.calls.length], [200, false, 1]);
});

test("a key that was another session's is refused", async () => {
  const old = await world.signIn({ row: { signed_in_at: ago(86_400) } });
  const latest = await world.signIn();
  const first = await refresh({ key: "k" });
  const reused = await refresh({ key: "k", sessionId: old.id });
  assert.deepEqual([reused.status, reused.body.code], [422, "idempotency_key_reused"]);
  assert.equal(isReplayed(reused), false);
  assert.equal(old.calls.length, 0);
  for (const sessionId of [undefined, latest.id]) {
    assert.deepEqual(said(await refresh({ key: "k", sessionId })), said(first), "the same session, named or not");
  }
});

test("a sign-in since then makes the answer void, in the same row or another", async () => {
  const session = await world.signIn();
  session.fail("expired_401");
  assert.equal((await refresh({ key: "k" })).status, 409);
  const renewed = await signInAgain(session);
  const answer = await refresh({ key: "k" });
  // The attempt of before stands in the way for a moment, as without a key.
  assert.deepEqual([answer.status, answer.body.code], [429, "too_soon"]);
  await rest(session);
  const afterwards = await refresh({ key: "k" });
  assert.deepEqual([afterwards.status, isReplayed(afterwards), renewed.calls.length], [200, false, 1]);

  const elsewhere = await world.signIn();
  const there = await refresh({ key: "k" });
  assert.deepEqual([there.status, isReplayed(there), elsewhere.calls.length], [200, false, 1]);
  assert.deepEqual(said(await refresh({ key: "k" })), said(there));
});

test("what says only that nothing was tried is not kept", async () => {
  const session = await world.signIn({ row: { last_attempt_at: ago(1) } });
  assert.equal((await refresh({ key: "k" })).body.code, "too_soon");
  await world.set(session, { last_attempt_at: null });

  const { session: leased } = await claimFor(world.sql, ANA);
  assert.equal((await refresh({ key: "k", worker: hasty })).body.code, "refresh_in_progress");
  assert.ok(leased.fence > 0);
  await world.set(session, { lease_holder: null, lease_expires_at: null });

  await world.sql.query(
    "insert into refresh_upstreams (upstream, paused_until) values ($1, now() + interval '1 hour') on conflict (upstream) do update set paused_until = excluded.paused_until",
    [new URL(world.site.refreshUrl).host],
  );
  assert.equal((await refresh({ key: "k" })).body.code, "upstream_spared");
  await world.sql.query("update refresh_upstreams set paused_until = '-infinity'");

  assert.equal((await answers()).length, 0);
  const answer = await refresh({ key: "k" });
  assert.deepEqual([answer.status, isReplayed(answer), session.calls.length], [200, false, 1]);
});

test("what was not written has no answer: a retry tries", async () => {
  const session = await world.signIn();
  const release = session.hold();
  const asked = refresh({ key: "k" });
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  const renewed = await signInAgain(session);
  release();
  assert.equal((await asked).body.code, "superseded");
  const retried = await refresh({ key: "k" });
  assert.deepEqual([retried.status, isReplayed(retried), renewed.calls.length], [200, false, 1]);

  await rest(session);
  await world.sql.query("alter table auth_sessions add constraint of_the_project check (refresh_count < 2)");
  try {
    assert.equal((await refresh({ key: "l" })).body.code, "database_row_refused");
  } finally {
    await world.sql.query("alter table auth_sessions drop constraint of_the_project");
  }
  assert.equal((await answers()).length, 1);
  assert.equal((await refresh({ key: "l" })).body.code, "too_soon");
});

test("the database's own lost answers change nothing in what is told", async () => {
  for (const [name, lost] of [
    ["finish_sessions", "reset"],
    ["finish_sessions", "html"],
    ["claim_session", "reset"],
  ]) {
    await world.reset();
    const session = await world.signIn();
    world.breakCalls(name, { loseResponse: lost }, 1);
    const first = await refresh({ key: "k" });
    assert.equal(first.status, 200, name);
    assert.equal(isReplayed(first), false, name);
    const replayed = await refresh({ key: "k" });
    assert.deepEqual(said(replayed), said(first), name);
    assert.equal(session.calls.length, 1, name);
    assert.equal(await world.isInStep(session), true, name);
  }
});

test("the site calls all sessions over: who asks again is told the same", async () => {
  const sessions = await world.signInMany(40);
  await world.sql.query(
    `insert into refresh_attempts (session_id, fence, trigger, finished_at, duration_ms, outcome, tries)
    select id, 1000, 'test', now(), 1, 'unrecognised', 1 from unnest($1::uuid[]) id`,
    [sessions.map(({ id }) => id)],
  );
  const session = await world.signIn();
  session.fail("expired_401");
  const first = await refresh({ key: "k" });
  assert.deepEqual([first.status, first.body.code], [502, "upstream_unrecognised"]);
  assert.deepEqual(said(await refresh({ key: "k" })), said(first));
});

test("another's result that was reused is answered again as that", async () => {
  const session = await world.signIn();
  await refresh();
  const first = await refresh({ key: "k" });
  assert.deepEqual([first.body.reused, isReplayed(first)], [true, false]);
  await rest(session);
  const replayed = await refresh({ key: "k" });
  assert.deepEqual([isReplayed(replayed), said(replayed)], [true, said(first)]);
  assert.equal(session.calls.length, 1);
});

test("a failure since then is not hidden by a success of moments ago", async () => {
  const session = await world.signIn();
  assert.equal((await refresh()).status, 200);
  await world.set(session, { next_refresh_at: ago(1) });
  session.fail("forbidden");
  await world.worker.tick();
  const { status, body } = await refresh();
  assert.deepEqual([status, body.code], [429, "too_soon"]);
  const told = await world.worker.call("/api/auth/refresh", { headers: as(ANA) });
  assert.deepEqual([told.body.lastError, told.body.canRefresh], ["refused", false]);
  await world.set(session, { last_attempt_at: ago(31) });
  assert.equal((await refresh()).body.code, "upstream_refused", "upstream is asked, not the success of before");
});

test("REFRESH_MANUAL_INTERVAL_SECONDS is how long a session is left alone between two attempts", async () => {
  const quick = await world.startWorker({ REFRESH_MANUAL_INTERVAL_SECONDS: "5" });
  const slow = await world.startWorker({ REFRESH_MANUAL_INTERVAL_SECONDS: "3600" });
  const session = await world.signIn();
  session.fail("forbidden");
  await refresh({ worker: quick });
  const retryAfter = async (worker) => Number((await refresh({ worker })).headers.get("retry-after"));
  assert.ok((await retryAfter(quick)) <= 5);
  assert.ok((await retryAfter(world.worker)) > 20);
  assert.ok((await retryAfter(slow)) > 3500);
  const canRefresh = async (worker) => (await worker.call("/api/auth/aimharder", { headers: as(ANA) })).body.canRefresh;
  await world.set(session, { last_attempt_at: ago(6) });
  assert.deepEqual([await canRefresh(quick), await canRefresh(world.worker)], [true, false]);
  assert.equal((await refresh({ worker: quick })).body.code, "upstream_refused");
  assert.equal(session.calls.length, 2);
});

test("a key is 1 to 200 visible ASCII characters", async () => {
  const session = await world.signIn();
  for (const key of ["", " ", "two words", "a\tb", "caf\u00e9", "x".repeat(201), "a, b"]) {
    const { status, body } = await refresh({ key });
    assert.deepEqual([status, body.code], [400, "bad_request"], JSON.stringify(key));
    assert.match(body.error, /Idempotency-Key/);
  }
  assert.equal(session.calls.length, 0);
  for (const key of ["x", "x".repeat(200), '!"#$%&/()=?`{[]}~', randomUUID()]) {
    assert.equal((await refresh({ key })).status, 200, key);
  }
  assert.equal((await world.worker.call("/api/auth/refresh", { headers: { "idempotency-key": "" } })).status, 401);
});

test("neither the key nor a secret is kept, and nothing where there is no key", async () => {
  const session = await world.signIn();
  await refresh();
  assert.equal((await answers()).length, 0);
  await rest(session);
  await refresh({ key: "customer-4711" });
  const kept = JSON.stringify(await answers());
  const { aimharder_token: token } = await world.row(session);
  for (const secret of ["customer-4711", ANA, token, session.cookie("PHPSESSID")]) {
    assert.ok(!kept.includes(secret));
  }
  await world.sql.query("delete from auth_sessions");
  assert.equal((await answers()).length, 0, "a session's answers go with it");
});

test("answers past their time are dropped, some with each that is kept", async () => {
  const session = await world.signIn();
  await world.sql.query(
    `insert into refresh_answers (key_digest, session_id, answered_at, outcome, reused, status)
    select n::text, $1, now() - n * interval '1 hour', 'refreshed', false, '{}' from generate_series(20, 40) n`,
    [session.id],
  );
  await refresh({ key: "k" });
  const left = await answers();
  assert.equal(left.length, 21 + 1 - 10);
  assert.deepEqual(
    left.slice(0, 2).map((row) => row.key_digest),
    ["30", "29"],
    "the oldest went first",
  );
});

test("a Worker of before calls the functions as it did", async () => {
  const session = await world.signIn();
  const holder = randomUUID();
  const claim = await claimFor(world.sql, ANA, { p_holder: holder });
  assert.deepEqual([claim.result, "answer" in claim], ["claimed", false]);
  const entry = { id: session.id, fence: claim.session.fence, kind: "failed", outcome: "refused", own: true };
  const told = await finish(world.sql, holder, [{ ...entry, nextInSeconds: 60, durationMs: 1, tries: 1 }]);
  assert.equal(told.results[0].result, "written");
  assert.equal((await answers()).length, 0);
});

test("browsers may send the key, and read that an answer is one of before", async () => {
  await world.signIn();
  const preflight = await world.worker.call("/api/auth/refresh", { method: "OPTIONS", headers: { origin: APP } });
  assert.match(preflight.headers.get("access-control-allow-headers"), /\bidempotency-key\b/);
  const answer = await world.worker.call("/api/auth/refresh", { headers: { ...as(ANA), origin: APP } });
  assert.match(answer.headers.get("access-control-expose-headers"), /\bIdempotency-Replayed\b/);
});
