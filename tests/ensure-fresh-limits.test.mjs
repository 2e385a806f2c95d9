// Sessions that have to be fresh now, many at once, beside all others' work, and within every bound.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { bookingJob, ids, key, ROUTE, results } from "./support/job.mjs";
import { claimFor, finish } from "./support/sql.mjs";
import { ahead, as, startWorld } from "./support/world.mjs";

let world;
// Above upstream's slowest answer here by more than a busy machine stalls.
const TIMEOUT = { REFRESH_TIMEOUT_SECONDS: "5" };
before(async () => (world = await startWorld({ settings: TIMEOUT })));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const WIDE = { timeout: 60_000 };
const { ensure, signInOld, signInMany, nothingIsLost } = bookingJob(() => world);

test(
  "one that others hold for long is waited for within bounds, and doesn't keep the rest from being told",
  WIDE,
  async () => {
    const held = await signInOld("held");
    const fine = await signInOld("fine");
    const others = await signInOld("others");
    const slow = await signInMany(99, { latencyMs: 1000 });
    await claimFor(world.sql, "held@example.com");
    const holder = randomUUID();
    const { session: claimed } = await claimFor(world.sql, "others@example.com", { p_holder: holder });
    const started = Date.now();
    const calling = [
      ensure({ ids: [held.id], maxAgeSeconds: 60 }),
      ensure({ ids: [held.id, fine.id], maxAgeSeconds: 60 }),
      ensure({ ids: [others.id, ...ids(slow)], maxAgeSeconds: 60 }),
    ];
    const looks = (id) => world.answeredCallsOf("claim_sessions").filter(({ body }) => body.includes(id));
    await world.until(() => looks(held.id).length >= 2 && looks(others.id).length > 0, "not all were looked at");
    await sleep(1000);
    await finish(world.sql, holder, [
      { id: others.id, fence: claimed.fence, kind: "refreshed", outcome: "refreshed", nextInSeconds: 900, tries: 1 },
    ]);
    const [alone, both, many] = await Promise.all(calling);
    assert.ok(Date.now() - started < 25_000, "within the bound of a call and eight seconds");
    assert.deepEqual([alone.status, alone.body.code, results(alone)], [429, "refresh_in_progress", ["busy"]]);
    assert.ok(Number(alone.headers.get("retry-after")) >= 1);
    assert.deepEqual([both.status, both.body.allFresh, results(both)], [200, false, ["busy", "refreshed"]]);
    assert.deepEqual([held.calls.length, fine.calls.length], [0, 1]);
    const { length } = looks(held.id);
    assert.ok(length < 40, `${length} looks: ever less often`);

    const [joined, ...rest] = results(many);
    assert.equal(joined, "refreshed", "what others were at is told as it stands in the end");
    assert.equal(others.calls.length, 0);
    assert.deepEqual([...new Set(rest)].sort(), ["refreshed", "spared"], "there was no time for all");
    await nothingIsLost([fine, ...slow]);
  },
);

test(
  "many jobs, users and a cron at once, in any order: one call for each session, and nobody is refused",
  WIDE,
  async () => {
    const other = await world.startWorker(TIMEOUT);
    await world.reset();
    const sessions = await signInMany(24, { latencyMs: 100 });
    const shuffled = () => [...ids(sessions)].sort(() => Math.random() - 0.5);
    await world.sql.query("update auth_sessions set next_refresh_at = now() where user_email < 'user2'");
    const works = [];
    for (let turn = 0; turn < 6; turn += 1) {
      const worker = turn % 2 ? world.worker : other;
      works.push(ensure({ ids: shuffled(), maxAgeSeconds: 0 }, worker));
      works.push(ensure({ ids: shuffled(), freshAt: ahead(600 + turn).toISOString() }, worker));
      const headers = as(`user${turn}@example.com`);
      works.push(worker.call("/api/auth/refresh", { method: "POST", headers }));
    }
    const [answers] = await Promise.all([Promise.all(works), world.worker.tick(), other.tick()]);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    for (const { body } of answers) {
      assert.equal(body.allFresh ?? body.allScheduled ?? body.refreshed, true);
    }
    for (const session of sessions) assert.equal(session.calls.length, 1, `user ${session.userId}`);
    assert.deepEqual(
      world.supabase.gateway.calls.filter(({ status }) => status >= 300).map(({ path, status }) => [path, status]),
      [],
      "no call to the database fails: nobody locks anybody out",
    );
    await nothingIsLost(sessions);
  },
);

