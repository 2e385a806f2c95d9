// The database away, slow, or answering nonsense: nothing that upstream handed out is lost, and no trouble is told
// as success.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { as, startWorld } from "./support/world.mjs";

let world;
before(async () => (world = await startWorld()));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const WIDE = { timeout: 60_000 };
const HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>";
const refresh = (email = "ana@example.com") =>
  world.worker.call("/api/auth/refresh", { method: "POST", headers: as(email) });

const AWAY = {
  "a reset connection": { reset: true },
  "an HTML error page": { status: 502, html: HTML },
  "an HTML page that calls itself a success": { status: 200, html: HTML },
  "PostgREST without its database": {
    status: 503,
    json: { code: "PGRST000", message: "no connection", details: "row values" },
  },
  "a cancelled statement": {
    status: 500,
    json: { code: "57014", message: "canceling statement due to statement timeout" },
  },
};

test("hazard 9: a database that is away is an error for user, job and cron, never an empty success", WIDE, async () => {
  for (const [name, fault] of Object.entries(AWAY)) {
    await world.reset();
    const session = await world.signIn({ due: true });
    world.breakCalls("claim_due_sessions", fault);
    const { status, body } = await world.worker.batch();
    assert.deepEqual([status, body.success, body.code], [503, false, "database_unavailable"], name);
    assert.equal(body.claimed, 0);
    await world.worker.tick();
    const runs = await world.logged("run", 2);
    assert.deepEqual(
      runs.map((line) => line.error),
      ["database_unavailable", "database_unavailable"],
      name,
    );
    assert.equal(session.calls.length, 0);

    world.supabase.gateway.fail(() => fault);
    for (const method of ["GET", "POST"]) {
      const answer = await world.worker.call("/api/auth/refresh", { method, headers: as("ana@example.com") });
      assert.deepEqual([answer.status, answer.body.code], [503, "database_unavailable"], `${name} ${method}`);
      assert.ok(Number(answer.headers.get("retry-after")) > 0);
      if (method === "GET") continue;
      assert.doesNotMatch(answer.text, /row values|PGRST|57014/);
    }
    world.supabase.gateway.fail(undefined);
    await world.worker.tick();
    assert.equal(await world.isInStep(session), true, `${name}: back again`);
  }
});

test("a database that can't be used is told apart from one that is away", async () => {
  const refusals = {
    "a wrong key": { status: 401, json: { message: "Invalid API key" } },
    "migrations that are missing": { status: 404, json: { code: "PGRST202", message: "Could not find the function" } },
    "missing rights": { status: 403, json: { code: "42501", message: "permission denied" } },
  };
  for (const [name, fault] of Object.entries(refusals)) {
    world.supabase.gateway.fail(() => fault);
    const { status, body } = await world.worker.batch();
    assert.deepEqual([status, body.code], [503, "database_refused"], name);
  }
});

test("the write is repeated until the database takes it", WIDE, async () => {
  for (const [name, fault] of Object.entries(AWAY)) {
    await world.reset();
    const session = await world.signIn();
    world.breakCalls("finish_sessions", fault, 2);
    assert.equal((await refresh()).status, 200, name);
    assert.equal(session.calls.length, 1, name);
    assert.equal(await world.isInStep(session), true, name);
  }
});

test("a commit whose answer was lost is recognised, and written once", WIDE, async () => {
  for (const loseResponse of ["reset", "html"]) {
    for (const by of ["user", "cron"]) {
      await world.reset();
      const session = await world.signIn({ due: true });
      world.breakCalls("finish_sessions", { loseResponse }, 1);
      if (by === "user") {
        const { status, body } = await refresh();
        assert.deepEqual([status, body.refreshCount], [200, 1], loseResponse);
      } else {
        await world.worker.tick();
        assert.equal((await world.logged("run"))[0].summary.refreshed, 1);
      }
      assert.equal(world.callsOf("finish_sessions").length, 2);
      const row = await world.row(session);
      assert.equal(row.refresh_count, 1, `${loseResponse} ${by}`);
      assert.equal((await world.attempts(session)).length, 1);
      assert.equal(await world.isInStep(session), true);
    }
  }
});

test("a user's claim whose answer was lost is asked for again, and is the same lease", WIDE, async () => {
  const session = await world.signIn();
  world.breakCalls("claim_session", { loseResponse: "reset" }, 1);
  assert.equal((await refresh()).status, 200);
  assert.equal(session.calls.length, 1);
  assert.equal(await world.isInStep(session), true);
});

test("a batch's claim whose answer was lost runs out, and the work is done then", WIDE, async () => {
  const session = await world.signIn({ due: true });
  world.breakCalls("claim_due_sessions", { loseResponse: "html" }, 1);
  assert.equal((await world.worker.batch()).status, 503);
  assert.equal(session.calls.length, 0);
  await world.set(session, { lease_expires_at: new Date(Date.now() - 1) });
  await world.worker.tick();
  assert.equal(await world.isInStep(session), true);
});

