// The simulation's model of the SQL functions beside the functions themselves: the same random histories, compared after
// each step. What the model says, the simulation builds on.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import { startSupabase } from "../local/stack.mjs";
import { realCargo } from "../local/toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const SEEDS = (process.env.SEEDS ?? "1,2,3,4,5,6,7,8,9,10,11,12").split(",");
const STEPS = process.env.STEPS ?? "400";

/** What the histories have to reach, all together. */
const REACHED = [
  "breaker opens",
  "breaker half open",
  "breaker closes",
  "breaker opens again",
  "paused by a 429",
  "slowed by a 429",
  "held: paused",
  "held: breaker",
  "held: in flight",
  "held: rate",
  "an abandoned lease taken over",
  "finish: written",
  "finish: doubted",
  "finish: already",
  "finish: lost",
  "fingerprints clash",
  "due sessions claimed",
  "a user with many sessions passed over",
  "disabled and left alone",
  "exhausted",
  "revived by its user",
  "revived by name",
  "named: the same lease again",
  "revived by an operator",
  "revived by a sign-in",
  "a sign-in under a lease",
  "a sign-in after the end",
  "a sign-in that changes nothing",
  "an odd site",
  "a wish brings a refresh forward",
  "a wish granted",
  "policy changed",
  "outlook: held",
  "outlook: a life measured",
  ...["not found", "expired", "busy", "reused", "too soon", "claimed", "spared"].map((result) => `user: ${result}`),
  ...["not found", "claimed", "expired", "busy", "fresh", "throttled", "spared"].map((result) => `named: ${result}`),
];

let supabase;
let sql;
// Cargo may have to build it.
const BUILD = { timeout: 600_000 };
before(async () => {
  execFileSync(realCargo(), ["build", "--quiet", "--locked", "-p", "simulation"], { cwd: ROOT, stdio: "inherit" });
  supabase = await startSupabase();
  sql = new pg.Client({ connectionString: supabase.databaseUrl });
  await sql.connect();
  await sql.query(`
    create or replace function public.keepalive_now() returns timestamptz language sql volatile
    as $$ select 'epoch'::timestamptz + current_setting('keepalive.test_now')::bigint * interval '1 microsecond' $$;
    create or replace function public.keepalive_unit() returns float8 language sql volatile
    as $$ select current_setting('keepalive.test_unit')::float8 $$`);
}, BUILD);
after(async () => {
  await sql?.end();
  await supabase?.stop();
});

/** A random history, as the model tells it. */
function history(seed) {
  const program = path.join(ROOT, "target", "debug", "history");
  const output = execFileSync(program, ["--seed", seed, "--steps", STEPS], { encoding: "utf8", maxBuffer: 1e9 });
  return output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

const JSON_ARGUMENTS = new Set(["p_policy", "p_results", "p_summary"]);
const MOMENT = "'epoch'::timestamptz + $N::bigint * interval '1 microsecond'";

/** Calls one of our functions with named arguments. */
async function callFunction(name, given) {
  const named = Object.entries(given);
  const list = named.map(([key], index) =>
    key === "p_fresh_at" ? `${key} => ${MOMENT.replace("$N", `$${index + 1}`)}` : `${key} => $${index + 1}`,
  );
  const values = named.map(([key, value]) => (JSON_ARGUMENTS.has(key) ? JSON.stringify(value) : value));
  const { rows } = await sql.query(`select public.${name}(${list.join(", ")}) as answer`, values);
  return rows[0].answer;
}

const micros = (column) =>
  `case when ${column} > '-infinity' then (extract(epoch from ${column}) * 1000000)::bigint end`;
const plain = (columns) => columns.flatMap((column) => [`'${column}'`, column]);
const times = (columns) => columns.flatMap((column) => [`'${column}'`, micros(column)]);
const SESSION = [
  ...["'token'", "aimharder_token", "'cookies'", "aimharder_cookies"],
  ...plain(["id", "fingerprint", "refresh_count", "last_refresh_error", "auto_refresh_enabled", "refresh_state"]),
  ...plain(["consecutive_failures", "session_failures", "refusals_in_doubt", "lease_holder", "lease_fence"]),
  ...times(["signed_in_at", "last_refresh_date", "next_refresh_at", "in_doubt_since", "last_attempt_at"]),
  ...times(["lease_expires_at"]),
];
const UPSTREAM = [
  ...plain(["rate", "breaker", "openings", "answers", "faults", "throttles", "answers_before", "faults_before"]),
  ...plain(["throttles_before", "throttled", "throttled_before"]),
  ...times(["next_start_at", "next_urgent_at", "rate_at", "paused_until", "breaker_until", "window_at"]),
];
const TABLES = `select jsonb_build_object(
  'sessions', (select jsonb_agg(jsonb_build_object(${SESSION}) order by id) from auth_sessions),
  'upstream', (select jsonb_build_object(${UPSTREAM}) from refresh_upstreams),
  'slots', (select coalesce(jsonb_agg(jsonb_build_array(holder, width, ${micros("expires_at")}) order by holder), '[]')
    from refresh_slots),
  'wishes', (select coalesce(jsonb_agg(jsonb_build_array(session_id, ${micros("fresh_at")})
    order by session_id, fresh_at), '[]') from refresh_wishes),
  'attempts', (select coalesce(jsonb_agg(jsonb_build_array(session_id, fence, ${micros("finished_at")}, outcome, tries,
    age_seconds) order by session_id, fence), '[]') from refresh_attempts)) as answer`;

const STEPS_OF_OURS = {
  insert: ({ id, user, token, cookies, created_at }) =>
    sql.query(
      `insert into auth_sessions (id, user_email, aimharder_token, aimharder_cookies, created_at)
      values ($1, $2, $3, $4, ${MOMENT.replace("$N", "$5")})`,
      [id, user, token, JSON.stringify(cookies), created_at],
    ),
  sign_in: ({ id, token, cookies }) =>
    sql.query("update auth_sessions set aimharder_token = $2, aimharder_cookies = $3 where id = $1", [
      id,
      token,
      JSON.stringify(cookies),
    ]),
  tables: async () => (await sql.query(TABLES)).rows[0].answer,
};

async function replay(step) {
  await sql.query("select set_config('keepalive.test_now', $1, false), set_config('keepalive.test_unit', $2, false)", [
    String(step.at),
    String(step.unit),
  ]);
  const own = STEPS_OF_OURS[step.call];
  return own ? own(step.arguments) : callFunction(step.call, step.arguments);
}

test("the simulation's model and the SQL functions answer alike", { timeout: 120_000 }, async () => {
  const reached = {};
  for (const seed of SEEDS) {
    await sql.query(`truncate auth_sessions, refresh_runs, refresh_upstreams, refresh_slots, refresh_tallies, refresh_hours cascade;
      delete from refresh_policy; insert into refresh_policy default values`);
    const recent = [];
    for (const [number, step] of history(seed).entries()) {
      if (step.call === "coverage") {
        for (const [what, count] of Object.entries(step.answer)) reached[what] = (reached[what] ?? 0) + count;
        continue;
      }
      const answer = await replay(step);
      recent.push(step.call);
      if (step.answer === null) continue;
      const where = `seed ${seed}, step ${number}, ${step.call} ${JSON.stringify(step.arguments)}`;
      assert.deepEqual(answer, step.answer, `${where}, after ${recent.slice(-5)}`);
    }
  }
  console.log(reached);
  const missed = REACHED.filter((what) => !reached[what]);
  assert.deepEqual(missed, [], "the histories don't reach everything");
});
