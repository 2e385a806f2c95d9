// The migrations, on every table that a project may have, and what the database promises by itself.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { migrate, startSupabase } from "../local/stack.mjs";
import { claimDue, claimFor, finish, POLICY } from "./support/sql.mjs";

const open = [];
after(async () => {
  for (const supabase of open) await supabase.stop();
});

async function start(options) {
  const supabase = await startSupabase(options);
  open.push(supabase);
  return supabase;
}

const TOKEN = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";
const COOKIES = JSON.stringify([{ name: "PHPSESSID", value: "a=b" }]);

const OLD_TABLE = `create table public.auth_sessions (
  id uuid primary key default gen_random_uuid(), user_email varchar(255) not null unique,
  aimharder_token text not null, aimharder_cookies jsonb not null,
  created_at timestamptz default now(), updated_at timestamptz default now())`;

const NEW_TABLE = `create table public.auth_sessions (
  id uuid primary key default gen_random_uuid(), user_email varchar(255) not null,
  aimharder_token text not null, aimharder_cookies jsonb not null, fingerprint varchar(50),
  created_at timestamptz default now(), updated_at timestamptz default now(), unique (user_email, fingerprint))`;

const PLAN_COLUMNS = `alter table public.auth_sessions add column last_refresh_date timestamp,
  add column refresh_count integer, add column last_refresh_error text, add column auto_refresh_enabled boolean`;

const insert = (sql, email, fingerprint) =>
  sql.query(
    `insert into auth_sessions (user_email, aimharder_token, aimharder_cookies ${fingerprint ? ", fingerprint" : ""})
    values ($1, $2, $3 ${fingerprint ? ", $4" : ""}) returning *`,
    [email, TOKEN, COOKIES, ...(fingerprint ? [fingerprint] : [])],
  );

const claimAll = async (sql) => (await claimDue(sql, 100)).sessions;

async function comesToLife(supabase, rowsBefore) {
  const { rows } = await supabase.sql.query("select * from auth_sessions order by user_email");
  assert.deepEqual(
    rows.map((row) => row.aimharder_token),
    rowsBefore.map((row) => row.aimharder_token),
    "no row is lost",
  );
  for (const row of rows) {
    assert.deepEqual([row.refresh_state, row.refresh_count, row.auto_refresh_enabled], ["active", 0, true]);
    assert.ok(row.next_refresh_at - Date.now() < 61_000, "rows from before are due within a minute");
  }
  await supabase.sql.query("update auth_sessions set next_refresh_at = now()");
  assert.equal((await claimAll(supabase.sql)).length, rows.length);
}

for (const [name, table, fingerprints] of [
  ["an old table, unique on user_email", OLD_TABLE, [undefined]],
  ["a newer table, unique on (user_email, fingerprint)", NEW_TABLE, ["phone", "laptop"]],
  ["a newer table with the plan's columns added by hand", `${NEW_TABLE}; ${PLAN_COLUMNS}`, ["phone", "laptop"]],
]) {
  test(`${name}, with rows, once and twice`, async () => {
    const before = [];
    const prepare = async (sql) => {
      await sql.query(table);
      for (const email of ["ana@example.com", "bruno@example.com"]) {
        for (const fingerprint of fingerprints) before.push((await insert(sql, email, fingerprint)).rows[0]);
      }
    };
    const supabase = await start({ prepare });
    await migrate(supabase.sql, { again: true });
    await comesToLife(supabase, before);
    const { rows } = await supabase.sql.query(
      "select data_type from information_schema.columns where table_name = 'auth_sessions' and column_name like '%_at' or column_name = 'last_refresh_date'",
    );
    for (const { data_type: type } of rows) assert.equal(type, "timestamp with time zone", "hazard 13");
  });
}

test("an empty database, once and twice", async () => {
  const supabase = await start();
  await migrate(supabase.sql, { again: true });
  await insert(supabase.sql, "ana@example.com", "phone");
  await insert(supabase.sql, "ana@example.com", "laptop");
  await assert.rejects(insert(supabase.sql, "ana@example.com", "phone"), /duplicate key/);
  assert.equal((await claimAll(supabase.sql)).length, 0, "a sign-in is fresh");
});

