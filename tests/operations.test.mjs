// What operators and their machines see, through the built Worker, beside what the real database has: history and its sums,
// metrics, health, searches, log lines.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { text as textOf } from "node:stream/consumers";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { python } from "../local/python.mjs";
import { call, POLICY, WATCH } from "./support/sql.mjs";
import { ago, as, INTERNAL_KEY, startWorld } from "./support/world.mjs";

const HOUR = 3600;
const DAY = 24 * HOUR;
const WIDE = { timeout: 60_000 };
const PREVIOUS_KEY = "test-previous-key-0123456789";

let world;
before(async () => (world = await startWorld({ settings: { INTERNAL_API_KEY_PREVIOUS: PREVIOUS_KEY } })));
beforeEach(async () => {
  await world.reset();
  await world.sql.query("update refresh_policy set life_measured_at = null, life_seconds = null");
});
afterEach(() => world.check());
after(() => world?.stop());

const ask = (route, { worker = world.worker, key = INTERNAL_KEY } = {}) =>
  worker.call(`/api/internal/${route}`, { headers: key ? { "x-api-key": key } : {} });
const post = (route, key = INTERNAL_KEY) =>
  world.worker.call(`/api/internal/${route}`, { method: "POST", headers: { "x-api-key": key } });
const rows = async (query, parameters) => (await world.sql.query(query, parameters)).rows;
const one = async (query, parameters) => (await rows(query, parameters))[0];

const SUMS = "sum(count)::int as count, sum(extra)::int as calls, sum(sum_ms)::int as ms";
const noted = () =>
  rows(`select outcome as label, count(*)::int as count, sum(tries)::int as calls, sum(duration_ms)::int as ms
    from refresh_attempts group by outcome order by outcome`);
const sinceEver = () =>
  rows(
    `select label, ${SUMS} from refresh_hours where kind = 'attempt' and hour = '-infinity' group by label order by label`,
  );
const byHour = () =>
  rows(
    `select label, ${SUMS} from refresh_hours where kind = 'attempt' and hour > '-infinity' group by label order by label`,
  );

/** Attempts as they would stand from some time ago, each with a fence of its own. */
async function pastAttempts(session, count, secondsAgo, { outcome = "refreshed", age = 1000, ms = 300 } = {}) {
  await world.sql.query(
    `insert into refresh_attempts (session_id, fence, trigger, finished_at, duration_ms, outcome, tries, age_seconds)
     select $1, $2::bigint * 100000 + n, 'cron', $3, $4, $5, 1, $6 from generate_series(1, $7::int) n`,
    [session.id, secondsAgo + age, ago(secondsAgo), ms, outcome, age, count],
  );
}

/** Leases whose Worker died. */
const leasesAreOver = () =>
  world.sql.query(
    "update auth_sessions set lease_expires_at = now() - interval '1 second' where lease_holder is not null; delete from refresh_slots",
  );

const OUTCOMES = { server_error: "upstream_fault", expired_short_page: "unrecognised", expired_401: "expired" };

/** A run in which most sessions are renewed, and one fails in each of three ways. */
async function mixedRun() {
  const sessions = await world.signInMany(12);
  for (const [index, answer] of Object.keys(OUTCOMES).entries()) sessions[index].fail(answer);
  await world.worker.tick();
  return sessions;
}

