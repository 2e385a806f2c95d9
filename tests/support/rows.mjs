// A database with as many sessions as wanted, and what its functions cost there: for tests and benchmarks of scale.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import pg from "pg";
import { migrate } from "../../local/stack.mjs";
import { call, claimDue, finish, POLICY, WATCH } from "./sql.mjs";

/** Sessions in a claim, as many as a busy Worker asks for. */
export const BATCH = 50;

/** Of these e-mails each database has a session, however few it has. */
const email = (number) => `user${number}@example.com`;

/** Ids in the order of insertion: an index that grows at its end alone is made sooner, and is as deep as any. */
const ID = "lpad(to_hex(n), 32, '0')::uuid";

/** One more database on the same server, with the migrations applied; answers a pool. */
export async function createDatabase(supabase, name) {
  await supabase.sql.query(`create database ${name}`);
  const sql = new pg.Pool({ connectionString: supabase.databaseUrl.replace(/\w+$/, name), max: 4 });
  sql.on("error", () => {}); // A server stopped on purpose ends idle connections.
  await migrate(sql);
  return sql;
}

/**
 * Makes sessions as a month of work leaves them, each with an attempt behind it, and `due` of them due: oldest first
 * is another order than that in which they lie on disk. Triggers and indexes come afterwards, for speed alone.
 */
export async function fill(sql, count, { due = count / 20 } = {}) {
  const indexes = await dropIndexes(sql);
  const share = Math.ceil(count / 2);
  await Promise.all([fillPart(sql, 1, share, count / due), fillPart(sql, share + 1, count, count / due)]);
  await Promise.all(
    ["auth_sessions", "refresh_attempts"].map(async (table) => {
      for (const index of indexes.filter((one) => one.tablename === table)) await sql.query(index.definition);
    }),
  );
  await sql.query("vacuum (analyze) auth_sessions");
  await sql.query("vacuum (analyze) refresh_attempts");
}

/** Drops all that no constraint needs, and answers how to make them anew. */
async function dropIndexes(sql) {
  const { rows } = await sql.query(`select tablename, indexname, indexdef as definition from pg_indexes
    where schemaname = 'public' and tablename in ('auth_sessions', 'refresh_attempts')
      and indexname not in (select conname from pg_constraint)`);
  for (const { indexname } of rows) await sql.query(`drop index public.${indexname}`);
  return rows;
}

async function fillPart(sql, from, to, every) {
  const client = await sql.connect();
  try {
    // Neither triggers nor foreign keys, which would look at each row.
    await client.query("begin; set local session_replication_role = replica");
    await client.query(
      `insert into auth_sessions (id, user_email, aimharder_token, aimharder_cookies, fingerprint, created_at,
        signed_in_at, updated_at, last_refresh_date, last_attempt_at, refresh_count, lease_fence, next_refresh_at)
      select ${ID}, 'user' || n || '@example.com', (10000000 + n) || '|1766731601|' || digest || substr(digest, 1, 19),
        jsonb_build_array(
          jsonb_build_object('name', 'AWSALB', 'value', digest || repeat('a', 68)),
          jsonb_build_object('name', 'AWSALBCORS', 'value', digest || repeat('a', 68)),
          jsonb_build_object('name', 'PHPSESSID', 'value', digest || repeat('p', 68)),
          jsonb_build_object('name', 'amhrdrauth', 'value', digest || repeat('h', 68))),
        digest || substr(digest, 1, 18), now() - interval '20 days', now() - interval '20 days',
        before, before, before, 500, 500,
        case when n % $3::integer = 0 then now() - random() * interval '1 minute' else before + interval '20 minutes' end
      from generate_series($1::integer, $2::integer) n,
        lateral (select md5(n::text) as digest, now() - n % 1000 * interval '1 second' as before) made`,
      [from, to, Math.round(every)],
    );
    await client.query(
      `insert into refresh_attempts (session_id, fence, trigger, finished_at, duration_ms, outcome, upstream_status,
        tries, age_seconds)
      select ${ID}, 500, 'cron', now() - ($2 - n) * interval '1 millisecond', 400, 'refreshed', 200, 1, 1100
      from generate_series($1::integer, $2::integer) n`,
      [from, to],
    );
    await client.query("commit");
  } finally {
    client.release();
  }
}

