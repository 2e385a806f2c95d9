// Whoever wants a session refreshed, and however many at once: one call to upstream, and nothing of it lost.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { claimFor } from "./support/sql.mjs";
import { as, INTERNAL_KEY, startWorld } from "./support/world.mjs";

let world;
let other;
before(async () => {
  world = await startWorld({ site: { latencyMs: 300 } });
  // A second Worker, as in another of Cloudflare's places.
  other = await world.startWorker();
});
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const WIDE = { timeout: 60_000 };
const refresh = (worker = world.worker, options = {}) =>
  worker.call("/api/auth/refresh", { method: "POST", headers: as("ana@example.com"), ...options });

test("50 parallel refreshes of one session make one upstream call, and all get its result", WIDE, async () => {
  const session = await world.signIn();
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => refresh(index % 2 ? world.worker : other)),
  );
  assert.equal(session.calls.length, 1);
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  assert.equal(answers.filter((answer) => !answer.body.reused).length, 1);
  assert.equal(new Set(answers.map((answer) => answer.body.lastRefreshDate)).size, 1);
  assert.equal(await world.isInStep(session), true);
});

test("cron and user at once make one upstream call (hazards 5 and 6)", WIDE, async () => {
  for (const first of ["cron", "user"]) {
    await world.reset();
    const session = await world.signIn({ due: true });
    const release = session.hold();
    const works = { cron: () => world.worker.tick(), user: () => refresh(other) };
    const second = first === "cron" ? "user" : "cron";
    const leading = works[first]();
    await world.until(() => session.calls.length > 0, "upstream was not asked");
    const claims = () => world.supabase.gateway.calls.filter(({ path }) => /claim_(due_)?session/.test(path)).length;
    const claimed = claims();
    const results = { [first]: leading, [second]: works[second]() };
    await world.until(() => claims() > claimed, "the second did not try");
    release();
    assert.equal((await results.user).status, 200, first);
    await results.cron;
    assert.equal(session.calls.length, 1, first);
    assert.equal(await world.isInStep(session), true, first);
  }
});

test("two overlapping runs share the work, and do none of it twice", WIDE, async () => {
  const sessions = [];
  for (let index = 0; index < 40; index += 1) {
    sessions.push(await world.signIn({ email: `user${index}@example.com`, due: true }));
  }
  const [one, two] = await Promise.all([world.worker.batch(), other.batch()]);
  assert.equal(one.body.claimed + two.body.claimed, sessions.length);
  assert.equal(one.body.refreshed + two.body.refreshed, sessions.length);
  for (const session of sessions) assert.equal(session.calls.length, 1);
  assert.ok(world.site.maxConcurrent > 6, "both worked at the same time");
});

test("a run waits for at most six upstream calls at once", WIDE, async () => {
  for (let index = 0; index < 20; index += 1) await world.signIn({ email: `user${index}@example.com`, due: true });
  const { body } = await world.worker.batch({ batchSize: 20 });
  assert.equal(body.refreshed, 20);
  assert.equal(world.site.maxConcurrent, 6);
});

test("one session's trouble doesn't touch or hold up another's", WIDE, async () => {
  const worker = await world.startWorker({ REFRESH_TIMEOUT_SECONDS: "8" });
  const slow = await world.signIn({ email: "slow@example.com", due: true });
  slow.fail("hang");
  const sessions = [];
  for (let index = 0; index < 12; index += 1)
    sessions.push(await world.signIn({ email: `user${index}@example.com`, due: true }));
  const run = worker.batch();
  const written = async () =>
    (await Promise.all(sessions.map((session) => world.row(session)))).every((row) => row.refresh_count === 1);
  await world.until(written, "the others wait for the slow one");
  assert.equal((await world.row(slow)).last_attempt_at, null, "the slow one is still under way");
  assert.deepEqual((await run).body.outcomes, { refreshed: 12, timed_out: 1 });
});

