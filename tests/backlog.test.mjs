// A large backlog through the real parts, and what can happen to it on its way: bad days, crashes, restarts, outages.
// Whatever does: each session is presented once at a time, and nothing that upstream handed out is lost.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWERS, EXPIRED } from "../local/aimharder.mjs";
import { startWorld } from "./support/world.mjs";

const LARGE = 10_000;

let world;
const settings = { REFRESH_BATCH_SIZE: "100" };
before(async () => (world = await startWorld({ settings, site: { keepAlive: false } })));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const WIDE = { timeout: 120_000 };
const WAKE = { wake: "claim" };

async function count(condition) {
  const { rows } = await world.sql.query(`select count(*)::int as count from auth_sessions where ${condition}`);
  return rows[0].count;
}

async function allDue(condition = "true") {
  await world.sql.query(
    `update auth_sessions set next_refresh_at = now() - interval '1 second' where refresh_state = 'active' and ${condition}`,
  );
}

/** A Worker that wakes no others, which would be at work still when leases are made to run out. */
const loneWorker = () => world.startWorker(settings, { queue: false });

/** Lets the leases of a dead Worker run out. */
async function leasesAreOver() {
  await world.sql.query(`update auth_sessions set lease_expires_at = now() - interval '1 second'
    where lease_expires_at is not null`);
  await world.sql.query("update refresh_slots set expires_at = now() - interval '1 second'");
}

test(`${LARGE} due sessions drain over queue and consumers, each presented once`, WIDE, async (context) => {
  const sessions = await world.signInMany(LARGE);
  const started = Date.now();
  const cpu = world.worker.cpuSeconds();
  // The queue delivers one message after the other here: the width that Cloudflare gives is made by hand.
  await Promise.all([world.worker.tick(), ...[1, 2, 3].map(() => world.worker.deliver(WAKE))]);
  await world.until(async () => (await count("refresh_count = 0")) === 0, "not all were refreshed");
  const seconds = (Date.now() - started) / 1000;
  assert.deepEqual([...new Set(sessions.map((session) => session.calls.length))], [1]);
  assert.deepEqual(await world.outOfStep(sessions), []);
  const [claims, finishes] = ["claim_due_sessions", "finish_sessions"].map((name) => world.callsOf(name).length);
  const used = world.worker.cpuSeconds() - cpu;
  context.diagnostic(
    `${LARGE} sessions in ${seconds.toFixed(1)} s, ${Math.round(LARGE / seconds)} a second; ` +
      `${claims} claims, ${finishes} finishes; ${((used * 1000) / LARGE).toFixed(2)} ms of workerd's CPU for each; ` +
      `at most ${world.site.maxConcurrent} calls at once`,
  );
  // The ten that the tick woke come one after the other, the last for nothing: they must not meet the next test.
  await world.until(() => world.events("run").length === 4 + 10, "not all helpers came");
});

test("a bad day: one call in ten goes wrong, upstream's and the database's alike", WIDE, async (context) => {
  const sessions = await world.signInMany(1_000, { rotation: "grace" });
  const worker = await loneWorker();
  const faults = ANSWERS.filter((name) => !(name in EXPIRED) && !/hang|gzip_bomb|large|drip|^refreshed$/.test(name));
  world.site.badDay(0.1, faults);
  let draws = 0;
  const mishaps = [
    { reset: true },
    { status: 502, html: "<html>" },
    { loseResponse: "reset" },
    { loseResponse: "html" },
  ];
  world.supabase.gateway.fail(() => {
    draws += 1;
    return draws % 10 === 0 ? mishaps[(draws / 10) % mishaps.length] : undefined;
  });
  // A run ends with the first claim that fails.
  for (let turn = 0; turn < 12; turn += 1) {
    await Promise.all([worker.tick(), worker.deliver(WAKE)]);
    await leasesAreOver();
    await allDue("last_refresh_error is not null or refresh_count = 0");
  }
  world.supabase.gateway.fail(undefined);
  world.site.badDay(0);
  await worker.tick();
  const unseen = /commit_then_reset|reset_mid_body|truncated$|markup_changed|malformed_token|other_user|wrong_charset/;
  const lostTwice = (session) => {
    const lost = session.calls.map((call) => unseen.test(call.answer));
    return lost.some((one, index) => one && lost[index + 1]);
  };
  const out = await world.outOfStep(sessions);
  assert.deepEqual(
    out.filter((session) => !lostTwice(session)).map((session) => session.calls.map((call) => call.answer)),
    [],
    "only what upstream never let us see is lost",
  );
  const faulty = sessions.flatMap((session) => session.calls).filter(({ answer }) => faults.includes(answer)).length;
  // More than a hundred are to be expected, give or take ten.
  assert.ok(faulty > 50, `${faulty} faults`);
  assert.ok((await count("refresh_count = 0")) <= out.length);
  const { rows } = await world.sql.query("select id from auth_sessions where refresh_state <> 'active'");
  const lost = new Set(out.map((session) => session.id));
  assert.ok(
    rows.every(({ id }) => lost.has(id)),
    "nobody else is given up",
  );
  context.diagnostic(`${faulty} calls went wrong; ${out.length} of 1,000 lost two rotations in a row`);
});