/** The functions as Workers call them, on one connection, as PostgREST's stay open for long: their plans get old there. */
export class Caller {
  /** What each function cost, call by call: pages touched, in memory or not, bytes of the log, milliseconds, bytes answered. */
  costs = {};
  /** Plans of what was executed, as EXPLAIN tells them. */
  plans = [];

  static async open(sql) {
    const caller = new Caller();
    caller.client = await sql.connect();
    caller.client.on("notice", ({ message }) => caller.#note(message));
    // Measured once an hour; not what is asked here.
    await caller.client.query(`update refresh_policy set life_measured_at = now();
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_level = notice;
      set auto_explain.log_format = json;
      set auto_explain.log_analyze = on;
      set auto_explain.log_timing = off;
      set auto_explain.log_buffers = on;
      set auto_explain.log_wal = on`);
    return caller;
  }

  /** From now on plans are told of statements within functions, too, which takes time. */
  async lookInside() {
    await this.client.query("set auto_explain.log_nested_statements = on");
    this.plans = [];
  }

  close() {
    this.client.release(true);
  }

  #note(message) {
    const ms = Number(message.match(/duration: ([\d.]+) ms/)[1]);
    this.plans.push({ ms, ...JSON.parse(message.slice(message.indexOf("{"))) });
  }

  /** `as`: what the cost is noted for. */
  async #call(name, parameters, as = name) {
    const answer = await call(this.client, name, parameters);
    // Within a transaction a statement's plan is told when the next statement comes.
    await this.client.query("reset search_path");
    // The outermost statement's comes last, and counts what was touched within.
    const { Plan: plan, ms, "Query Text": text } = this.plans.at(-1);
    assert.ok(text.includes(name));
    const pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
    this.costs[as] ??= [];
    const bytes = JSON.stringify(answer).length;
    this.costs[as].push({ pages, wal: plan["WAL Bytes"], ms, bytes });
    return answer;
  }

  /** Calls without effect. */
  async #try(name, parameters) {
    await this.client.query("begin");
    await this.#call(name, parameters);
    await this.client.query("rollback");
  }

  /** A run over 50 due sessions, which are due again afterwards, and what others ask. */
  async round() {
    const holder = randomUUID();
    const run = { p_run_id: holder, p_trigger: "test", p_holder: holder };
    const upstream = { p_upstream: "upstream", p_policy: POLICY };
    const lease = { ...run, ...upstream, p_width: 6, p_lease_seconds: 60 };
    const { sessions } = await this.#call("claim_due_sessions", { ...lease, p_limit: BATCH });
    assert.equal(sessions.length, BATCH);
    const results = JSON.stringify(sessions.map(refreshed));
    await this.#call("finish_sessions", { ...run, p_results: results, p_upstream: "upstream", p_done: true });
    const ids = sessions.map(({ id }) => id);
    await this.client.query("update auth_sessions set next_refresh_at = now() where id = any ($1)", [ids]);

    const summary = { p_run_id: holder, p_holder: holder, p_summary: { claimed: BATCH }, p_retention_days: 30 };
    await this.#call("finish_run", summary);
    await this.#call("outlook", { ...upstream, p_limit: BATCH });
    await this.#call("due_sessions_count", { p_limit: 10_001 });
    await this.#call("session_status", { p_email: email(100), p_session_id: null });
    const emails = Array.from({ length: BATCH / 2 }, (_, index) => email(3 + 7 * index));
    await this.#try("claim_sessions", {
      ...lease,
      p_ids: ids.slice(0, BATCH / 2),
      p_emails: emails,
      p_max_age_seconds: 0,
      p_limit: BATCH,
    });
    const { p_lease_seconds } = lease;
    const pauses = { p_lease_seconds, p_reuse_seconds: 0, p_min_seconds: 0 };
    await this.#try("claim_session", {
      p_email: email(101),
      p_session_id: null,
      p_holder: holder,
      ...pauses,
      ...upstream,
    });
  }

  /** What operators ask, and what a tick does besides refreshing, with as much to add up as fifty finishes leave. */
  async lookAround() {
    const upstream = { p_upstream: "upstream" };
    const { rows } = await this.client.query("select id from auth_sessions where user_email = $1", [email(1)]);
    await this.#call("overview", { ...upstream, p_hours: 24 });
    await this.#call("overview", { ...upstream, p_hours: 168 }, "overview of a week");
    await this.#call("metrics", upstream);
    await this.#call("health", upstream);
    await this.#call("session_history", { p_session_id: rows[0].id, p_limit: 100 });
    await this.#call("list_runs", { p_limit: 20 });
    await this.#call("find_sessions", { p_query: null, p_limit: 50 }, "sessions in trouble");
    await this.#call("find_sessions", { p_query: email(1), p_limit: 50 }, "a session by its e-mail");
    await this.#call("find_sessions", { p_query: "ser1@", p_limit: 50 }, "a session by a part");
    await this.client.query(`insert into refresh_tallies (at, kind, label, count, extra, sum_ms, buckets)
      select now(), kind, label, 1, 0, 400, case kind when 'age' then '{}' else array[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] end
      from generate_series(1, 50), (values ('attempt', 'refreshed'), ('age', '18'), ('age', '19')) told (kind, label)`);
    await this.#call("watch", { ...upstream, p_policy: POLICY, p_watch: WATCH });
  }

  /** The middle of what a function's calls cost. */
  median(name, of) {
    const sorted = this.costs[name].map((cost) => cost[of]).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }
}

