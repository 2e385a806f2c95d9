// Sparing upstream: all Workers together keep to limits on calls under way and calls a second, slow down when told to,
// leave a broken upstream alone, and come back gently.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { as, startWorld } from "./support/world.mjs";

let world;
before(async () => (world = await startWorld()));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const WIDE = { timeout: 90_000 };
const refresh = (index, worker = world.worker) =>
  worker.call("/api/auth/refresh", { method: "POST", headers: as(`user${index}@example.com`) });
const starts = () => world.site.requests.map((request) => request.at).sort((one, other) => one - other);
const fresh = (sessions) => sessions.filter((session) => session.calls.at(-1)?.answer === "refreshed");
const states = async () => (await world.sql.query("select distinct refresh_state from auth_sessions")).rows;

async function upstream() {
  const { rows } = await world.sql.query("select * from refresh_upstreams");
  return rows[0];
}

/** Lets the database's time pass for upstream's sake. */
async function breakerIsOver() {
  await world.sql.query("update refresh_upstreams set breaker_until = now(), paused_until = '-infinity'");
}

async function allDue() {
  await world.sql.query(
    "update auth_sessions set next_refresh_at = now() - interval '1 second' where refresh_state = 'active'",
  );
}

/** The most calls that began within any such span. */
function most(within) {
  const times = starts();
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + within).length));
}

test(
  "calls under way keep to the limit over all Workers, and an eighth of it is for those who wait",
  WIDE,
  async () => {
    const limits = { UPSTREAM_MAX_IN_FLIGHT: "8" };
    const workers = await Promise.all([1, 2, 3].map(() => world.startWorker(limits)));
    const sessions = await world.signInMany(60, { latencyMs: 200 });
    const runs = workers.map((worker) => worker.batch({ batchSize: 10 }));
    await world.until(() => world.site.maxConcurrent === 7, "seven of eight are the batches'");
    const answers = await Promise.all([0, 1, 2].map((index) => refresh(index, workers[index])));
    for (const { status } of answers) assert.equal(status, 200);
    await Promise.all(runs);
    assert.ok(world.site.maxConcurrent <= 8, `${world.site.maxConcurrent} at once`);
    assert.equal(fresh(sessions).length, 60);
  },
);

test("calls a second keep to the limit over all Workers", WIDE, async () => {
  const limits = { UPSTREAM_CALLS_PER_SECOND: "10" };
  const workers = await Promise.all([1, 2].map(() => world.startWorker(limits)));
  const sessions = await world.signInMany(60);
  const used = workers[0].cpuSeconds();
  const began = Date.now();
  await Promise.all(workers.map((worker) => worker.batch({ batchSize: 10 })));
  // Waiting costs nothing: a loop that asks the clock again and again would use all there is.
  assert.ok(workers[0].cpuSeconds() - used < 3, "seconds of workerd for some six of waiting");
  const refreshed = fresh(sessions).length;
  assert.ok(refreshed >= 55, `${refreshed} refreshed`);
  // Calls that come late, on a busy machine, keep to the pace; those that come early don't.
  const early = starts().filter((at, index) => at < began + index * 100 - 50);
  assert.deepEqual(early, [], `too early, of ${refreshed} since ${began}`);
  // A Worker that was late goes on at the pace for itself, with six that waited.
  assert.ok(most(1000) <= 2 * 16, `${most(1000)} within a second`);
});

test("an upstream that is down is left alone, tried with one probe, and comes back without a herd", WIDE, async () => {
  // Slow, so that no more than three rounds of six begin in the three seconds that an answer may wait to be written.
  const sessions = await world.signInMany(40, { latencyMs: 500 });
  for (const session of sessions) session.fail("unavailable");
  await world.worker.batch({ batchSize: 10 });
  assert.equal((await upstream()).breaker, "open");
  const asked = world.site.requests.length;
  assert.ok(asked <= 3 * 18, `${asked} calls, repetitions included`);
  for (const session of sessions) session.latencyMs = 0;

  await allDue();
  const { status, body, headers } = await world.worker.batch({ batchSize: 10 });
  assert.deepEqual([status, body.code, body.held, body.claimed], [503, "upstream_spared", "breaker", 0]);
  assert.ok(Number(headers.get("retry-after")) > 0);
  const byUser = await refresh(0);
  assert.deepEqual([byUser.status, byUser.body.code], [503, "upstream_spared"]);
  assert.ok(Number(byUser.headers.get("retry-after")) > 1);
  await world.worker.tick();
  assert.equal(world.site.requests.length, asked, "nobody calls");

  await breakerIsOver();
  await Promise.all([1, 2, 3].map(() => world.worker.batch({ batchSize: 10 })));
  const probes = world.site.requests.slice(asked);
  assert.equal(new Set(probes.map((request) => request.userId)).size, 1, "one session probes");
  const again = await upstream();
  assert.deepEqual([again.breaker, again.openings], ["open", 2]);
  assert.ok(again.breaker_until - Date.now() > 15_000, "for longer each time");

  for (const session of sessions) session.heal();
  await breakerIsOver();
  await allDue();
  await world.worker.tick();
  // The rest, where the first one's probe took longer than the second that is waited for it.
  await world.worker.tick();
  const { breaker, openings, rate } = await upstream();
  assert.deepEqual([breaker, openings], ["closed", 0]);
  assert.ok(rate < 10_000, "slowly at first");
  assert.equal(fresh(sessions).length, 40);
  assert.deepEqual(await states(), [{ refresh_state: "active" }]);
  assert.deepEqual(await world.outOfStep(sessions), []);
});