test("only the service role gets in", async () => {
  const supabase = await start();
  await insert(supabase.sql, "ana@example.com", "phone");
  const ask = (path, key, options) =>
    fetch(`${supabase.url}/rest/v1/${path}`, {
      headers: { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...options,
    });
  const call = (name, key, json) => ask(`rpc/${name}`, key, { method: "POST", body: JSON.stringify(json) });
  const lease = { p_holder: crypto.randomUUID(), p_lease_seconds: 1, p_upstream: "x", p_policy: POLICY };
  const run = { p_run_id: crypto.randomUUID(), p_trigger: "x" };
  const names = { p_ids: [], p_emails: ["ana@example.com"] };
  const functions = {
    claim_due_sessions: { ...run, ...lease, p_limit: 1, p_width: 6 },
    claim_session: {
      ...lease,
      p_email: "ana@example.com",
      p_session_id: null,
      p_reuse_seconds: 0,
      p_min_seconds: 0,
    },
    claim_sessions: { ...run, ...lease, ...names, p_max_age_seconds: 60, p_limit: 10, p_width: 6 },
    finish_sessions: { ...run, p_holder: lease.p_holder, p_results: [], p_upstream: "x", p_done: true },
    session_status: { p_email: "ana@example.com", p_session_id: null },
    due_sessions_count: { p_limit: 10 },
    outlook: { p_upstream: "x", p_policy: POLICY, p_limit: 10 },
    wish_fresh: { ...names, p_fresh_at: new Date(Date.now() + 600_000) },
    set_session_enabled: { p_session_id: crypto.randomUUID(), p_enabled: true },
    finish_run: { p_run_id: run.p_run_id, p_holder: lease.p_holder, p_summary: {}, p_retention_days: 30 },
  };
  for (const key of [supabase.anonKey, supabase.authenticatedKey]) {
    for (const table of [
      "auth_sessions",
      "refresh_runs",
      "refresh_attempts",
      "refresh_policy",
      "refresh_upstreams",
      "refresh_wishes",
      "refresh_answers",
    ]) {
      const response = await ask(table, key);
      const seen = await response.json();
      assert.ok(response.status >= 400 || seen.length === 0, `${table}: ${response.status}`);
    }
    for (const [name, json] of Object.entries(functions)) {
      const { status } = await call(name, key, json);
      assert.ok(status >= 400, `${name}: ${status}`);
    }
  }
  for (const [name, json] of Object.entries(functions)) {
    assert.equal((await call(name, supabase.serviceRoleKey, json)).status, 200, name);
  }
  const { rows } = await supabase.sql.query(
    "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity",
  );
  assert.deepEqual(rows, [], "row-level security is on for every table");
});

test("a claim over many rows reads the due ones alone", async () => {
  const { sql } = await start();
  await sql.query(`insert into auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, next_refresh_at)
    select 'user' || n || '@example.com', '${TOKEN}', '${COOKIES}', 'f', now() + n * interval '1 minute' - interval '20 minutes'
    from generate_series(1, 20000) n`);
  await sql.query("analyze auth_sessions");
  const { rows } = await sql.query(`explain (format json) select id from auth_sessions
    where refresh_state = 'active' and auto_refresh_enabled and next_refresh_at <= now()
      and (lease_expires_at is null or lease_expires_at <= now())
    order by next_refresh_at limit 10 for update skip locked`);
  assert.match(JSON.stringify(rows), /auth_sessions_due/);
  assert.doesNotMatch(JSON.stringify(rows), /Seq Scan/);
  const claimed = await claimAll(sql);
  assert.equal(claimed.length, 20);
});

test("parallel claims are disjoint, and oldest due comes first", async () => {
  const { sql } = await start();
  await sql.query(`insert into auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, next_refresh_at)
    select 'user' || n || '@example.com', '${TOKEN}', '${COOKIES}', 'f', now() - n * interval '1 second' from generate_series(1, 200) n`);
  const claim = async () => (await claimDue(sql, 10)).sessions.map(({ id }) => id);
  const first = await claim();
  const { rows: oldest } = await sql.query("select id from auth_sessions order by next_refresh_at limit 10");
  assert.deepEqual(
    first,
    oldest.map(({ id }) => id),
  );
  const claims = await Promise.all(Array.from({ length: 19 }, claim));
  const ids = claims.flat();
  assert.equal(new Set([...first, ...ids]).size, 200);
});

test("a fence that is not the caller's is refused, whoever writes", async () => {
  const { sql } = await start();
  const { rows } = await insert(sql, "ana@example.com", "phone");
  const holder = crypto.randomUUID();
  const { fence } = (await claimFor(sql, "ana@example.com", { p_holder: holder })).session;
  const write = async (who, changed) => {
    const entry = {
      id: rows[0].id,
      fence,
      kind: "refreshed",
      outcome: "refreshed",
      token: "1|1|new",
      nextInSeconds: 1200,
      durationMs: 1,
      tries: 1,
      ...changed,
    };
    return (await finish(sql, who, [entry])).results[0].result;
  };
  assert.equal(await write(crypto.randomUUID()), "lost");
  assert.equal(await write(holder, { fence: fence - 1 }), "lost");
  assert.equal(await write(holder), "written");
  assert.equal(await write(holder), "already");
  await assert.rejects(write(holder, { kind: "guess" }), /lacks its id, its kind/);
  const { rows: after } = await sql.query("select refresh_count, aimharder_token from auth_sessions");
  assert.deepEqual(after, [{ refresh_count: 1, aimharder_token: "1|1|new" }]);
});

test("writing the same token again is no sign-in, and other columns are anybody's", async () => {
  const { sql } = await start();
  await insert(sql, "ana@example.com", "phone");
  await sql.query("update auth_sessions set refresh_state = 'expired', last_refresh_error = 'expired'");
  await sql.query("update auth_sessions set updated_at = now(), aimharder_token = aimharder_token");
  assert.equal((await sql.query("select refresh_state from auth_sessions")).rows[0].refresh_state, "expired");
  await sql.query("update auth_sessions set aimharder_token = '1|2|3'");
  assert.equal((await sql.query("select refresh_state from auth_sessions")).rows[0].refresh_state, "active");
});
