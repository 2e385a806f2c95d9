// A session's life beyond single refreshes: given up and brought back, in doubt after a crash or a lost answer, and how
// long the site lets sessions live.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { claimDue, claimFor } from "./support/sql.mjs";
import { ago, as, INTERNAL_KEY, startWorld } from "./support/world.mjs";

let world;
// Time enough for an answer, even where the machine is busy.
const settings = { REFRESH_EXHAUST_AFTER: "3", REFRESH_TIMEOUT_SECONDS: "4" };
before(async () => (world = await startWorld({ settings, site: { keepAlive: false } })));
beforeEach(async () => {
  await world.reset();
  await world.sql.query("update refresh_policy set life_measured_at = null, life_seconds = null");
});
afterEach(() => world.check());
after(() => world?.stop());

const WIDE = { timeout: 60_000 };
const ANA = "ana@example.com";
const key = { "x-api-key": INTERNAL_KEY };
const refresh = (email = ANA) => world.worker.call("/api/auth/refresh", { method: "POST", headers: as(email) });
const status = async () => (await world.worker.call("/api/auth/refresh", { headers: as(ANA) })).body;
const check = async () => (await world.worker.call("/api/auth/aimharder", { headers: as(ANA) })).body;
const operator = (id, action, options) =>
  world.worker.call(`/api/internal/sessions/${id}/${action}`, { method: "POST", headers: key, ...options });
const outcomes = async (session) => (await world.attempts(session)).map(({ outcome }) => outcome);
const stateOf = async (session) => (await world.row(session)).refresh_state;

/** A tick, a while after the one before: all of the batch's sessions are due, and upstream is not spared any more. */
async function tick() {
  await world.sql.query(`
    update refresh_upstreams set breaker = 'closed', answers = 0, faults = 0, answers_before = 0, faults_before = 0,
      paused_until = '-infinity'`);
  await world.sql.query(
    "update auth_sessions set next_refresh_at = now() - interval '1 minute' where next_refresh_at is not null",
  );
  await world.sql.query(`
    update auth_sessions set last_attempt_at = last_attempt_at - interval '1 minute',
      last_refresh_date = last_refresh_date - interval '1 minute'`);
  await world.worker.tick();
}

async function exhaust(session, answer = "forbidden") {
  session.fail(answer);
  for (let turn = 0; turn < 3; turn += 1) await tick();
  assert.equal(await stateOf(session), "exhausted");
  return session;
}

const signInExhausted = async (options) => exhaust(await world.signIn({ due: true, ...options }));

test("after so many odd answers in a row a session is given up, and its user is told how to bring it back", async () => {
  for (const [answer, code] of [
    ["forbidden", "refused"],
    ["expired_short_page", "unrecognised"],
  ]) {
    await world.reset();
    const session = await world.signIn({ due: true });
    session.fail(answer);
    for (const state of ["active", "active", "exhausted", "exhausted", "exhausted"]) {
      await tick();
      assert.equal(await stateOf(session), state, answer);
    }
    assert.equal(session.calls.length, 3, "once given up it is left alone");
    assert.deepEqual(await outcomes(session), [code, code, code]);
    const row = await world.row(session);
    assert.deepEqual([row.next_refresh_at, row.last_refresh_error, row.last_refresh_date], [null, code, null]);
    const told = await status();
    assert.deepEqual(
      [told.state, told.lastError, told.needsRefresh, told.canRefresh, told.isRefreshing, told.nextRefreshDue],
      ["exhausted", code, true, true, false, null],
    );
    const checked = await check();
    assert.deepEqual([checked.state, checked.sessionValid, checked.recommendation], ["exhausted", true, "refresh"]);
    const { body } = await world.worker.batch({ dryRun: true });
    assert.equal(body.remaining, 0, "nothing is due of one that was given up");
  }
});

test("a refresh in between starts the count anew", async () => {
  const session = await world.signIn({ due: true });
  for (let turn = 0; turn < 3; turn += 1) {
    session.fail("forbidden", { times: 2 });
    await tick();
    await tick();
    await tick();
  }
  const row = await world.row(session);
  assert.deepEqual([row.refresh_state, row.refresh_count, row.session_failures], ["active", 3, 0]);
});

test("its user's own refresh brings it back", async () => {
  const session = await signInExhausted();
  const still = await refresh();
  assert.deepEqual([still.status, still.body.code], [429, "too_soon"]);
  await world.set(session, { last_attempt_at: ago(60) });
  const refused = await refresh();
  assert.deepEqual([refused.status, refused.body.code], [502, "upstream_refused"]);
  const row = await world.row(session);
  assert.deepEqual([row.refresh_state, row.session_failures], ["active", 1], "it is tried again from then on");
  assert.ok(row.next_refresh_at > new Date());
  session.heal();
  await tick();
  assert.deepEqual([await stateOf(session), await world.isInStep(session)], ["active", true]);

  await exhaust(session);
  session.heal();
  await world.set(session, { last_attempt_at: ago(60) });
  const { status: code, body } = await refresh();
  assert.deepEqual([code, body.state, body.refreshCount], [200, "active", 2]);
  assert.ok(Date.parse(body.nextRefreshDue) > Date.now());
});

