// Many Workers on one backlog: a tick wakes others over the queue, whose messages may be lost, doubled, late or
// unreadable, and each stays within the platform's limits.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { startWorld } from "./support/world.mjs";

let world;
let free;
before(async () => {
  world = await startWorld({ site: { latencyMs: 20 } });
  // The free plan's bound on fetches alone.
  free = await world.startWorker(FREE);
});
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const FREE = { SUBREQUEST_LIMIT: "50", REFRESH_SESSIONS_PER_RUN: "1000" };
const WIDE = { timeout: 60_000 };
const WAKE = { wake: "claim" };
const triggers = () => world.events("run").map((run) => run.trigger);
const presented = (sessions) => [...new Set(sessions.map((session) => session.calls.length))];

/** Fetches that each run made, to the database and upstream. */
async function callsOfRuns() {
  const { rows } = await world.sql.query(
    "select run_id, sum(tries)::int as tries from refresh_attempts group by run_id",
  );
  const count = new Map(rows.map((row) => [row.run_id, row.tries]));
  for (const { body } of world.supabase.gateway.calls) {
    const id = JSON.parse(body).p_run_id;
    if (id) count.set(id, (count.get(id) ?? 0) + 1);
  }
  return [...count.values()];
}

test(
  "a tick with more to do than one Worker can wakes others, and all is done within each one's limit",
  WIDE,
  async () => {
    const sessions = await world.signInMany(200);
    await free.tick();
    await world.until(() => triggers().length === 7, "six helpers were to be woken");
    assert.equal(triggers().filter((trigger) => trigger === "queue").length, 6);
    assert.deepEqual(presented(sessions), [1]);
    assert.deepEqual(await world.outOfStep(sessions), []);
    const made = await callsOfRuns();
    // Besides, the tick asks what there is to do, and sends its messages.
    assert.ok(Math.max(...made) <= 48, `at most 48 fetches in a run: ${made}`);
  },
);

test("on the free plan a run stays within its processor time, and helpers do the rest", WIDE, async () => {
  const worker = await world.startWorker({ SUBREQUEST_LIMIT: "50" });
  const sessions = await world.signInMany(50);
  await worker.tick();
  await world.until(() => triggers().length === 5, "four helpers were to be woken");
  assert.deepEqual(presented(sessions), [1]);
  assert.ok(world.events("run").every((run) => run.summary.claimed <= 12));
});

test("what one Worker can do wakes nobody", async () => {
  await world.signInMany(20);
  await free.tick();
  await world.logged("run");
  assert.deepEqual(triggers(), ["cron"]);
  assert.equal((await world.logged("run"))[0].summary.refreshed, 20);
});

test(
  "without a queue, or told not to use it, a tick does what it can, says what is left, and the next goes on",
  WIDE,
  async () => {
    const alone = {
      "no binding": await world.startWorker(FREE, { queue: false }),
      "told so": await world.startWorker({ ...FREE, REFRESH_QUEUE_ENABLED: "false" }),
    };
    for (const [name, worker] of Object.entries(alone)) {
      await world.reset();
      const sessions = await world.signInMany(70);
      await worker.tick();
      const first = (await world.logged("run"))[0].summary;
      assert.ok(first.refreshed >= 25 && first.refreshed < 50, `${name}: ${first.refreshed}`);
      assert.equal(first.remaining, 70 - first.refreshed, name);
      await worker.tick();
      await worker.tick();
      assert.deepEqual((await world.logged("run", 3)).at(-1).summary.remaining, 0, name);
      assert.deepEqual(triggers(), ["cron", "cron", "cron"], name);
      assert.deepEqual(presented(sessions), [1], name);
    }
  },
);

test("a message that is lost costs a minute at the most: the next tick wakes again", WIDE, async () => {
  const sessions = await world.signInMany(90);
  const lossy = await world.startWorker({ ...FREE, REFRESH_QUEUE_ENABLED: "false" });
  await lossy.tick();
  const { remaining } = (await world.logged("run"))[0].summary;
  assert.ok(remaining > 0);
  await free.tick();
  // A run for each thirty that were left: a helper that is still on its way would reach into the next test.
  await world.until(() => triggers().length === 1 + Math.ceil(remaining / 30), "not all helpers came");
  assert.deepEqual(presented(sessions), [1]);
  assert.deepEqual(await world.outOfStep(sessions), []);
});