/** A result as a Worker reports it: each call of upstream brings another token and other load balancer's cookies. */
export function refreshed({ id, fence, token, cookies }) {
  const value = randomUUID().replaceAll("-", "");
  return {
    id,
    fence,
    kind: "refreshed",
    outcome: "refreshed",
    own: false,
    token: token.slice(0, -value.length) + value,
    cookies: cookies.map((cookie) => ({ ...cookie, value: value + cookie.value.slice(value.length) })),
    nextInSeconds: 1080,
    upstreamStatus: 200,
    durationMs: 400,
    tries: 1,
  };
}

/**
 * Refreshes every session `rounds` times over, a twentieth at once, with a vacuum after every `vacuumAfter` twentieths: an
 * interval has twenty minutes, and autovacuum looks once a minute. Answers what became of the table and its indexes.
 */
export async function wear(sql, { rounds, vacuumAfter }) {
  const client = await sql.connect();
  const { rows } = await client.query("select count(*)::integer as count from auth_sessions");
  const before = await sizes(client);
  const claims = { updates: 0, hot: 0 };
  for (let turn = 1; turn <= 20 * rounds; turn += 1) {
    const holder = randomUUID();
    const start = await updates(client);
    const { sessions } = await claimDue(client, rows[0].count / 20, { p_run_id: holder, p_holder: holder });
    const end = await updates(client);
    claims.updates += end.updates - start.updates;
    claims.hot += end.hot - start.hot;
    // Due at once, behind all others.
    const results = sessions.map((session) => ({ ...refreshed(session), nextInSeconds: 0 }));
    await finish(client, holder, results);
    if (turn % vacuumAfter === 0) await client.query("vacuum auth_sessions");
  }
  const after = await sizes(client);
  client.release();
  return { claims, before, after };
}

/** Row versions written, and how many of them were heap-only: on the same page, without index entries. */
async function updates(client) {
  await client.query("select pg_stat_force_next_flush()");
  const { rows } = await client.query(`select n_tup_upd::integer as updates, n_tup_hot_upd::integer as hot
    from pg_stat_user_tables where relname = 'auth_sessions'`);
  return rows[0];
}

/** Pages of the table and its indexes. */
async function sizes(client) {
  const { rows } = await client.query(`select relname as name, (pg_relation_size(oid) / 8192)::integer as pages
    from pg_class where relname like 'auth_sessions%'`);
  return Object.fromEntries(rows.map(({ name, pages }) => [name.replace("auth_sessions_", ""), pages]));
}