test("a real outage of PostgreSQL in the middle of a refresh", WIDE, async () => {
  const session = await world.signIn();
  const release = session.hold();
  const answer = refresh();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  await world.supabase.stopPostgres();
  release();
  await world.until(() => world.callsOf("finish_sessions").length >= 2, "the write is not repeated");
  await world.supabase.startPostgres();
  assert.equal((await answer).status, 200);
  assert.equal(await world.isInStep(session), true);
});

test("a write that fails for good is told, and the batch is no success", WIDE, async () => {
  const worker = world.worker;
  const session = await world.signIn({ due: true });
  world.breakCalls("finish_sessions", { status: 403, json: { code: "42501", message: "permission denied" } });
  const { status, body } = await worker.batch();
  assert.deepEqual([status, body.success, body.code], [503, false, "database_refused"]);
  assert.deepEqual([body.claimed, body.refreshed, body.unwritten], [1, 0, 1]);
  assert.deepEqual((await world.logged("unwritten"))[0].sessionIds, [session.id]);
  assert.equal((await world.row(session)).last_refresh_date, null);
});

test("what the table refuses of one session costs its neighbours nothing", WIDE, async () => {
  // Two rows of one user, without a fingerprint each, and upstream names the same one for both.
  const twins = [];
  for (const row of [{ fingerprint: null }, { fingerprint: null }])
    twins.push(await world.signIn({ due: true, fingerprint: "samefingerprint", row }));
  // A constraint of the project's own.
  const odd = await world.signIn({ email: "odd@example.com", due: true, rotation: "same" });
  await world.sql.query(
    "alter table auth_sessions add constraint odd check (refresh_count = 0 or user_email not like 'odd%')",
  );
  try {
    const { status, body } = await world.worker.batch();
    assert.deepEqual([status, body.code], [503, "database_row_refused"]);
    assert.deepEqual([body.claimed, body.refreshed, body.unwritten], [3, 2, 1]);
    const row = await world.row(odd);
    assert.deepEqual([row.last_refresh_error, row.lease_holder], ["unwritten", null]);
    assert.ok(row.next_refresh_at > new Date(), "it does not come first for ever");
    assert.deepEqual((await world.logged("unwritten"))[0].sessionIds, [odd.id]);
    const prints = [];
    for (const session of twins) {
      assert.equal(await world.isInStep(session), true);
      prints.push((await world.row(session)).fingerprint);
    }
    assert.deepEqual(prints.sort(), ["samefingerprint", null].sort());
    await world.set(odd, { last_attempt_at: null });
    const answer = await refresh("odd@example.com");
    assert.deepEqual([answer.status, answer.body.code], [503, "database_row_refused"]);
  } finally {
    await world.sql.query("alter table auth_sessions drop constraint odd");
  }
});

test("a row that somebody else holds is waited for, its neighbours are written meanwhile", WIDE, async () => {
  const held = await world.signIn({ due: true });
  const free = await world.signIn({ email: "bruno@example.com", due: true });
  const release = held.hold();
  const run = world.worker.batch();
  await world.until(() => held.calls.length > 0, "upstream was not asked");
  const other = await world.sql.connect();
  try {
    await other.query("begin");
    await other.query("select from auth_sessions where id = $1 for update", [held.id]);
    release();
    await world.until(async () => (await world.row(free)).refresh_count === 1, "the neighbour waits");
    assert.equal((await world.row(held)).refresh_count, 0);
    await other.query("commit");
  } finally {
    other.release();
  }
  assert.deepEqual((await run).body.outcomes, { refreshed: 2 });
  assert.equal(await world.isInStep(held), true);
});

test("a row that is deleted during its refresh troubles nobody else", WIDE, async () => {
  const leaving = await world.signIn({ due: true });
  const staying = await world.signIn({ email: "bruno@example.com", due: true });
  const release = leaving.hold();
  const run = world.worker.batch();
  await world.until(() => leaving.calls.length > 0, "upstream was not asked");
  await world.sql.query("delete from auth_sessions where id = $1", [leaving.id]);
  release();
  const { status, body } = await run;
  assert.deepEqual([status, body.refreshed, body.superseded], [200, 1, 1]);
  assert.equal(await world.isInStep(staying), true);
});

test("a redirect of the database's address is not followed, with key and tokens in hand", async () => {
  await world.signIn({ due: true });
  world.supabase.gateway.fail(() => ({ status: 307, json: {}, location: `${world.site.url}/rest/v1/rpc/claim` }));
  const { status, body } = await world.worker.batch();
  assert.deepEqual([status, body.code], [503, "database_refused"]);
  assert.deepEqual(world.site.requests, []);
});

test("a slow database slows a refresh down, no more", WIDE, async () => {
  const session = await world.signIn();
  world.supabase.gateway.fail(() => ({ delay: 700 }));
  assert.equal((await refresh()).status, 200);
  assert.equal(await world.isInStep(session), true);
});

test("a database that never answers is given up", WIDE, async () => {
  await world.signIn({ due: true });
  world.breakCalls("claim_due_sessions", { hang: true });
  const started = Date.now();
  const { status, body } = await world.worker.batch();
  assert.deepEqual([status, body.code], [503, "database_timed_out"]);
  assert.ok(Date.now() - started < 15_000);
});

