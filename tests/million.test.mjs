// At a million rows: whether each function finds its way by the indexes, costs about what it costs at a thousand, and
// leaves the tables as large as they are.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startSupabase } from "../local/stack.mjs";
import { fillHistory } from "./support/history.mjs";
import { Caller, createDatabase, fill, wear } from "./support/rows.mjs";
import { call, POLICY, WATCH } from "./support/sql.mjs";

const MILLION = 1_000_000;
const THOUSAND = 1_000;
/** From its sixth call on a connection PostgreSQL may keep a plan for all that follow. */
const ROUNDS = 12;

/** What operators' questions, and a tick's look, may touch. Each count of what is due looks at up to 10,001 rows. */
const MOST_PAGES = {
  overview: 12_000,
  "overview of a week": 12_000,
  metrics: 11_000,
  health: 11_000,
  session_history: 50,
  list_runs: 50,
  "sessions in trouble": 500,
  "a session by its e-mail": 50,
  watch: 24_000,
};

const LARGE_TABLES = ["auth_sessions", "refresh_attempts"];

let supabase;
before(async () => {
  supabase = await startSupabase();
  // It comes when it likes, and changes how many pages a call touches: by what it removes, and, while it analyses, by
  // keeping dead rows' places from being used again.
  await supabase.sql.query("alter system set autovacuum = off");
  await supabase.sql.query("select pg_reload_conf()");
});
after(() => supabase.stop());