describe("history", () => {
  test("a tick adds up by the hour what attempts there were, each once", async () => {
    await mixedRun();
    const attempts = await noted();
    assert.deepEqual(
      attempts.map(({ label, count }) => [label, count]),
      [
        ["expired", 1],
        ["refreshed", 9],
        ["unrecognised", 1],
        ["upstream_fault", 1],
      ],
    );
    await world.worker.tick();
    assert.deepEqual(await sinceEver(), attempts);
    assert.deepEqual(await byHour(), attempts);
    const run = await one("select * from refresh_runs where claimed > 0");
    assert.deepEqual([run.trigger, run.claimed, run.refreshed, run.expired, run.failed], ["cron", 12, 9, 1, 2]);
    assert.ok((await rows("select run_id from refresh_attempts")).every(({ run_id: id }) => id === run.id));
  });

  test("an attempt counts in its own hour", async () => {
    const session = await world.signIn();
    // All as of one moment: with an hour's end between them, two of these hours could be one.
    await Promise.all(
      [1, 2, 2, 30].map((hours, index) => pastAttempts(session, 10, hours * HOUR, { age: 1000 + index })),
    );
    await world.worker.tick();
    const hours = await rows(`select hour, count::int from refresh_hours
      where kind = 'attempt' and hour > '-infinity' order by hour desc`);
    assert.deepEqual(
      hours.map(({ count }) => count),
      [10, 20, 10],
    );
    for (const [index, back] of [1, 2, 30].entries()) {
      const since = ago(back * HOUR) - hours[index].hour;
      assert.ok(since >= 0 && since < HOUR * 1000 + 10_000, `${back} hours ago: ${since} ms`);
    }
  });

  test("nothing is counted twice or lost where Workers run and ticks add up at once", WIDE, async () => {
    const session = await world.signIn();
    const watch = { p_upstream: "upstream", p_policy: POLICY, p_watch: WATCH };
    const others = Array.from({ length: 40 }, (_, n) =>
      n % 4 ? pastAttempts(session, 7, n) : call(world.sql, "watch", watch),
    );
    await world.signInMany(120);
    const workers = await Promise.all([1, 2].map(() => world.startWorker()));
    await Promise.all([...others, ...workers.map((worker) => worker.tick())]);
    await world.worker.tick();
    await world.worker.tick();
    assert.deepEqual(await sinceEver(), await noted());
    assert.equal((await sinceEver())[0].count, 120 + 30 * 7);
  });

  test("a Worker's death loses no attempt from the count", WIDE, async () => {
    const sessions = await world.signInMany(120, { rotation: "grace", latencyMs: 60 });
    // The call of the one that is claimed last: without it the run could end before its Worker is killed.
    const release = sessions[0].hold();
    const written = async () => (await one("select count(*)::int from refresh_attempts")).count;
    const victim = await world.startWorker({ REFRESH_TIMEOUT_SECONDS: "20" });
    const run = victim.tick().catch(() => "crashed");
    await world.until(async () => (await written()) >= 20, "the batch does not get on");
    victim.crash();
    await run;
    release();
    await leasesAreOver();
    world.worker = await world.startWorker({ INTERNAL_API_KEY_PREVIOUS: PREVIOUS_KEY });
    await world.worker.tick();
    await world.worker.tick();
    assert.deepEqual(await world.outOfStep(sessions), []);
    assert.deepEqual(await sinceEver(), await noted());
    assert.ok(
      (await noted()).some(({ label }) => label === "abandoned"),
      "the death is seen",
    );
    const runs = await one("select count(*)::int from refresh_runs where finished_at is null");
    assert.equal(runs.count, 1, "the run that died has no end");
  });

  test("old attempts go in small steps, and what they were counted as since ever stays", async () => {
    const session = await world.signIn();
    await pastAttempts(session, 2500, 40 * DAY);
    await pastAttempts(session, 5, HOUR);
    await world.sql.query("insert into refresh_runs (id, trigger, started_at) select gen_random_uuid(), 'cron', $1", [
      ago(40 * DAY),
    ]);
    const left = async () => {
      await world.worker.tick();
      return (await noted())[0].count;
    };
    assert.deepEqual([await left(), await left(), await left()], [1505, 505, 5]);
    assert.equal((await sinceEver())[0].count, 2505);
    assert.equal((await byHour())[0].count, 5, "hours have the same bound");
    assert.equal(
      (await one("select count(*)::int from refresh_runs where started_at < now() - interval '1 day'")).count,
      0,
    );
  });

  test("beyond HISTORY_ATTEMPTS_KEPT the oldest hours' attempts go, and their sums stay", async () => {
    const worker = await world.startWorker({ HISTORY_ATTEMPTS_KEPT: "1000" });
    const session = await world.signIn();
    await pastAttempts(session, 1500, 3 * HOUR);
    await pastAttempts(session, 800, 2 * HOUR);
    await pastAttempts(session, 700, HOUR);
    await worker.tick();
    await worker.tick();
    const kept = await rows(`select count(*)::int from refresh_attempts
      group by date_trunc('hour', finished_at) order by min(finished_at) desc`);
    assert.deepEqual(
      kept.map(({ count }) => count),
      [700, 800],
      "no fewer than were to be kept",
    );
    assert.equal((await byHour())[0].count, 3000);
  });

  test("how long sessions live is known from the sums after the attempts are gone", async () => {
    const session = await world.signIn();
    for (const minutes of [18, 19, 20, 45]) await pastAttempts(session, 50, 2 * HOUR, { age: minutes * 60 });
    for (const minutes of [61, 62]) {
      await pastAttempts(session, 6, 2 * HOUR, { age: minutes * 60, outcome: "expired" });
    }
    await world.worker.tick();
    await world.sql.query("delete from refresh_attempts; update refresh_policy set life_measured_at = null");
    await world.worker.tick();
    assert.equal((await ask("overview")).body.lifeSeconds, 61 * 60);
    assert.equal(
      (await one("select sum(expired)::int as expired from measured_lives where age_minutes > 60")).expired,
      12,
    );
  });
});

