// What the booking job calls a minute before a class opens: these sessions, no older than so many seconds, now, or
// fresh at a time to come.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { bookingJob, ids, key, ROUTE, results } from "./support/job.mjs";
import { claimFor } from "./support/sql.mjs";
import { ago, ahead, as, startWorld } from "./support/world.mjs";

let world;
before(async () => (world = await startWorld()));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const WIDE = { timeout: 60_000 };
const { ensure, signInOld, signInMany, nothingIsLost } = bookingJob(() => world);

const looks = () => world.answeredCallsOf("claim_sessions").length;

test("what is fresh enough is left alone, what is older is refreshed once, told in the order that was asked", async () => {
  const ana = await world.signIn();
  const bruno = await signInOld("bruno");
  const carla = await signInOld("carla");
  const asked = { ids: [bruno.id, ana.id], emails: ["carla@example.com", "bruno@example.com"], maxAgeSeconds: 120 };
  const answer = await ensure(asked);
  assert.equal(answer.status, 200);
  assert.deepEqual([answer.body.success, answer.body.allFresh], [true, true]);
  assert.deepEqual(results(answer), ["refreshed", "fresh", "refreshed", "refreshed"]);
  assert.deepEqual(
    answer.body.sessions.map(({ id, email }) => [id, email]),
    [
      [bruno.id, undefined],
      [ana.id, undefined],
      [carla.id, "carla@example.com"],
      [bruno.id, "bruno@example.com"],
    ],
  );
  assert.deepEqual(
    [ana, bruno, carla].map((session) => session.calls.length),
    [0, 1, 1],
  );
  const [told] = answer.body.sessions;
  assert.deepEqual([told.state, told.outcome, told.lastError], ["active", "refreshed", null]);
  assert.ok(told.ageSeconds < 60 && Date.parse(told.nextRefreshDue) > Date.now());
  assert.equal((await world.attempts(bruno))[0].trigger, "ensure_fresh");
  assert.ok((await world.attempts(bruno))[0].age_seconds >= 600);
  assert.ok(!answer.text.includes(bruno.token));
  await nothingIsLost([ana, bruno, carla]);
  assert.deepEqual(results(await ensure(asked)), ["fresh", "fresh", "fresh", "fresh"]);
  assert.equal(world.site.requests.length, 2);
});

test("an e-mail address stands for that user's session signed in last", async () => {
  const older = await signInOld("ana", { row: { signed_in_at: ago(3600) } });
  const latest = await signInOld("ana");
  const { body } = await ensure({ emails: ["ana@example.com"], maxAgeSeconds: 60 });
  assert.equal(body.sessions[0].id, latest.id);
  assert.deepEqual([older.calls.length, latest.calls.length], [0, 1]);
});

test("each is told what came of it; a failure is never told as fresh", async () => {
  const [expired, refused, throttled, resting, unusable, fine] = await signInMany(6);
  expired.fail("expired_401");
  refused.fail("forbidden");
  throttled.fail("throttled");
  await world.set(resting, { last_refresh_error: "throttled", next_refresh_at: ahead(90) });
  await world.sql.query("update auth_sessions set aimharder_cookies = '[]' where id = $1", [unusable.id]);
  await world.set(unusable, { signed_in_at: ago(600) });
  const asked = {
    ids: [randomUUID(), ...ids([expired, refused, throttled, resting, unusable, fine])],
    emails: ["nobody@example.com", "USER5@example.com"],
    maxAgeSeconds: 0,
  };
  const answer = await ensure(asked);
  assert.deepEqual([answer.status, answer.body.allFresh], [200, false]);
  assert.deepEqual(
    answer.body.sessions.map(({ result, outcome, state }) => [result, outcome, state]),
    [
      ["not_found", null, null],
      ["expired", "expired", "expired"],
      ["failed", "refused", "active"],
      ["failed", "throttled", "active"],
      ["throttled", null, "active"],
      ["failed", "unusable", "active"],
      ["refreshed", "refreshed", "active"],
      ["not_found", null, null],
      ["not_found", null, null],
    ],
  );
  assert.equal(answer.body.sessions[0].id, asked.ids[0]);
  assert.equal(answer.body.sessions[7].id, null);
  assert.ok(answer.body.sessions[2].ageSeconds >= 600, "the failed one is as old as it was");
  assert.deepEqual([resting.calls.length, fine.calls.length], [0, 1]);
  await nothingIsLost([refused, throttled, resting, fine]);
});