test("a login brings it back, whatever writes it", async () => {
  for (const columns of ["aimharder_token", "aimharder_cookies", "both"]) {
    await world.reset();
    const session = await signInExhausted();
    const renewed = world.site.createSession({ userId: session.userId });
    const changed = { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) };
    await world.set(session, columns === "both" ? changed : { [columns]: changed[columns] });
    const row = await world.row(session);
    assert.deepEqual(
      [row.refresh_state, row.last_refresh_error, row.session_failures, row.consecutive_failures],
      ["active", null, 0, 0],
      columns,
    );
    assert.ok(row.next_refresh_at > new Date(), columns);
    if (columns !== "both") continue;
    await tick();
    assert.equal(renewed.calls[0].answer, "refreshed");
  }
});

test("a booking job that names it has it tried, and taken up again", async () => {
  const session = await signInExhausted();
  session.heal();
  const json = { ids: [session.id], maxAgeSeconds: 0 };
  const { status: code, body } = await world.worker.call("/api/internal/ensure-fresh", {
    method: "POST",
    headers: key,
    json,
  });
  assert.deepEqual([code, body.sessions[0].result, body.sessions[0].state], [200, "refreshed", "active"]);
});

test("an operator brings it back, takes a session out of the batch's care, and gives it back", async () => {
  const session = await signInExhausted();
  session.heal();
  const enabled = await operator(session.id, "enable");
  assert.equal(enabled.status, 200);
  const { serverTime, nextRefreshDue, ...told } = enabled.body;
  assert.deepEqual(told, {
    success: true,
    id: session.id,
    state: "active",
    autoRefreshEnabled: true,
    lastRefreshDate: null,
    refreshCount: 0,
    lastError: "refused",
  });
  assert.ok(Date.parse(nextRefreshDue) <= Date.parse(serverTime), "it is due at once");
  await world.worker.tick();
  assert.equal((await world.row(session)).refresh_count, 1);

  const disabled = await operator(session.id, "disable", { json: {} });
  assert.deepEqual([disabled.status, disabled.body.autoRefreshEnabled, disabled.body.state], [200, false, "active"]);
  const before = session.calls.length;
  await tick();
  assert.equal(session.calls.length, before, "the batch leaves it alone");
  await operator(session.id, "enable");
  await tick();
  assert.equal(session.calls.length, before + 1);
});

test("an operator can't bring back what is over", async () => {
  const session = await world.signIn({ due: true });
  session.fail("expired_401");
  await world.worker.tick();
  const { status: code, body } = await operator(session.id, "enable");
  assert.deepEqual([code, body.state, body.nextRefreshDue], [200, "expired", null]);
  await tick();
  assert.equal(session.calls.length, 1);
});

test("the operator's routes are checked like all others", async () => {
  const session = await world.signIn();
  for (const action of ["enable", "disable"]) {
    const missing = await operator(randomUUID(), action);
    assert.deepEqual([missing.status, missing.body.code], [404, "session_not_found"]);
    for (const id of ["x", "1", `${session.id}x`, "%00", "..%2f"]) {
      const bad = await operator(id, action);
      assert.deepEqual([bad.status, bad.body.code], [400, "bad_request"], id);
      assert.match(bad.body.error, /UUID/);
    }
    for (const json of [{ enabled: true }, "x"]) {
      assert.equal((await operator(session.id, action, { json })).status, 400, JSON.stringify(json));
    }
    for (const headers of [{}, as(ANA), { "x-api-key": "x" }]) {
      const refused = await operator(session.id, action, { headers });
      assert.deepEqual([refused.status, refused.body.code], [401, "unauthorized"]);
    }
    const got = await operator(session.id, action, { method: "GET" });
    assert.deepEqual([got.status, got.headers.get("allow")], [405, "POST"]);
  }
  for (const [path, status] of [
    ["sessions/enable", 405],
    [`sessions/${session.id}`, 405],
    [`sessions/${session.id}/enable/x`, 404],
    ["sessions/", 405],
  ]) {
    const { status: told } = await world.worker.call(`/api/internal/${path}`, { method: "POST", headers: key });
    assert.equal(told, status, path);
  }
  assert.equal((await world.row(session)).auto_refresh_enabled, true);
});