test("a lease that ran out is taken over, and the late writer is refused", WIDE, async () => {
  const session = await world.signIn({ due: true, rotation: "grace" });
  const release = session.hold();
  const run = world.worker.batch();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  // As if the first Worker had been asleep for as long as its lease.
  await world.set(session, { lease_expires_at: new Date(Date.now() - 1000) });
  await claimFor(world.sql, "ana@example.com");
  const taken = await world.row(session);
  release();
  const { body } = await run;
  assert.equal(body.superseded, 1);
  assert.equal(body.refreshed, 0);
  const row = await world.row(session);
  assert.equal(row.aimharder_token, taken.aimharder_token, "the late token is not written over the new holder's");
  assert.equal(row.lease_holder, taken.lease_holder);
  assert.equal(row.refresh_count, 0);
});

test("a lease is respected as long as it lasts, and the work is done once it ran out", WIDE, async () => {
  const session = await world.signIn({ due: true });
  await claimFor(world.sql, "ana@example.com");
  await world.worker.tick();
  assert.equal(session.calls.length, 0);
  await world.set(session, { lease_expires_at: new Date(Date.now() - 1) });
  await world.worker.tick();
  assert.equal(session.calls.length, 1);
  assert.equal(await world.isInStep(session), true);
});

test("somebody else's refresh that takes too long is not waited for without end", WIDE, async () => {
  const worker = await world.startWorker({ REFRESH_TIMEOUT_SECONDS: "1" });
  await world.signIn();
  await claimFor(world.sql, "ana@example.com");
  const started = Date.now();
  const { status, body, headers } = await refresh(worker);
  assert.deepEqual([status, body.code], [429, "refresh_in_progress"]);
  assert.ok(Number(headers.get("retry-after")) >= 1);
  assert.ok(Date.now() - started < 30_000, "the lease lasts a minute");
});

test("a sign-in during a refresh wins", WIDE, async () => {
  const session = await world.signIn({ due: true });
  const renewed = world.site.createSession({ userId: session.userId });
  const release = session.hold();
  const run = world.worker.batch();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
  release();
  assert.equal((await run).body.superseded, 1);
  const row = await world.row(session);
  assert.equal(row.aimharder_token, renewed.token);
  assert.deepEqual(row.aimharder_cookies, renewed.cookies);
  assert.equal(row.refresh_state, "active");
  assert.equal(row.last_refresh_error, null);
});

test("a sign-in during an expired session's refresh keeps the new session active", WIDE, async () => {
  const session = await world.signIn();
  session.fail("expired_401");
  const renewed = world.site.createSession({ userId: session.userId });
  const release = session.hold();
  const answer = refresh();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
  release();
  const { status, body } = await answer;
  assert.deepEqual([status, body.code], [503, "superseded"]);
  assert.equal((await world.row(session)).refresh_state, "active");
});

test("a sign-in revives an expired session, by the database itself", async () => {
  const session = await world.signIn({ due: true });
  session.fail("expired_401");
  await world.worker.tick();
  assert.equal((await world.row(session)).refresh_state, "expired");
  const renewed = world.site.createSession({ userId: session.userId });
  await world.set(session, { aimharder_token: renewed.token, aimharder_cookies: JSON.stringify(renewed.cookies) });
  const row = await world.row(session);
  assert.equal(row.refresh_state, "active");
  assert.equal(row.last_refresh_error, null);
  assert.equal(row.consecutive_failures, 0);
  assert.ok(row.next_refresh_at > new Date(), "a sign-in counts as fresh");
  await world.set(session, { next_refresh_at: new Date(0) });
  await world.worker.tick();
  assert.equal(renewed.calls[0].answer, "refreshed");
});

test("hazard 7: the work goes on when the user hangs up in the middle of it", WIDE, async () => {
  const session = await world.signIn();
  const release = session.hold();
  const leave = world.worker.callAndLeave("/api/auth/refresh", as("ana@example.com"));
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  await leave();
  release();
  await world.until(async () => (await world.row(session)).refresh_count === 1, "the refresh was dropped");
  assert.equal(await world.isInStep(session), true);
});