test("hazard 15: with max-rows 1,000, all of 1,100 due sessions are claimed and refreshed", {
  timeout: 120_000,
}, async () => {
  const sessions = Array.from({ length: 1100 }, () => world.site.createSession());
  const rows = sessions.map((session, index) => ({
    user_email: `user${index}@example.com`,
    aimharder_token: session.token,
    aimharder_cookies: session.cookies,
    fingerprint: session.fingerprint,
  }));
  await world.sql.query(
    `insert into auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, next_refresh_at)
     select user_email, aimharder_token, aimharder_cookies, fingerprint, now() - interval '1 minute'
     from jsonb_to_recordset($1) as row (user_email text, aimharder_token text, aimharder_cookies jsonb, fingerprint text)`,
    [JSON.stringify(rows)],
  );
  const { body: dry } = await world.worker.batch({ dryRun: true });
  assert.equal(dry.remaining, 1100, "the count isn't cut either");
  const { status, body } = await world.worker.batch({ batchSize: 1000 });
  assert.equal(status, 200);
  assert.deepEqual([body.claimed, body.refreshed, body.remaining], [1100, 1100, 0]);
  const { rows: counted } = await world.sql.query(
    "select count(*)::int as count from auth_sessions where refresh_count = 1",
  );
  assert.equal(counted[0].count, 1100);
  for (const session of sessions) assert.equal(session.calls.length, 1);
});

test("a batch costs a few database calls, not some for each session", WIDE, async () => {
  for (let index = 0; index < 30; index += 1) await world.signIn({ email: `user${index}@example.com`, due: true });
  world.supabase.gateway.calls.length = 0;
  assert.equal((await world.worker.batch({ batchSize: 30 })).body.refreshed, 30);
  const { length } = world.supabase.gateway.calls;
  assert.ok(length <= 10, `${length} calls`);
});

test("a run stays within the platform's limit of subrequests, and says what remains", WIDE, async () => {
  const worker = await world.startWorker({ SUBREQUEST_LIMIT: "50", REFRESH_SESSIONS_PER_RUN: "1000" });
  for (let index = 0; index < 60; index += 1) await world.signIn({ email: `user${index}@example.com`, due: true });
  world.supabase.gateway.calls.length = 0;
  const { body } = await worker.batch();
  const made = world.supabase.gateway.calls.length + world.site.requests.length;
  assert.ok(made <= 50, `${made} subrequests`);
  assert.ok(body.refreshed >= 20, `${body.refreshed} refreshed`);
  assert.equal(body.remaining, 60 - body.refreshed);
  const { rows } = await world.sql.query(
    "select count(*)::int as count from auth_sessions where lease_expires_at > now()",
  );
  assert.equal(rows[0].count, 0, "nothing stays claimed that isn't worked on");
});

test("runs leave a record, and history has an end", WIDE, async () => {
  const session = await world.signIn({ due: true });
  await world.worker.tick();
  const { rows: runs } = await world.sql.query("select * from refresh_runs");
  assert.equal(runs.length, 1);
  assert.deepEqual([runs[0].trigger, runs[0].claimed, runs[0].refreshed, runs[0].error], ["cron", 1, 1, null]);
  assert.ok(runs[0].finished_at);
  const [attempt] = await world.attempts(session);
  assert.deepEqual(
    [attempt.outcome, attempt.upstream_status, attempt.trigger, attempt.run_id],
    ["refreshed", 200, "cron", runs[0].id],
  );
  await world.sql.query("update refresh_runs set started_at = now() - interval '31 days'");
  await world.sql.query("update refresh_attempts set finished_at = now() - interval '31 days'");
  await world.worker.tick();
  const { rows: left } = await world.sql.query(
    "select (select count(*) from refresh_runs)::int as runs, (select count(*) from refresh_attempts)::int as attempts",
  );
  assert.deepEqual(left[0], { runs: 1, attempts: 0 });
});

test("hazard 1 and 8: every session is due again well before its life ends, whenever the cron comes", async () => {
  const sessions = [];
  for (let index = 0; index < 20; index += 1)
    sessions.push(await world.signIn({ email: `user${index}@example.com`, due: true }));
  await world.worker.tick();
  for (const session of sessions) {
    const row = await world.row(session);
    const minutes = (row.next_refresh_at - row.last_refresh_date) / 60_000;
    // With a tick each minute the refresh comes before the interval of 20 minutes is over.
    assert.ok(minutes >= 16 && minutes <= 19, `${minutes}`);
    const signedIn = (await world.row(await world.signIn({ email: `new-${row.user_email}` }))).next_refresh_at;
    const first = (signedIn - Date.now()) / 60_000;
    assert.ok(first > 15.9 && first <= 19, `a sign-in: ${first}`);
  }
});

test("both forms of Supabase's key work, each sent in its way", async () => {
  const worker = await world.startWorker({ SUPABASE_SERVICE_ROLE_KEY: world.supabase.secretKey });
  const session = await world.signIn({ due: true });
  assert.equal((await worker.batch()).body.refreshed, 1);
  assert.equal(await world.isInStep(session), true);
});