test("doubled, late and needless messages do no harm", WIDE, async () => {
  const sessions = await world.signInMany(40);
  const results = await Promise.all([free, free, world.worker, world.worker].map((worker) => worker.deliver(WAKE)));
  await Promise.all([world.worker.deliver(WAKE), world.worker.deliver(WAKE, WAKE, WAKE)]);
  assert.deepEqual(presented(sessions), [1]);
  for (const result of results) assert.deepEqual([result.outcome, result.explicitAcks], ["ok", ["0"]]);
  // The next test counts its own runs' lines.
  await world.logged("run", 6);
});

test("messages are acknowledged or retried one by one; an unreadable one keeps nobody from work", async () => {
  const strange = ["come and claim", 7, null, {}, { wake: "sleep" }, [WAKE]];
  const sessions = await world.signInMany(3);
  const result = await free.deliver(strange[0], WAKE, ...strange.slice(1), WAKE);
  assert.equal(result.outcome, "ok");
  assert.deepEqual(result.explicitAcks, ["1", "7"]);
  assert.deepEqual(
    result.retryMessages.map(({ msgId }) => msgId),
    ["0", "2", "3", "4", "5", "6"],
  );
  assert.ok(result.retryMessages.every(({ delaySeconds }) => delaySeconds > 0));
  assert.deepEqual(presented(sessions), [1]);
  assert.equal((await world.logged("unreadable_message", 6)).length, 6);
  await world.logged("run");
  assert.deepEqual(triggers(), ["queue"], "several messages are one run");
});

test("a message is retried while the database is away, as is any while the settings are wrong", async () => {
  world.supabase.gateway.fail(() => ({ reset: true }));
  const away = await free.deliver(WAKE);
  assert.deepEqual([away.explicitAcks, away.retryMessages.length], [[], 1]);
  const misconfigured = await world.startWorker({ INTERNAL_API_KEY: "short" });
  const wrong = await misconfigured.deliver(WAKE);
  assert.equal(wrong.outcome, "ok");
  assert.ok(wrong.retryBatch.retry);
});

test("REFRESH_CRON_ENABLED=false stills the queue, too", async () => {
  const sessions = await world.signInMany(2);
  const still = await world.startWorker({ REFRESH_CRON_ENABLED: "false" });
  const result = await still.deliver(WAKE);
  assert.ok(result.ackAll);
  assert.deepEqual(presented(sessions), [0]);
});

test("a tick that can't learn what there is to do works by itself", async () => {
  const sessions = await world.signInMany(5);
  world.supabase.gateway.fail(({ path }) => (path.endsWith("/outlook") ? { reset: true } : undefined));
  await world.worker.tick();
  assert.deepEqual(presented(sessions), [1]);
  assert.equal((await world.logged("no_outlook"))[0].code, "database_unavailable");
});

test("six calls at once in each invocation, and width comes from invocations", WIDE, async () => {
  // Slow, so that an invocation that begins a second or two after the others finds something to do.
  await world.signInMany(120, { latencyMs: 500 });
  await Promise.all(Array.from({ length: 4 }, () => world.worker.deliver(WAKE)));
  const runs = await world.logged("run", 4);
  assert.ok(
    runs.every((run) => run.summary.refreshed >= 6),
    "each had its part",
  );
  assert.ok(world.site.maxConcurrent > 12 && world.site.maxConcurrent <= 24, `${world.site.maxConcurrent} at once`);
  assert.ok(world.callsOf("claim_due_sessions").every(({ body }) => JSON.parse(body).p_width === 6));
});

test("no user with many sessions keeps another waiting", WIDE, async () => {
  const many = await world.signInMany(300);
  await world.sql.query("update auth_sessions set user_email = 'many@example.com'");
  const few = [];
  for (const name of ["ana", "bruno", "carla"]) {
    few.push(await world.signIn({ email: `${name}@example.com`, due: true, row: {} }));
  }
  await world.sql.query(
    "update auth_sessions set next_refresh_at = now() - interval '1 second' where user_email <> $1",
    ["many@example.com"],
  );
  const alone = await world.startWorker({ ...FREE, REFRESH_QUEUE_ENABLED: "false" });
  await alone.tick();
  assert.deepEqual(presented(few), [1], "the others are served in the first tick");
  const served = many.filter((session) => session.calls.length > 0).length;
  assert.ok(served >= 20 && served < 60, `${served} of the many`);
});