const VIEWS = [
  "refresh_success_by_hour",
  "sessions_by_state",
  "refreshes_per_session",
  "slowest_runs",
  "sessions_failing",
  "measured_lives",
];

describe("views", () => {
  test("they answer the usual questions", async () => {
    const sessions = await mixedRun();
    await world.worker.tick();
    const [success] = await rows("select * from refresh_success_by_hour");
    assert.deepEqual([success.attempts, success.refreshed, success.success_rate], ["12", "9", "0.7500"]);
    const states = await rows("select refresh_state, sessions::int, failing::int from sessions_by_state order by 1");
    assert.deepEqual(states, [
      { refresh_state: "active", sessions: 11, failing: 2 },
      { refresh_state: "expired", sessions: 1, failing: 0 },
    ]);
    const refreshes = await rows("select session_id, attempts::int, refreshed::int from refreshes_per_session");
    assert.equal(refreshes.length, 12);
    assert.deepEqual(
      refreshes.find(({ session_id: id }) => id === sessions[5].id),
      { session_id: sessions[5].id, attempts: 1, refreshed: 1 },
    );
    const runs = await rows("select trigger, claimed, duration_ms::int as ms from slowest_runs");
    // Which of the two took longer is left to chance.
    assert.deepEqual(runs.map(({ trigger, claimed }) => `${trigger} ${claimed}`).sort(), ["cron 0", "cron 12"]);
    assert.ok(runs.every(({ ms }, index) => index === 0 || ms <= runs[index - 1].ms));
    const failing = await rows(`select id, last_refresh_error as error, consecutive_failures as failures, failing_since
      from sessions_failing order by last_refresh_error`);
    assert.deepEqual(
      failing.map(({ id, error }) => [id, error]),
      [2, 1, 0].map((index) => [sessions[index].id, Object.values(OUTCOMES)[index]]),
    );
    for (const { id, failing_since: since } of failing) {
      assert.deepEqual(since, (await world.attempts({ id }))[0].finished_at);
    }
    const lives = await one("select sum(renewed)::int as renewed, sum(expired)::int as expired from measured_lives");
    assert.deepEqual(lives, { renewed: 9, expired: 1 });
  });

  test("each example of docs/OPERATIONS.md runs, and answers something", async () => {
    await mixedRun();
    await world.worker.tick();
    const page = readFileSync(path.join(import.meta.dirname, "..", "docs", "OPERATIONS.md"), "utf8");
    const examples = Array.from(page.matchAll(/```sql\n([\s\S]*?)```/g), ([, sql]) => sql);
    const queries = examples.flatMap((sql) => sql.split(";")).filter((query) => query.trim());
    assert.ok(VIEWS.every((view) => queries.some((query) => query.includes(view))));
    for (const query of queries) assert.notEqual((await rows(query)).length, 0, query);
  });

  test("tables, views and functions are the service role's alone", async () => {
    await mixedRun();
    const { anonKey, authenticatedKey, serviceRoleKey, url } = world.supabase;
    const tables = await rows(`select relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') order by 1`);
    const names = tables.map(({ name }) => name);
    for (const name of [...VIEWS, "refresh_hours", "refresh_actions", "session_events"])
      assert.ok(names.includes(name));
    const functions = {
      metrics: { p_upstream: "x" },
      health: { p_upstream: "x" },
      overview: { p_upstream: "x", p_hours: 24 },
      find_sessions: { p_query: "user", p_limit: 5 },
      session_history: { p_session_id: randomUUID(), p_limit: 5 },
      list_runs: { p_limit: 5 },
      run_history: { p_run_id: randomUUID() },
      note_action: { p_key_id: "x", p_action: "x", p_session_id: null, p_result: "x" },
      measured_life: { p_moment: new Date() },
      fold_tallies: {},
      counted_since_ever: {},
    };
    const get = (name, key) => fetch(`${url}/rest/v1/${name}?limit=1`, { headers: headersOf(key) });
    const run = (name, key) =>
      fetch(`${url}/rest/v1/rpc/${name}`, {
        method: "POST",
        headers: { ...headersOf(key), "content-type": "application/json" },
        body: JSON.stringify(functions[name]),
      });
    const headersOf = (key) => ({ apikey: key, authorization: `Bearer ${key}` });
    for (const key of [anonKey, authenticatedKey]) {
      for (const name of names) assert.ok([401, 403].includes((await get(name, key)).status), name);
      for (const name of Object.keys(functions)) assert.ok([401, 403].includes((await run(name, key)).status), name);
    }
    for (const name of names) assert.equal((await get(name, serviceRoleKey)).status, 200, name);
    for (const name of Object.keys(functions)) {
      const { status } = await run(name, serviceRoleKey);
      assert.ok([200, 204].includes(status), `${name}: ${status}`);
    }
  });
});