test("where none could be made fresh, the status says whose trouble it is", async () => {
  const alone = async (session) => ensure({ ids: [session.id], maxAgeSeconds: 0 });
  const refused = await signInOld("refused");
  refused.fail("forbidden");
  const failed = await alone(refused);
  assert.deepEqual([failed.status, failed.body.code, failed.body.success], [502, "none_fresh", false]);
  assert.deepEqual(results(failed), ["failed"]);
  assert.ok(Number(failed.headers.get("retry-after")) >= 1);

  const resting = await signInOld("resting");
  await world.set(resting, { last_refresh_error: "throttled", next_refresh_at: ahead(90) });
  const throttled = await alone(resting);
  assert.deepEqual(
    [throttled.status, throttled.body.code, results(throttled)],
    [503, "upstream_spared", ["throttled"]],
  );
  const wait = Number(throttled.headers.get("retry-after"));
  assert.ok(wait > 80 && wait <= 91, `Retry-After ${wait}`);

  const dead = await signInOld("dead");
  dead.fail("expired_401");
  for (const outcome of ["expired", null]) {
    const over = await alone(dead);
    assert.deepEqual([over.status, over.body.allFresh, over.body.sessions[0].outcome], [200, false, outcome]);
  }
  assert.equal(dead.calls.length, 1, "one that is over is not tried again");
});

test("a refresh under way is joined, whosever it is: one upstream call", WIDE, async () => {
  const works = {
    "the cron's": () => world.worker.tick(),
    "the user's": () => world.worker.call("/api/auth/refresh", { method: "POST", headers: as("ana@example.com") }),
    "another job's": () => ensure({ emails: ["ana@example.com"], maxAgeSeconds: 0 }),
  };
  for (const [whose, work] of Object.entries(works)) {
    await world.reset();
    const session = await signInOld("ana");
    await world.set(session, { next_refresh_at: ago(60) });
    const release = session.hold();
    const leading = work();
    await world.until(() => session.calls.length > 0, "upstream was not asked");
    const earlier = looks();
    const joined = ensure({ ids: [session.id], emails: ["ana@example.com"], maxAgeSeconds: 0 });
    await world.until(() => looks() > earlier, "it was not looked at");
    release();
    const { status, body } = await joined;
    await leading;
    assert.deepEqual([status, body.allFresh], [200, true], whose);
    assert.deepEqual(
      body.sessions.map(({ result, ageSeconds }) => [result, ageSeconds < 60]),
      [
        ["refreshed", true],
        ["refreshed", true],
      ],
      whose,
    );
    assert.equal(session.calls.length, 1, whose);
    await nothingIsLost([session]);
  }
});

test("where the refresh that was joined fails, another is made", WIDE, async () => {
  const session = await signInOld("ana");
  await world.set(session, { next_refresh_at: ago(60) });
  session.fail("forbidden", { times: 1 });
  const release = session.hold();
  const run = world.worker.tick();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  const joined = ensure({ ids: [session.id], maxAgeSeconds: 0 });
  await world.until(() => looks() > 0, "it was not looked at");
  release();
  assert.deepEqual(results(await joined), ["refreshed"]);
  await run;
  assert.equal(session.calls.length, 2);
  await nothingIsLost([session]);
});

test("a sign-in that overtakes a refresh is as fresh as can be", WIDE, async () => {
  const session = await signInOld("ana");
  const renewed = world.site.createSession({ userId: session.userId });
  const release = session.hold();
  const answer = ensure({ ids: [session.id], maxAgeSeconds: 0 });
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
  release();
  assert.deepEqual(results(await answer), ["refreshed"]);
  assert.equal((await world.row(session)).aimharder_token, renewed.token);
});

test("a hundred addresses of the greatest length are taken", async () => {
  const emails = Array.from({ length: 100 }, (_, index) => `${String(index).padStart(243, "ñ")}@example.com`);
  const { status, body } = await ensure({ emails, maxAgeSeconds: 60 });
  assert.equal(status, 200);
  assert.ok(body.sessions.every(({ result }) => result === "not_found"));
});