test("a Worker killed in the middle of its batch loses at most what was in flight", WIDE, async (context) => {
  const sessions = await world.signInMany(300, { rotation: "grace", latencyMs: 100 });
  const victim = await world.startWorker();
  const run = victim.tick().catch(() => "crashed");
  await world.until(async () => (await count("refresh_count = 1")) >= 40, "the batch does not get on");
  world.worker.crash();
  await run;
  const inFlight = sessions.filter((session) => session.calls.some((call) => call.answer)).length;
  await leasesAreOver();
  world.worker = await world.startWorker();
  // By now what was on its way to the database is there.
  const written = await count("refresh_count = 1");
  await world.worker.tick();
  assert.deepEqual(await world.outOfStep(sessions), []);
  assert.equal(await count("refresh_count = 1"), 300);
  const twice = sessions.filter((session) => session.calls.length > 1).length;
  // What came within the second before the crash, at some 60 calls a second, was not written yet, and what came while
  // the last write was under way.
  assert.ok(twice <= 6 + 120, `${twice} were presented again`);
  assert.ok(twice >= inFlight - written);
  const { rows } = await world.sql.query(
    "select count(*)::int as count from refresh_attempts where outcome = 'abandoned'",
  );
  assert.ok(rows[0].count >= twice, "a crash is seen as such afterwards");
  assert.equal(await count("in_doubt_since is not null"), 0, "and is over with the next success");
  context.diagnostic(`${written} written at the crash, ${twice} presented again`);
});

test("PostgREST restarted in the middle of a batch costs nothing", WIDE, async () => {
  const sessions = await world.signInMany(300, { latencyMs: 50 });
  const worker = await loneWorker();
  const run = worker.tick();
  await world.until(async () => (await count("refresh_count = 1")) >= 20, "the batch does not get on");
  await world.supabase.restartPostgrest();
  await run;
  await leasesAreOver();
  await worker.tick();
  assert.deepEqual([...new Set(sessions.map((session) => session.calls.length))], [1]);
  assert.deepEqual(await world.outOfStep(sessions), []);
});

test("PostgreSQL restarted in the middle of a batch costs nothing", WIDE, async () => {
  const sessions = await world.signInMany(300, { latencyMs: 50 });
  const worker = await loneWorker();
  const run = worker.tick();
  await world.until(async () => (await count("refresh_count = 1")) >= 20, "the batch does not get on");
  await world.supabase.stopPostgres();
  await sleep(1500);
  await world.supabase.startPostgres();
  await run;
  await leasesAreOver();
  await worker.tick();
  assert.deepEqual([...new Set(sessions.map((session) => session.calls.length))], [1]);
  assert.deepEqual(await world.outOfStep(sessions), []);
});

test("upstream dead for a while and back: nobody is given up, and all are alive again", WIDE, async () => {
  const sessions = await world.signInMany(200);
  const worker = await loneWorker();
  await world.site.close();
  for (let turn = 0; turn < 3; turn += 1) {
    await worker.tick();
    await allDue();
    await world.sql.query("update refresh_upstreams set breaker_until = now()");
  }
  assert.equal(world.site.requests.length, 0);
  assert.equal(await count("refresh_state <> 'active' or session_failures > 0"), 0);
  await world.site.comeBack();
  await worker.tick();
  // The rest, where the first one's probe took longer than the second that is waited for it.
  await worker.tick();
  assert.equal(await count("refresh_count = 1"), 200);
  assert.deepEqual(await world.outOfStep(sessions), []);
});