describe("a million sessions, a twentieth of them due, beside a thousand", () => {
  let small;
  let large;

  before(
    async () => {
      const thousand = await createDatabase(supabase, "thousand");
      await fill(thousand, THOUSAND);
      await fill(supabase.sql, MILLION);
      small = await Caller.open(thousand);
      large = await Caller.open(supabase.sql);
      for (let round = 0; round < ROUNDS; round += 1) {
        await small.round();
        await large.round();
      }
    },
    // On a busy machine a million rows take more than the time that any test has.
    { timeout: 600_000 },
  );
  after(() => {
    for (const caller of [small, large]) caller.close();
  });

  /** `counted`: what each call counts, here and there, where that is all that it does. */
  const cases = [
    ["claim_due_sessions"],
    ["finish_sessions"],
    ["claim_sessions"],
    ["claim_session"],
    ["session_status"],
    ["outlook"],
    ["due_sessions_count", { counted: [THOUSAND / 20, 10_001] }],
    ["finish_run", { counted: [THOUSAND / 20, 10_001] }],
  ];
  for (const [name, { counted = [1, 1] } = {}] of cases) {
    const unit = counted[1] > 1 ? " for each session that it counts" : "";
    test(`${name} touches at most twice as many pages${unit}`, (t) => {
      const ratio = (of) => large.median(name, of) / counted[1] / (small.median(name, of) / counted[0]);
      t.diagnostic(`pages ${ratio("pages").toFixed(2)}-fold, time ${ratio("ms").toFixed(2)}-fold${unit}`);
      assert.ok(ratio("pages") <= 2);
    });
  }

  test("a finish touches little more for the count of its attempts", async (t) => {
    const counted = large.median("finish_sessions", "pages");
    large.costs.finish_sessions = [];
    await supabase.sql.query("alter table refresh_attempts disable trigger refresh_attempts_tally");
    for (let round = 0; round < ROUNDS / 2; round += 1) await large.round();
    await supabase.sql.query("alter table refresh_attempts enable trigger refresh_attempts_tally");
    const uncounted = large.median("finish_sessions", "pages");
    t.diagnostic(`${counted} pages with, ${uncounted} without`);
    assert.ok(counted <= 1.1 * uncounted);
  });

  test("no plan of what ran reads the sessions or their history from end to end", async () => {
    // What is done once an hour, too.
    await supabase.sql.query("update refresh_policy set life_measured_at = null");
    await large.lookInside();
    await large.round();
    const whole = large.plans.filter(({ Plan: plan }) =>
      nodes(plan).some((node) => node["Node Type"] === "Seq Scan" && LARGE_TABLES.includes(node["Relation Name"])),
    );
    assert.deepEqual(
      whole.map((plan) => plan["Query Text"]),
      [],
    );
    const indexes = new Set(large.plans.flatMap(({ Plan: plan }) => nodes(plan).map((node) => node["Index Name"])));
    for (const index of [
      "auth_sessions_due",
      "auth_sessions_pkey",
      "refresh_attempts_pkey",
      "refresh_attempts_finished_at",
    ]) {
      assert.ok(indexes.has(index), index);
    }
  });

  describe("with a month of history, and a thousand in trouble", () => {
    const stock = async () => (await supabase.sql.query("select counted_at, cost_ms from refresh_stock")).rows[0];
    before(async () => {
      await fillHistory(supabase.sql, { troubled: 1_000 });
      await large.lookInside();
      for (let round = 0; round < ROUNDS / 4; round += 1) await large.lookAround();
    });

    test("what operators ask reads nothing from end to end, but for a part of an e-mail and the count of all", () => {
      const whole = large.plans.filter(({ Plan: plan }) =>
        nodes(plan).some(
          (node) => /^(Seq|Sample) Scan$/.test(node["Node Type"]) && LARGE_TABLES.includes(node["Relation Name"]),
        ),
      );
      const others = whole.filter(({ "Query Text": text }) => !/ilike|tablesample/.test(text));
      assert.deepEqual(
        others.map((plan) => plan["Query Text"]),
        [],
      );
    });

    for (const [name, most] of Object.entries(MOST_PAGES)) {
      test(`${name} touches at most ${most.toLocaleString("en")} pages`, (t) => {
        const pages = large.median(name, "pages");
        t.diagnostic(`${pages} pages, ${large.median(name, "ms")} ms`);
        assert.ok(pages <= most);
      });
    }

    test("who looks never counts all sessions where that is dear; a tick does, now and then", async () => {
      await supabase.sql.query("update refresh_stock set counted_at = now() - interval '1 hour'");
      const { counted_at: before, cost_ms: cost } = await stock();
      assert.ok(cost > 5, `a million are counted within ${cost} ms`);
      await call(supabase.sql, "overview", { p_upstream: "upstream", p_hours: 24 });
      await call(supabase.sql, "metrics", { p_upstream: "upstream" });
      await call(supabase.sql, "watch", { p_upstream: "upstream", p_policy: POLICY, p_watch: WATCH });
      assert.deepEqual((await stock()).counted_at, before);
      // A tick's call of its own, for which nothing else waits.
      const tick = () => call(supabase.sql, "count_sessions", {});
      await tick();
      const { counted_at: after } = await stock();
      assert.ok(after > before);
      await tick();
      assert.deepEqual((await stock()).counted_at, after, "not again within a hundred times as long as it took");
    });
  });
});

function nodes(plan) {
  return [plan, ...(plan.Plans ?? []).flatMap(nodes)];
}

test("twenty intervals leave table and indexes as large as they were", async (t) => {
  const sql = await createDatabase(supabase, "worn");
  await fill(sql, 2_000, { due: 2_000 });
  // As autovacuum comes by the settings of 20261125000100: after a tenth of the rows.
  const { claims, before: start, after: end } = await wear(sql, { rounds: 20, vacuumAfter: 2 });
  await sql.end();
  t.diagnostic(
    `heap-only: ${claims.hot} of ${claims.updates} claims; pages before and after: ${JSON.stringify([start, end])}`,
  );
  assert.ok(claims.hot >= 0.95 * claims.updates, "a claim touches no index");
  assert.ok(end.auth_sessions <= 1.1 * start.auth_sessions, "the table does not grow");
  for (const [name, pages] of Object.entries(end)) assert.ok(pages <= 1.1 * start[name] + 4, name);
});