test(
  "hazard 7: a run whose asker hung up winds up: what is under way is written, nothing else is begun",
  WIDE,
  async () => {
    const sessions = [];
    for (let index = 0; index < 30; index += 1) {
      sessions.push(await world.signIn({ email: `user${index}@example.com`, due: true }));
    }
    const releases = sessions.map((session) => session.hold());
    const leave = world.worker.callAndLeave("/api/internal/refresh-sessions", { "x-api-key": INTERNAL_KEY });
    await world.until(() => world.site.requests.length === 6, "upstream was not asked");
    await leave();
    for (const release of releases) release();
    const { summary } = (await world.logged("run"))[0];
    assert.equal(summary.refreshed + summary.released, summary.claimed);
    assert.equal(summary.refreshed, 6);
    for (const session of sessions) {
      assert.equal(await world.isInStep(session), true);
      assert.equal((await world.row(session)).lease_holder, null);
    }
  },
);

test(
  "hazard 4: a crash between upstream's answer and the write mixes nothing, and the work is done again",
  WIDE,
  async () => {
    const session = await world.signIn({ due: true, rotation: "grace" });
    const before = await world.row(session);
    const worker = await world.startWorker();
    let written = false;
    world.supabase.gateway.fail(({ path }) => {
      if (!path.endsWith("/finish_sessions") || written) return undefined;
      written = true;
      return { hang: true };
    });
    const run = worker.tick().catch(() => "crashed");
    await world.until(() => written, "nothing was to be written");
    world.worker.crash();
    await run;
    const after = await world.row(session);
    assert.equal(after.aimharder_token, before.aimharder_token);
    assert.deepEqual(after.aimharder_cookies, before.aimharder_cookies);
    assert.ok(after.lease_expires_at > new Date(), "the lease still stands");
    await world.set(session, { lease_expires_at: new Date(Date.now() - 1) });
    const heir = await world.startWorker();
    await heir.tick();
    assert.equal((await world.row(session)).refresh_count, 1);
    assert.equal(await world.isInStep(session), true);
    // The crash took every workerd of this process: start anew for what follows.
    await sleep(100);
    world.worker = heir;
    other = await world.startWorker();
  },
);

test("a user's claim that is asked for again keeps its fence", async () => {
  await world.signIn();
  const holder = crypto.randomUUID();
  const claim = async () => (await claimFor(world.sql, "ana@example.com", { p_holder: holder })).session.fence;
  assert.equal(await claim(), await claim());
});

test("a second request within ten seconds of a success gets that result", async () => {
  const session = await world.signIn();
  assert.equal((await refresh()).body.reused, false);
  const again = await refresh(other);
  assert.equal(again.body.reused, true);
  assert.equal(session.calls.length, 1);
});

test("a session is left alone for half a minute after an attempt", async () => {
  const session = await world.signIn();
  session.fail("forbidden");
  assert.equal((await refresh()).status, 502);
  const { status, body, headers } = await refresh();
  assert.deepEqual([status, body.code], [429, "too_soon"]);
  assert.ok(Number(headers.get("retry-after")) > 25);
  assert.equal(session.calls.length, 1);
});

test("a user's Retry-After from upstream is kept to by cron and user alike", async () => {
  const session = await world.signIn({ due: true });
  session.fail("throttled_seconds", { times: 1, seconds: 120 });
  await world.worker.tick();
  await world.worker.tick();
  await world.set(session, { last_attempt_at: new Date(Date.now() - 60_000) });
  const { status, headers } = await refresh();
  assert.equal(status, 429);
  assert.ok(Number(headers.get("retry-after")) > 100);
  assert.equal(session.calls.length, 1);
});

test("a user with several sessions refreshes the one signed in last, or the one named", async () => {
  const old = await world.signIn({ row: { signed_in_at: new Date(Date.now() - 86_400_000) } });
  const latest = await world.signIn();
  assert.equal((await refresh()).status, 200);
  assert.deepEqual([old.calls.length, latest.calls.length], [0, 1]);
  assert.equal((await refresh(world.worker, { json: { sessionId: old.id } })).status, 200);
  assert.deepEqual([old.calls.length, latest.calls.length], [1, 1]);
});