test("an outage of any length gives nobody up and ends nobody's session", WIDE, async () => {
  const answers = [
    ["unavailable", { retryAfter: 30 }, "upstream_fault"],
    ["hang", {}, "timed_out"],
    ["reset_before_headers", {}, "unreachable"],
    ["throttled", {}, "throttled"],
    ["gateway_timeout", {}, "upstream_fault"],
  ];
  const sessions = [];
  for (const [index, [answer, options]] of answers.entries()) {
    const session = await world.signIn({ email: `user${index}@example.com`, due: true });
    session.fail(answer, options);
    sessions.push(session);
  }
  // More than give a session up, of answers about itself.
  const turns = 4;
  for (let turn = 0; turn < turns; turn += 1) {
    await tick();
  }
  for (const [index, session] of sessions.entries()) {
    const row = await world.row(session);
    assert.deepEqual(
      [row.refresh_state, row.session_failures, row.consecutive_failures],
      ["active", 0, turns],
      answers[index][0],
    );
    assert.deepEqual(new Set(await outcomes(session)), new Set([answers[index][2]]));
    session.heal();
  }
  await tick();
  for (const session of sessions)
    assert.deepEqual([await stateOf(session), await world.isInStep(session)], ["active", true]);
});

test(
  "what all are answered oddly is the site's affair: it gives nobody up, until somebody is renewed",
  WIDE,
  async () => {
    const sessions = [];
    for (const name of ["ana", "bruno", "carla", "diego"]) {
      const session = await world.signIn({ email: `${name}@example.com`, due: true, rotation: "same" });
      session.fail("markup_changed");
      sessions.push(session);
    }
    for (let turn = 0; turn < 6; turn += 1) await tick();
    for (const session of sessions) {
      assert.equal(await stateOf(session), "active");
      assert.equal(session.calls.length, 6, "each is tried still");
    }
    const [ana, ...others] = sessions;
    for (const session of others) session.heal();
    for (let turn = 0; turn < 3; turn += 1) await tick();
    for (const session of others)
      assert.deepEqual([await stateOf(session), await world.isInStep(session)], ["active", true]);
    assert.equal(await stateOf(ana), "exhausted", "with the others renewed it is this one's own affair");
  },
);

test("a row that can't be presented is given up, too, and its user is told to sign in", async () => {
  const session = await world.signIn({ due: true, row: { aimharder_token: "undefined" } });
  for (let turn = 0; turn < 4; turn += 1) await tick();
  assert.deepEqual([await stateOf(session), (await world.attempts(session)).length], ["exhausted", 3]);
  const told = await check();
  assert.deepEqual([told.sessionValid, told.canRefresh, told.recommendation], [false, false, "login"]);
});

test("one that was given up is never left between two stools: a Worker that dies over it leaves it due", async () => {
  const session = await signInExhausted();
  session.heal();
  await world.set(session, { last_attempt_at: ago(60) });
  await claimFor(world.sql, ANA);
  await world.set(session, { lease_expires_at: ago(1) });
  await world.worker.tick();
  assert.equal((await world.row(session)).refresh_count, 1);
});

/** A Worker claimed it, and died. */
async function abandon(session, claim = () => claimDue(world.sql, 10)) {
  await world.set(session, { next_refresh_at: ago(60) });
  await claim();
  assert.notEqual((await world.row(session)).lease_holder, null);
  await world.set(session, { lease_expires_at: ago(1) });
}

test("after a crash a refusal is believed at the third time only, and the crash is on record", async () => {
  for (const who of ["cron", "user"]) {
    await world.reset();
    const session = await world.signIn();
    await abandon(session, who === "user" ? () => claimFor(world.sql, ANA) : undefined);
    session.killed = true;
    await tick();
    assert.deepEqual(await outcomes(session), ["abandoned", "unrecognised"], who);
    assert.equal(await stateOf(session), "active", who);
    assert.deepEqual([(await check()).sessionValid, (await status()).lastError], [true, "unrecognised"]);
    await tick();
    assert.equal(await stateOf(session), "active", who);
    await tick();
    assert.equal(await stateOf(session), "expired", who);
    assert.deepEqual(await outcomes(session), ["abandoned", "unrecognised", "unrecognised", "expired"], who);
    assert.equal((await check()).recommendation, "login");
  }
});

test("after a crash a session whose old token is still taken recovers by itself", async () => {
  const session = await world.signIn({ rotation: "grace" });
  await abandon(session);
  session.renew();
  await tick();
  const row = await world.row(session);
  assert.deepEqual([row.refresh_state, row.refresh_count, row.in_doubt_since], ["active", 1, null]);
  assert.equal(await world.isInStep(session), true);
  session.killed = true;
  await tick();
  assert.equal(await stateOf(session), "expired", "out of doubt, one refusal is enough");
});