test("what is wrong with a request is named", async () => {
  const id = randomUUID();
  for (const [json, named] of [
    [{}, /ids and emails/],
    [{ maxAgeSeconds: 60 }, /ids and emails/],
    [{ ids: [], emails: [], maxAgeSeconds: 60 }, /ids and emails/],
    [{ ids: id, maxAgeSeconds: 60 }, /ids/],
    [{ ids: [5], maxAgeSeconds: 60 }, /ids/],
    [{ ids: ["x"], maxAgeSeconds: 60 }, /ids/],
    [{ ids: { id }, maxAgeSeconds: 60 }, /ids/],
    [{ emails: "ana@example.com", maxAgeSeconds: 60 }, /emails/],
    [{ emails: [""], maxAgeSeconds: 60 }, /emails/],
    [{ emails: ["x".repeat(256)], maxAgeSeconds: 60 }, /emails/],
    [{ emails: ["ana\u0000@example.com"], maxAgeSeconds: 60 }, /emails/],
    [{ ids: [id] }, /maxAgeSeconds and freshAt/],
    [{ ids: [id], maxAgeSeconds: null }, /maxAgeSeconds/],
    [{ ids: [id], maxAgeSeconds: "60" }, /maxAgeSeconds/],
    [{ ids: [id], maxAgeSeconds: -1 }, /maxAgeSeconds/],
    [{ ids: [id], maxAgeSeconds: 1.5 }, /maxAgeSeconds/],
    [{ ids: [id], maxAgeSeconds: 86_401 }, /maxAgeSeconds/],
    [{ ids: [id], maxAgeSeconds: 60, max_age: 60 }, /max_age/],
    [{ ids: [id], maxAgeSeconds: 60, freshAt: ahead(600).toISOString() }, /maxAgeSeconds and freshAt/],
    [{ ids: [id], freshAt: "" }, /freshAt/],
    [{ ids: [id], freshAt: "tomorrow" }, /freshAt/],
    [{ ids: [id], freshAt: 1_800_000_000 }, /freshAt/],
    [{ ids: [id], freshAt: ahead(600).toISOString().replace("Z", "") }, /freshAt/],
    [{ ids: [id], freshAt: ago(5).toISOString() }, /freshAt/],
    [{ ids: [id], freshAt: ahead(8 * 86_400).toISOString() }, /freshAt/],
    [{ ids: [id], freshAt: "infinity" }, /freshAt/],
    [[], /.../],
  ]) {
    const { status, body } = await ensure(json);
    assert.deepEqual([status, body.code], [400, "bad_request"], JSON.stringify(json));
    assert.match(body.error, named, JSON.stringify(json));
  }
  assert.equal((await ensure({ emails: ["x".repeat(200_000)], maxAgeSeconds: 60 })).status, 413);
  for (const headers of [{}, as("ana@example.com"), { "x-api-key": "x" }]) {
    const answer = await world.worker.call(ROUTE, { method: "POST", json: { ids: ["x"] }, headers });
    assert.deepEqual([answer.status, answer.body.code], [401, "unauthorized"]);
  }
  const got = await world.worker.call(ROUTE, { headers: key });
  assert.deepEqual([got.status, got.headers.get("allow")], [405, "POST"]);
  assert.equal(world.supabase.gateway.calls.length, 0, "none of it costs a database call");
});

test("within the free plan's calls: what can't be done is told as spared, and nothing is lost", WIDE, async () => {
  for (const pace of ["10000", "5"]) {
    const worker = await world.startWorker({ SUBREQUEST_LIMIT: "50", UPSTREAM_CALLS_PER_SECOND: pace });
    await world.reset();
    const sessions = await signInMany(100);
    // Each of the first ones takes three calls.
    for (const session of sessions.slice(0, 12)) session.fail("server_error", { times: 2 });
    const answer = await ensure({ ids: ids(sessions), maxAgeSeconds: 60 }, worker);
    const asked = world.supabase.gateway.calls.length + world.site.requests.length;
    assert.ok(asked <= 50, `${asked} calls at a pace of ${pace}`);
    assert.deepEqual([answer.status, answer.body.allFresh], [200, false]);
    const told = results(answer);
    assert.deepEqual([...new Set(told)].sort(), ["refreshed", "spared"]);
    assert.ok(told.filter((result) => result === "refreshed").length >= 8, told.join());
    for (const [index, session] of sessions.entries()) {
      assert.equal((await world.row(session)).refresh_count, told[index] === "refreshed" ? 1 : 0);
    }
    await nothingIsLost(sessions);
  }
});