const PARSER = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
samples = [s for family in parse(sys.stdin.read()) for s in family.samples]
print(json.dumps([[s.name, s.labels, s.value if s.value == s.value else None] for s in samples]))
`;

/** What Prometheus reads in a scrape: values by name and labels, as \`name{label="value"}\`. */
async function scrape(options) {
  const { status, text, headers } = await ask("metrics", options);
  assert.equal(status, 200, text);
  assert.match(headers.get("content-type"), /^application\/openmetrics-text; version=1\.0\.0/);
  const tool = await python(() => {});
  const parser = spawn(tool("python"), ["-c", PARSER]);
  parser.stdin.end(text);
  const [out, error, [code]] = await Promise.all([textOf(parser.stdout), textOf(parser.stderr), once(parser, "close")]);
  assert.equal(code, 0, error);
  const label = (labels) => Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return Object.fromEntries(
    JSON.parse(out).map(([name, labels, value]) => [
      `${name.replace("keepalive_", "")}${label(labels).length > 0 ? `{${label(labels)}}` : ""}`,
      value,
    ]),
  );
}

describe("metrics", () => {
  test("they say what the database has, in one call of it", WIDE, async () => {
    await mixedRun();
    const late = await world.signIn({ email: "late@example.com" });
    const [due, alive] = [ago(600), ago(2000)];
    await world.set(late, { next_refresh_at: due, last_refresh_date: alive, signed_in_at: ago(4000) });
    const disabled = await world.signIn({ email: "disabled@example.com", row: { auto_refresh_enabled: false } });
    await world.worker.call("/api/internal/refresh-sessions", {
      method: "POST",
      json: { batchSize: 1 },
      headers: { "x-api-key": INTERNAL_KEY },
    });
    await world.set(late, { next_refresh_at: due, last_refresh_date: alive, signed_in_at: ago(4000) });
    // Who looks doesn't count anew where that took more than five milliseconds.
    await world.sql.query(`update refresh_stock set counted_at = null, cost_ms = 0;
      insert into refresh_alerts (kind, since, told_at) values ('failure_rate', now(), now());
      insert into refresh_messages (kind, body, created_at, next_try_at, last_error)
        values ('alert', '{}', now() - interval '90 seconds', now(), 'timed_out')`);
    const { created_at: queued } = await one("select created_at from refresh_messages");
    world.supabase.gateway.calls.length = 0;
    const began = Date.now();
    const seen = await scrape();
    assert.deepEqual(
      world.supabase.gateway.calls.map(({ path: where }) => where),
      ["/rest/v1/rpc/metrics"],
    );
    const close = (name, wanted, by) => assert.ok(Math.abs(seen[name] - wanted) <= by, `${name}: ${seen[name]}`);
    // Ages are as of the moment that is told with them.
    const moment = seen.database_timestamp_seconds;
    assert.ok(moment >= began / 1000 - 1 && moment <= Date.now() / 1000 + 1, `${moment}`);
    const since = (date) => moment - date.getTime() / 1000;
    for (const { label, count } of await noted())
      assert.equal(seen[`attempts_total{outcome="${label}"}`], count, label);
    assert.equal(seen['attempts_total{outcome="throttled"}'], 0, "what never was is there");
    const { calls, called, ms } = await one(`select sum(tries)::int as calls,
      count(*) filter (where outcome <> 'unusable')::int as called, sum(duration_ms)::int as ms from refresh_attempts`);
    assert.equal(seen.upstream_calls_total, calls);
    assert.equal(seen.upstream_latency_seconds_count, called);
    assert.equal(seen['upstream_latency_seconds_bucket{le="+Inf"}'], called);
    close("upstream_latency_seconds_sum", ms / 1000, 0.001);
    const quick = await one("select count(*)::int from refresh_attempts where duration_ms <= 250");
    assert.equal(seen['upstream_latency_seconds_bucket{le="0.25"}'], quick.count);
    assert.equal(seen.due_sessions, 1);
    close("oldest_due_age_seconds", since(alive), 1);
    close("oldest_due_overdue_seconds", since(due), 1);
    close("oldest_session_age_seconds", since(alive), 1);
    assert.equal(seen.sessions_late, 1);
    const states = ["healthy", "failing", "expired", "exhausted", "disabled"];
    assert.deepEqual(
      states.map((state) => seen[`sessions{state="${state}"}`]),
      [10, 2, 1, 0, 1],
    );
    assert.equal(seen['run_duration_seconds_count{trigger="cron"}'], 1);
    assert.equal(seen['run_duration_seconds_count{trigger="api"}'], 1);
    assert.equal(seen.queue_wakeups_total, 0);
    assert.ok(seen.database_latency_seconds_count >= 4);
    assert.equal(seen['breaker_state{state="closed"}'], 1);
    assert.equal(seen.calls_in_flight, 0);
    assert.equal(seen.refresh_interval_seconds, 1200);
    assert.equal(seen['alert_firing{alert="failure_rate"}'], 1);
    assert.equal(seen['alert_firing{alert="breaker_open"}'], 0);
    assert.equal(seen['undelivered_messages{kind="alert"}'], 1);
    close("undelivered_oldest_age_seconds", since(queued), 1);
    assert.equal(seen.delivery_failing, 1);
    close("last_tick_timestamp_seconds", Date.now() / 1000, 30);
    assert.ok(disabled.id);
  });

  test("counters never fall: not by a tick, by pruning, nor with the Worker", WIDE, async () => {
    const worker = await world.startWorker({ HISTORY_ATTEMPTS_KEPT: "1000" });
    const session = await world.signIn();
    await pastAttempts(session, 1500, 40 * DAY);
    await pastAttempts(session, 1200, HOUR);
    await mixedRun();
    const names = Object.keys(await scrape()).filter((name) => /_(total|count|bucket|sum)\b/.test(name));
    const all = [await scrape()];
    const steps = [
      () => worker.tick(),
      () => worker.tick(),
      () => worker.crash(),
      () => world.sql.query("delete from refresh_attempts; delete from refresh_runs"),
    ];
    for (const step of steps) {
      await step();
      if (step === steps[2])
        await world.until(
          () =>
            ask("metrics").then(
              ({ status }) => status === 200,
              () => false,
            ),
          "gone",
        );
      all.push(await scrape());
      const [earlier, later] = all.slice(-2);
      assert.deepEqual(
        names.filter((name) => !(later[name] >= earlier[name])),
        [],
      );
    }
    assert.equal(all.at(-1)['attempts_total{outcome="refreshed"}'], 1500 + 1200 + 9);
    assert.deepEqual(all[3], { ...all[2], ...gaugesOfTime(all[3]) }, "a Worker that comes anew changes nothing");
  });

  test("labels come from closed sets, whatever the database holds", async () => {
    const known = Object.keys(await scrape()).sort();
    await world.sql.query(`insert into refresh_tallies (at, kind, label, count, sum_ms, buckets)
      select now(), kind, 'name ' || n, 1, 1, array[1] from generate_series(1, 50) n, (values ('attempt'), ('run')) k (kind)`);
    const seen = await scrape();
    assert.deepEqual(Object.keys(seen).sort(), known);
    assert.equal(seen['attempts_total{outcome="other"}'], 50);
    assert.equal(seen['run_duration_seconds_count{trigger="other"}'], 50);
  });
});

/** What moves by itself as time goes on. */
const gaugesOfTime = (seen) =>
  Object.fromEntries(Object.entries(seen).filter(([name]) => /age_|overdue|timestamp/.test(name)));

describe("health", () => {
  const checksOf = ({ body }) => (body.checks ?? []).filter(({ ok }) => !ok).map(({ name }) => name);
  const isNotReady = (answer, ...names) => {
    assert.deepEqual([answer.status, answer.body.code, answer.body.success], [503, "not_ready", false], answer.text);
    assert.deepEqual(checksOf(answer), names);
  };

  test("it is ready after a tick, and not before", async () => {
    isNotReady(await ask("health"), "cron");
    await world.worker.tick();
    const answer = await ask("health");
    assert.deepEqual([answer.status, answer.body.ready, checksOf(answer)], [200, true, []], answer.text);
    assert.deepEqual(answer.body.checks.map(({ name }) => name).sort(), [
      "breaker",
      "configuration",
      "cron",
      "database",
      "migrations",
      "oldest_due",
    ]);
    assert.equal(world.callsOf("health").length, 2);
  });

  test("each trouble is named, and is over when it is over", async () => {
    const session = await world.signIn();
    await world.worker.tick();
    const troubles = {
      cron: [
        "update refresh_watch set last_tick_at = now() - interval '200 seconds'",
        "update refresh_watch set last_tick_at = now()",
      ],
      breaker: [
        "update refresh_upstreams set breaker = 'open', breaker_until = now() + interval '1 minute'",
        "update refresh_upstreams set breaker = 'closed'",
      ],
      oldest_due: [
        `update auth_sessions set last_refresh_date = null, signed_in_at = now() - interval '26 minutes', next_refresh_at = now() - interval '1 minute' where id = '${session.id}'`,
        "update auth_sessions set next_refresh_at = now() + interval '1 minute'",
      ],
      migrations: [
        "alter function health(text) rename to health_away; notify pgrst, 'reload schema'",
        "alter function health_away(text) rename to health; notify pgrst, 'reload schema'",
      ],
    };
    await world.sql.query(`insert into refresh_upstreams (upstream) values ($1) on conflict do nothing`, [
      new URL(world.site.refreshUrl).host,
    ]);
    for (const [name, [begin, end]] of Object.entries(troubles)) {
      await world.sql.query(begin);
      await world.until(async () => (await ask("health")).status === 503, `${name}: still ready`);
      isNotReady(await ask("health"), name);
      await world.sql.query(end);
      await world.until(async () => (await ask("health")).status === 200, `${name}: still not ready`);
    }
  });

  test("a database that is away is the trouble, and no secret is told of it", async () => {
    await world.worker.tick();
    for (const fault of [{ reset: true }, { status: 503, json: { code: "PGRST000", message: "secret" } }]) {
      world.breakCalls("health", fault);
      const answer = await ask("health");
      isNotReady(answer, "database");
      assert.doesNotMatch(answer.text, /secret|PGRST/);
    }
  });

  test("wrong settings are told, while healthz goes on, which asks nobody", async () => {
    const wrong = await world.startWorker({ REFRESH_TIMEOUT_SECONDS: "soon" });
    const answer = await ask("health", { worker: wrong });
    assert.deepEqual(
      [answer.status, answer.body.success, answer.body.code],
      [503, false, "misconfigured"],
      answer.text,
    );
    for (const worker of [world.worker, wrong]) assert.equal((await worker.call("/healthz")).status, 200);
    assert.equal(world.supabase.gateway.calls.length, 0);
  });

  test("a cron that is switched off is not missed", async () => {
    const worker = await world.startWorker({ REFRESH_CRON_ENABLED: "false" });
    assert.equal((await ask("health", { worker })).status, 200);
  });
});

describe("what operators ask", () => {
  test("nobody without a key is told anything, nor costs a database call", async () => {
    const id = randomUUID();
    for (const route of [
      "sessions?trouble=true",
      `sessions/${id}`,
      "runs",
      `runs/${id}`,
      "overview",
      "metrics",
      "health",
    ]) {
      for (const key of [null, "another-key-0123456789"]) {
        assert.equal((await ask(route, { key })).status, 401, route);
      }
    }
    assert.equal(world.supabase.gateway.calls.length, 0);
  });

  test("sessions are found by id, by e-mail, and by a part of it that is taken literally", async () => {
    const emails = [
      "ana@example.com",
      "banana@example.com",
      "50%_off@example.com",
      "50-off@example.com",
      "a\\b@example.com",
    ];
    const ids = {};
    for (const email of emails) ids[email] = (await world.signIn({ email })).id;
    const found = async (query) => {
      const { body } = await ask(`sessions?query=${encodeURIComponent(query)}`);
      return body.sessions.map(({ email }) => email).sort();
    };
    assert.deepEqual(await found(ids["banana@example.com"]), ["banana@example.com"]);
    assert.deepEqual(await found(ids["banana@example.com"].toUpperCase()), ["banana@example.com"]);
    assert.deepEqual(await found("ana@example.com"), ["ana@example.com"], "the whole e-mail stands before parts");
    assert.deepEqual(await found("ANA"), ["ana@example.com", "banana@example.com"]);
    assert.deepEqual(await found(" nan "), ["banana@example.com"]);
    assert.deepEqual(await found("50%"), ["50%_off@example.com"]);
    assert.deepEqual(await found("%_"), ["50%_off@example.com"]);
    assert.deepEqual(await found("\\"), ["a\\b@example.com"]);
    assert.deepEqual(await found("nobody"), []);
    assert.deepEqual(await found(randomUUID()), []);
    await world.signInMany(51);
    const { body } = await ask("sessions?query=user");
    assert.deepEqual([body.sessions.length, body.more], [50, true]);
    assert.doesNotMatch(JSON.stringify(body), /token|cookie|fingerprint/i);
  });

  test("sessions in trouble are told with why and since when, those tried last first", async () => {
    const sessions = await mixedRun();
    const { body } = await ask("sessions?trouble=true");
    assert.equal(body.more, false);
    assert.deepEqual(
      new Map(body.sessions.map(({ id, lastError }) => [id, lastError])),
      new Map(body.sessions.map(({ id }) => [id, Object.values(OUTCOMES)[sessions.findIndex((one) => one.id === id)]])),
    );
    assert.equal(body.sessions.length, 3);
    for (const { id, failingSince } of body.sessions) {
      assert.equal(Date.parse(failingSince), (await world.attempts({ id }))[0].finished_at.getTime());
    }
    const times = body.sessions.map(({ lastAttemptAt }) => Date.parse(lastAttemptAt));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => b - a),
    );
  });

  test("a session and a run tell their history", async () => {
    const sessions = await mixedRun();
    const { body } = await ask("runs?limit=1");
    assert.equal(body.runs.length, 1);
    const { run, failures } = (await ask(`runs/${body.runs[0].id}`)).body;
    assert.deepEqual(
      [run.trigger, run.claimed, run.refreshed, run.outcomes],
      ["cron", 12, 9, { refreshed: 9, expired: 1, unrecognised: 1, upstream_fault: 1 }],
    );
    assert.deepEqual(failures.map(({ outcome }) => outcome).sort(), ["expired", "unrecognised", "upstream_fault"]);
    const { session, attempts, events, actions } = (await ask(`sessions/${sessions[2].id}`)).body;
    assert.deepEqual([session.state, session.lastError], ["expired", "expired"]);
    assert.deepEqual([attempts[0].outcome, attempts[0].runId, attempts[0].trigger], ["expired", run.id, "cron"]);
    assert.deepEqual([events.map(({ event }) => event), actions], [["expired"], []]);
  });

  test("what can't be asked is 400, what is not there 404", async () => {
    const long = "a".repeat(256);
    for (const route of [
      "sessions?query=",
      "sessions?query=%20",
      "sessions?query=a%00b",
      `sessions?query=${long}`,
      "sessions?trouble=yes",
      "sessions?query=a&query=b",
      "sessions?q=a",
      "sessions/not-an-id",
      "runs/not-an-id",
      "runs?limit=0",
      "runs?limit=101",
      "runs?limit=many",
      "overview?hours=25",
      "metrics?x=1",
      "health?x=1",
    ]) {
      assert.equal((await ask(route)).status, 400, route);
    }
    for (const route of [`sessions/${randomUUID()}`, `runs/${randomUUID()}`])
      assert.equal((await ask(route)).status, 404);
    assert.equal((await ask(`sessions/${randomUUID()}`)).body.code, "session_not_found");
  });

  test("what operators do is recorded with the key that they had", async () => {
    const session = await world.signIn();
    await world.set(session, { signed_in_at: ago(60) });
    await post(`sessions/${session.id}/disable`);
    await post(`sessions/${session.id}/enable`, PREVIOUS_KEY);
    await post(`sessions/${session.id}/refresh`, PREVIOUS_KEY);
    await post(`sessions/${randomUUID()}/refresh`);
    await post(`sessions/${randomUUID()}/enable`);
    await world.worker.batch();
    const { actions } = (await ask("overview")).body;
    const [first, previous] = [actions.at(-1).keyId, actions.at(-2).keyId];
    assert.notEqual(first, previous);
    assert.match(first, /^[0-9a-f]{8}$/);
    assert.deepEqual(
      actions.map(({ action, keyId, sessionId, result }) => [action, keyId, sessionId, result]),
      [
        ["run", first, null, "done"],
        ["refresh", previous, session.id, "refreshed"],
        ["enable", previous, session.id, "done"],
        ["disable", first, session.id, "done"],
      ],
    );
    assert.equal((await ask(`sessions/${session.id}`)).body.actions.length, 3);
  });
});

describe("log lines", () => {
  test("a run and each failure name the run, what started it and what came of it", async () => {
    const session = await world.signIn({ due: true });
    session.fail("server_error");
    const { headers, body } = await world.worker.batch();
    const [run] = await world.logged("run");
    const [failure] = await world.logged("attempt_failed");
    const requestId = headers.get("x-request-id");
    const { runId } = run;
    assert.deepEqual([run.requestId, run.trigger, run.outcome], [requestId, "api", "failed"]);
    assert.equal(body.runId, runId);
    const { sessionId, outcome, trigger } = failure;
    assert.deepEqual([failure.runId, failure.requestId], [runId, requestId]);
    assert.deepEqual([sessionId, trigger, outcome], [session.id, "api", "upstream_fault"]);
    assert.equal((await one("select id from refresh_runs")).id, runId);
  });

  test("a user's refresh that fails names its request; a cron's run has none", async () => {
    const session = await world.signIn();
    session.fail("expired_short_page");
    const { headers } = await world.worker.call("/api/auth/refresh", {
      method: "POST",
      headers: as("ana@example.com", world.supabase.jwtSecret),
    });
    const [failure] = await world.logged("attempt_failed");
    assert.deepEqual([failure.requestId, failure.trigger], [headers.get("x-request-id"), "user"]);
    assert.deepEqual([failure.outcome, failure.runId], ["unrecognised", null]);
    await world.worker.tick();
    const [run] = await world.logged("run");
    assert.deepEqual([run.requestId, run.trigger, run.outcome, run.error], [null, "cron", "done", null]);
    assert.doesNotMatch(JSON.stringify(world.events()), /ana@example|fingerprint/);
  });

  test("a run that the database breaks says so", async () => {
    world.breakCalls("claim_due_sessions", { status: 401, json: { code: "PGRST301" } });
    await world.worker.tick();
    const [run] = await world.logged("run");
    assert.equal(run.outcome, "error");
    assert.ok(run.error);
  });
});