test("an answer that was lost puts a session in doubt; a login ends it", WIDE, async () => {
  // With no time to try again within the attempt.
  const hasty = await world.startWorker({ ...settings, REFRESH_TIMEOUT_SECONDS: "1" });
  for (const lost of ["commit_then_reset", "drip"]) {
    await world.reset();
    const session = await world.signIn({ due: true });
    session.fail(lost, { times: 1, pieceBytes: 20, pauseMs: 100 });
    await hasty.tick();
    assert.notEqual((await world.row(session)).in_doubt_since, null, lost);
    let turns = 1;
    while ((await stateOf(session)) === "active" && turns < 9) {
      await tick();
      turns += 1;
    }
    const refusals = session.calls.filter(({ answer }) => answer === "expired_login_redirect").length;
    assert.deepEqual([await stateOf(session), refusals], ["expired", 3], lost);

    await world.set(session, { in_doubt_since: new Date(), refresh_state: "active" });
    const renewed = world.site.createSession({ userId: session.userId });
    await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
    assert.equal((await world.row(session)).in_doubt_since, null);
  }
});

test("sessions that all died in an outage are said to be over, however many: nobody waits for ever", WIDE, async () => {
  const sessions = [];
  for (const name of ["ana", "bruno", "carla", "diego"]) {
    const session = await world.signIn({ email: `${name}@example.com`, due: true });
    session.fail("hang");
    sessions.push(session);
  }
  await tick();
  for (const session of sessions) session.killed = true;
  for (let turn = 0; turn < 3; turn += 1) {
    await tick();
  }
  for (const session of sessions) {
    assert.deepEqual(await outcomes(session), ["timed_out", "unrecognised", "unrecognised", "expired"]);
  }
  assert.equal((await refresh()).body.code, "session_expired");
});

/** Attempts on record: at each age in minutes, so many renewed and so many expired. */
async function record(ages) {
  const session = await world.signIn();
  let fence = 1000;
  for (const [minutes, refreshed, expired] of ages) {
    for (const [outcome, count] of [
      ["refreshed", refreshed],
      ["expired", expired],
    ]) {
      await world.sql.query(
        `insert into refresh_attempts (session_id, fence, trigger, duration_ms, outcome, tries, age_seconds)
         select $1, $2 + number, 'cron', 100, $3, 1, $4 from generate_series(1, $5) number`,
        [session.id, fence, outcome, minutes * 60 + 20, count],
      );
      fence += count;
    }
  }
}

const measuredAnew = () => world.sql.query("update refresh_policy set life_measured_at = now() - interval '2 hours'");
const dryRun = async () => (await world.worker.batch({ dryRun: true })).body;

test("how old a session was when it was found expired is on record", async () => {
  const session = await world.signIn({ due: true, row: { signed_in_at: ago(2400) } });
  session.fail("expired_401");
  await world.worker.tick();
  const [{ outcome, age_seconds: age }] = await world.attempts(session);
  assert.equal(outcome, "expired");
  assert.ok(age >= 2400 && age < 2460, `${age} s`);
});

test("how long sessions live is measured each hour, told, and held against the interval", async () => {
  assert.deepEqual(
    await dryRun().then(({ measuredLifeSeconds, recommendedIntervalMinutes }) => [
      measuredLifeSeconds,
      recommendedIntervalMinutes,
    ]),
    [null, null],
  );
  await record([
    [16, 200, 1],
    [18, 200, 2],
    [24, 10, 4],
    [26, 2, 12],
  ]);
  assert.equal((await dryRun()).measuredLifeSeconds, null, "not within the hour");
  await measuredAnew();
  const told = await dryRun();
  assert.deepEqual([told.measuredLifeSeconds, told.recommendedIntervalMinutes], [24 * 60, 16]);
  assert.deepEqual([told.dryRun, told.claimed, told.remaining, told.held], [true, 0, 0, null]);
  await world.worker.tick();
  const [line] = await world.logged("interval_too_long");
  assert.deepEqual([line.intervalMinutes, line.recommendedMinutes, line.measuredLifeSeconds], [20, 16, 1440]);
});

test("where sessions outlive the interval by far, nothing is said against it", async () => {
  await record([
    [16, 300, 1],
    [40, 5, 5],
    [60, 0, 5],
  ]);
  await world.worker.tick();
  assert.equal((await dryRun()).recommendedIntervalMinutes, 26);
  await sleep(100);
  assert.deepEqual(world.events("interval_too_long"), []);
});

test("a few that ended otherwise, at any age, say nothing of the site", async () => {
  await record([
    [10, 100, 3],
    [17, 400, 20],
  ]);
  assert.equal((await dryRun()).measuredLifeSeconds, null);
});

test("a dry run tells what holds calls back", async () => {
  await world.signIn({ due: true });
  await world.sql.query(
    "insert into refresh_upstreams (upstream, paused_until) values ($1, now() + interval '5 minutes')",
    [new URL(world.site.url).host],
  );
  const { held, remaining } = await dryRun();
  assert.deepEqual([held, remaining], ["paused", 1]);
});