test("a claim whose answer is lost is asked for again: the same leases, one call each", WIDE, async () => {
  for (const lose of ["reset", "html"]) {
    await world.reset();
    const sessions = await signInMany(4);
    world.breakCalls("claim_sessions", { loseResponse: lose }, 1);
    const answer = await ensure({ ids: ids(sessions), maxAgeSeconds: 60 });
    assert.deepEqual([answer.status, answer.body.allFresh], [200, true], lose);
    for (const session of sessions) {
      assert.equal(session.calls.length, 1);
      assert.deepEqual(
        (await world.attempts(session)).map(({ outcome }) => outcome),
        ["refreshed"],
      );
    }
    await nothingIsLost(sessions);
  }
});

test("a database that is away is told as such, with what is known, and nothing is lost", WIDE, async () => {
  const missing = { status: 404, json: { code: "PGRST202", message: "no such function" } };
  const sessions = await signInMany(2, { rotation: "grace" });
  const asked = { ids: ids(sessions), maxAgeSeconds: 60 };

  world.breakCalls("claim_sessions", { status: 503, json: { code: "PGRST000", message: "x" } });
  const away = await ensure(asked);
  assert.deepEqual([away.status, away.body.code, away.body.sessions], [503, "database_unavailable", undefined]);
  assert.ok(Number(away.headers.get("retry-after")) >= 1);
  world.breakCalls("claim_sessions", missing);
  const refused = await ensure(asked);
  assert.deepEqual([refused.status, refused.body.code], [503, "database_refused"]);
  assert.equal(world.site.requests.length, 0);

  world.breakCalls("finish_sessions", missing);
  const unwritten = await ensure(asked);
  assert.deepEqual([unwritten.status, unwritten.body.code], [503, "database_refused"]);
  assert.deepEqual(
    unwritten.body.sessions.map(({ result, outcome }) => [result, outcome]),
    [
      ["failed", null],
      ["failed", null],
    ],
  );
  world.supabase.gateway.fail(undefined);
  await world.sql.query("update auth_sessions set lease_expires_at = now()");

  world.breakCalls("finish_sessions", { loseResponse: "reset" }, 1);
  const repeated = await ensure(asked);
  assert.deepEqual([repeated.status, results(repeated)], [200, ["refreshed", "refreshed"]]);
  await nothingIsLost(sessions);

  await world.sql.query("update auth_sessions set last_refresh_date = now() - interval '1 hour'");
  world.breakCalls("finish_run", missing);
  const unclosed = await ensure(asked);
  assert.deepEqual([unclosed.status, results(unclosed)], [200, ["refreshed", "refreshed"]], "what is fresh is fresh");
  assert.equal((await world.logged("run", 5)).at(-1).error, "database_refused");
  await nothingIsLost(sessions);
});

test("a database that fails in the middle takes nothing from what is known already", WIDE, async () => {
  const held = await signInOld("held");
  const fine = await signInOld("fine");
  await claimFor(world.sql, "held@example.com");
  world.supabase.gateway.fail(({ path }) => {
    const again = path.endsWith("/claim_sessions") && world.callsOf("claim_sessions").length > 1;
    return again ? { status: 404, json: { code: "PGRST202", message: "x" } } : undefined;
  });
  const answer = await ensure({ ids: [held.id, fine.id], maxAgeSeconds: 60 });
  assert.deepEqual([answer.status, answer.body.allFresh, results(answer)], [200, false, ["busy", "refreshed"]]);
  const { rows } = await world.sql.query("select error, refreshed from refresh_runs where trigger = 'ensure_fresh'");
  assert.deepEqual(rows, [{ error: "database_refused", refreshed: 1 }]);
});

const wish = (seconds, names) => ensure({ ...names, freshAt: ahead(seconds).toISOString() });
const wishes = async () => (await world.sql.query("select * from refresh_wishes order by fresh_at")).rows;
const dueIn = async (session) => ((await world.row(session)).next_refresh_at - Date.now()) / 1000;

/** Lets time pass for all that is stored of a session. */
const pass = (seconds) =>
  world.sql.query(`
    update auth_sessions set next_refresh_at = next_refresh_at - interval '${seconds} s',
      signed_in_at = signed_in_at - interval '${seconds} s',
      last_refresh_date = last_refresh_date - interval '${seconds} s',
      last_attempt_at = last_attempt_at - interval '${seconds} s';
    update refresh_wishes set fresh_at = fresh_at - interval '${seconds} s'`);

/** What is due comes nearer while a test is at work, on a slow machine by some seconds. */
function assertNear(actual, expected, what) {
  const passed = expected - actual;
  assert.ok(passed > -1 && passed < 20, `${what ?? "due"} in ${actual} s, not ${expected} s`);
}