test("a Retry-After of an upstream that is down is heeded by all", async () => {
  const sessions = await world.signInMany(8);
  for (const session of sessions) session.fail("unavailable", { retryAfter: 400 });
  await world.worker.batch();
  const { breaker, breaker_until: until } = await upstream();
  assert.equal(breaker, "open");
  assert.ok(until - Date.now() > 390_000);
  assert.equal((await world.worker.batch()).body.held, "breaker");
});

test("a login page for everybody is not believed, as long as the sessions may live", WIDE, async () => {
  const sessions = await world.signInMany(40);
  for (const session of sessions) session.fail("expired_login_redirect");
  await world.worker.batch({ batchSize: 10 });
  const { rows: over } = await world.sql.query("select id from auth_sessions where refresh_state = 'expired'");
  assert.ok(over.length <= 10, `${over.length} were believed`);
  const [doubted] = sessions.filter((session) => !over.some(({ id }) => id === session.id));
  const row = await world.row(doubted);
  assert.deepEqual([row.refresh_state, row.last_refresh_error], ["active", "unrecognised"]);
  await world.set(doubted, { last_attempt_at: null });
  const asked = await world.worker.call("/api/auth/refresh", { method: "POST", headers: as(row.user_email) });
  assert.deepEqual([asked.status, asked.body.code], [502, "upstream_unrecognised"], "and its user is not told so");

  const [old] = sessions.filter((session) => session !== doubted && !over.some(({ id }) => id === session.id));
  const longAgo = new Date(Date.now() - 2 * 3_600_000);
  await world.set(old, { signed_in_at: longAgo, next_refresh_at: longAgo, in_doubt_since: null });
  await world.worker.batch({ batchSize: 1 });
  assert.equal((await world.row(old)).refresh_state, "expired", "none lived for so long");

  for (const session of sessions) session.heal();
  await allDue();
  await world.worker.batch({ batchSize: 10 });
  assert.equal(fresh(sessions).length, 40 - over.length - 1);
});

test("a probe whose Worker died is followed by another", WIDE, async () => {
  await world.signInMany(3);
  const host = new URL(world.site.url).host;
  await world.sql.query(
    "insert into refresh_upstreams (upstream, breaker, breaker_until) values ($1, 'half_open', now() + interval '1 minute')",
    [host],
  );
  assert.equal((await world.worker.batch()).status, 503);
  await breakerIsOver();
  // The second is for where the first one's probe takes longer than the second that is waited for it.
  const { body: first } = await world.worker.batch();
  const { body: second } = await world.worker.batch();
  assert.equal(first.refreshed + second.refreshed, 3);
  assert.ok(first.refreshed === 3 || first.durationMs >= 1000, "it goes on when its probe comes back");
});

test("429 for several slows all down and pauses them for as long as upstream said", WIDE, async () => {
  const worker = await world.startWorker({ UPSTREAM_CALLS_PER_SECOND: "100" });
  const sessions = await world.signInMany(20);
  // Not due, and so never asked, however many are before the others' answers are written.
  await world.signIn({ email: "user20@example.com" });
  for (const session of sessions) session.fail("throttled_seconds", { seconds: 60 });
  const before = Date.now();
  await worker.batch({ batchSize: 6 });
  const told = await upstream();
  assert.ok(told.rate <= 50, `${told.rate} a second`);
  assert.ok(told.paused_until - before >= 59_500 && told.paused_until - Date.now() <= 60_000);
  const asked = world.site.requests.length;
  const spared = await refresh(20, worker);
  assert.deepEqual([spared.status, spared.body.code], [503, "upstream_spared"]);
  assert.equal(world.site.requests.length, asked);

  for (const session of sessions) session.heal();
  await breakerIsOver();
  await allDue();
  await worker.batch({ batchSize: 6 });
  assert.equal(fresh(sessions).length, 20);
  const later = (
    await world.sql.query(
      "select current_rate(up, policy, now() + interval '2 minutes') as rate from refresh_upstreams up, refresh_policy policy",
    )
  ).rows;
  assert.equal(later[0].rate, 100, "and gently up again");
});

test("429 for one session is its own affair", WIDE, async () => {
  const sessions = await world.signInMany(12);
  sessions[0].fail("throttled_seconds", { seconds: 600 });
  const { body } = await world.worker.batch();
  assert.deepEqual(body.outcomes, { refreshed: 11, throttled: 1 });
  const { rate, paused_until: pausedUntil } = await upstream();
  assert.deepEqual([rate, pausedUntil], [null, -Infinity]);
  const { next_refresh_at: next, last_attempt_at: last } = await world.row(sessions[0]);
  assert.ok(next - last >= 599_000);
});

test("upstreams are told apart: one's trouble is not the other's", async () => {
  await world.signInMany(1);
  await world.sql.query(
    "insert into refresh_upstreams (upstream, breaker, breaker_until) values ('elsewhere.example', 'open', now() + interval '1 hour')",
  );
  assert.equal((await world.worker.batch()).body.refreshed, 1);
});

test("tries come closer within a session's remaining life", WIDE, async () => {
  await world.neverSpareUpstream();
  const [session] = await world.signInMany(1);
  session.fail("unavailable", { retryAfter: undefined });
  const waits = [];
  for (const minutes of [16, 20, 24, 27, 29]) {
    await world.set(session, {
      last_refresh_date: new Date(Date.now() - minutes * 60_000),
      signed_in_at: new Date(Date.now() - 3_600_000),
      next_refresh_at: new Date(Date.now() - 1000),
    });
    await world.worker.tick();
    const row = await world.row(session);
    waits.push((row.next_refresh_at - row.last_attempt_at) / 1000);
  }
  assert.deepEqual(
    waits,
    waits.toSorted((one, other) => other - one),
    `${waits}`,
  );
  assert.ok(waits[0] > 100 && waits.at(-1) <= 15, `${waits}`);
});