test("a hundred at once, six at a time; a hundred and one are refused", WIDE, async () => {
  const sessions = await signInMany(100, { latencyMs: 50 });
  const answer = await ensure({ ids: ids(sessions), maxAgeSeconds: 60 });
  assert.deepEqual([answer.status, answer.body.allFresh], [200, true]);
  assert.deepEqual([...new Set(results(answer))], ["refreshed"]);
  assert.deepEqual(
    answer.body.sessions.map(({ id }) => id),
    ids(sessions),
  );
  assert.equal(world.site.maxConcurrent, 6);
  for (const session of sessions) assert.equal(session.calls.length, 1);
  await nothingIsLost(sessions);
  const many = await ensure({ ids: ids(sessions), emails: ["ana@example.com"], maxAgeSeconds: 60 });
  assert.deepEqual([many.status, many.body.code], [400, "bad_request"]);
  assert.match(many.body.error, /ids and emails/);
});

test("it goes ahead of a backlog that is being worked off", WIDE, async () => {
  const settings = { UPSTREAM_MAX_IN_FLIGHT: "8", UPSTREAM_CALLS_PER_SECOND: "20", REFRESH_BATCH_SIZE: "100" };
  const worker = await world.startWorker({ ...settings, ...TIMEOUT });
  const backlog = await signInMany(100, { latencyMs: 300 });
  await world.sql.query("update auth_sessions set next_refresh_at = now() - interval '1 minute'");
  const urgent = [];
  for (const name of ["ana", "bruno", "carla"]) urgent.push(await signInOld(name));
  const run = worker.batch();
  await world.until(() => world.site.requests.length >= 8, "the backlog is not worked off");
  const answer = await ensure({ ids: ids(urgent), maxAgeSeconds: 60 }, worker);
  const done = backlog.filter((session) => session.calls.length > 0).length;
  assert.deepEqual(results(answer), ["refreshed", "refreshed", "refreshed"]);
  // Two and a half seconds at that pace: not by the clock, which goes on while the machine stalls.
  assert.ok(done < 8 + 50, `with ${done} of the backlog called`);
  assert.ok(world.site.maxConcurrent <= 8, `${world.site.maxConcurrent} calls at once`);
  assert.equal((await run).body.remaining, 0);
  await nothingIsLost([...backlog, ...urgent]);
});

test("while upstream is left alone, it is told so, and what is fresh all the same", async () => {
  const fresh = await world.signIn();
  const old = await signInOld("bruno");
  const upstream = new URL(world.site.url).host;
  await world.sql.query(
    "insert into refresh_upstreams (upstream, breaker, breaker_until) values ($1, 'open', now() + interval '5 minutes')",
    [upstream],
  );
  const started = Date.now();
  const alone = await ensure({ ids: [old.id], maxAgeSeconds: 60 });
  assert.deepEqual([alone.status, alone.body.code, results(alone)], [503, "upstream_spared", ["spared"]]);
  const wait = Number(alone.headers.get("retry-after"));
  assert.ok(wait > 280 && wait <= 300, `Retry-After ${wait}`);
  const both = await ensure({ ids: [old.id, fresh.id], maxAgeSeconds: 60 });
  assert.deepEqual([both.status, both.body.allFresh, results(both)], [200, false, ["spared", "fresh"]]);
  assert.ok(Date.now() - started < 8000, "it is not waited for what won't come in time");
  assert.equal(world.site.requests.length, 0);
});

test("where upstream may be back, one goes first and the rest follow", WIDE, async () => {
  const sessions = await signInMany(8);
  const releases = sessions.map((session) => session.hold());
  await world.sql.query(
    "insert into refresh_upstreams (upstream, breaker, breaker_until) values ($1, 'open', now() - interval '1 s')",
    [new URL(world.site.url).host],
  );
  const answer = ensure({ ids: ids(sessions), maxAgeSeconds: 60 });
  await world.until(() => world.site.requests.length > 0, "upstream was not asked");
  await sleep(100);
  assert.equal(world.site.requests.length, 1);
  for (const release of releases) release();
  assert.deepEqual([...new Set(results(await answer))], ["refreshed"]);
  await nothingIsLost(sessions);
});

test("when the asker hangs up, what is under way is written, and no more is begun", WIDE, async () => {
  const sessions = await signInMany(20);
  const releases = sessions.map((session) => session.hold());
  const asked = { ids: ids(sessions), maxAgeSeconds: 60 };
  const leave = world.worker.callAndLeave(ROUTE, { ...key, "content-type": "application/json" }, asked);
  await world.until(() => world.site.requests.length === 6, "upstream was not asked");
  await leave();
  for (const release of releases) release();
  const { summary } = (await world.logged("run"))[0];
  assert.deepEqual([summary.refreshed, summary.released], [6, 14]);
  await nothingIsLost(sessions);
});