test("fresh at a time to come: refreshed within the minute and a half before", async () => {
  const session = await world.signIn();
  const { status, body } = await wish(600, { ids: [session.id], emails: ["ana@example.com"] });
  assert.deepEqual([status, body.success, body.allScheduled, body.allFresh], [200, true, true, undefined]);
  assert.deepEqual(results({ body }), ["scheduled", "scheduled"]);
  assertNear((Date.parse(body.sessions[0].nextRefreshDue) - Date.now()) / 1000, 510);
  await world.worker.tick();
  assert.equal(session.calls.length, 0);
  await pass(480);
  await world.worker.tick();
  assert.equal(session.calls.length, 0, "not too early");
  await pass(31);
  await world.worker.tick();
  assert.equal(session.calls.length, 1);
  assert.deepEqual(await wishes(), [], "granted");
  assert.ok((await dueIn(session)) > 900, "back to its usual pace");
});

test("a usual refresh, a failure or a sign-in in between takes nothing from a wish; two are both granted", async () => {
  const session = await world.signIn();
  await wish(1500, { ids: [session.id] });
  assert.ok((await dueIn(session)) < 1200, "a due time that comes first stays");
  await wish(600, { ids: [session.id] });
  assertNear(await dueIn(session), 510);
  await world.set(session, { next_refresh_at: ago(1) });
  await world.worker.tick();
  assert.equal(session.calls.length, 1);
  assertNear(await dueIn(session), 510, "after a usual refresh");
  assert.equal((await wishes()).length, 2);

  await pass(400);
  await world.set(session, { next_refresh_at: ago(1) });
  session.fail("forbidden", { times: 1 });
  await world.worker.tick();
  assertNear(await dueIn(session), 110, "after a failure");

  const renewed = world.site.createSession({ userId: session.userId });
  await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
  assertNear(await dueIn(session), 110, "after a sign-in");
  await pass(115);
  await world.worker.tick();
  assert.equal(renewed.calls.length, 1);
  assert.equal((await wishes()).length, 1, "the first is granted, the second stands");
  assertNear(await dueIn(session), 1500 - 515 - 90, "the second");
});

test("upstream's own Retry-After comes before a wish", async () => {
  const session = await world.signIn({ due: true });
  session.fail("throttled_seconds", { seconds: 900 });
  await wish(300, { ids: [session.id] });
  await world.worker.tick();
  assert.ok((await dueIn(session)) >= 890);
  const late = await wish(300, { ids: [session.id] });
  assert.deepEqual([late.body.allScheduled, results(late)], [false, ["throttled"]]);
  assert.ok((await dueIn(session)) >= 890, "nor does a later wish bring it forward");
  assert.deepEqual(results(await wish(1800, { ids: [session.id] })), ["scheduled"]);
});

test("a wish that comes too late is due at once, and one is enough", async () => {
  const session = await world.signIn();
  assert.deepEqual(results(await wish(30, { emails: ["ana@example.com"] })), ["scheduled"]);
  await world.worker.tick();
  assert.equal(session.calls.length, 1);
  assert.deepEqual(await wishes(), []);
  await wish(600, { ids: [session.id] });
  await wish(600, { ids: [session.id] });
  await pass(700);
  await wish(900, { ids: [session.id] });
  assert.equal((await wishes()).length, 1, "those that were never granted go");
});

test("what will not be fresh in time is told so", async () => {
  const [expired, exhausted, disabled] = await signInMany(3);
  await world.set(expired, { refresh_state: "expired", next_refresh_at: null });
  await world.set(exhausted, { refresh_state: "exhausted", next_refresh_at: null });
  await world.set(disabled, { auto_refresh_enabled: false });
  const { status, body } = await wish(600, { ids: [randomUUID(), ...ids([expired, exhausted, disabled])] });
  assert.deepEqual([status, body.allScheduled], [200, false]);
  assert.deepEqual(results({ body }), ["not_found", "expired", "not_scheduled", "not_scheduled"]);
  assert.equal((await world.row(expired)).next_refresh_at, null);
});

test("a time's own zone is heeded", async () => {
  const session = await world.signIn();
  const local = new Date(Date.now() + 600_000 + 5.5 * 3_600_000).toISOString().replace("Z", "+05:30");
  assert.equal((await ensure({ ids: [session.id], freshAt: local })).status, 200);
  assertNear(await dueIn(session), 510);
});
