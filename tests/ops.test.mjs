// The operators' command line, run as its user runs it. What the Worker says is made up here, so that it can be as bad as
// it gets; ops-worker.test.mjs asks the real one.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { FRESH, next } from "../local/ops/pace.mjs";
import { harmless, table, width } from "../local/ops/table.mjs";
import { brief, moment, percent, span } from "../local/ops/words.mjs";
import { freePort, until } from "../local/processes.mjs";
import { FakeWorker, ops, start } from "./support/ops.mjs";

const NOW = "2026-03-01T12:00:00Z";
const ID = "0b8f6c1e-6f0e-4c59-9d7c-0f5d7f1f0a01";
const OTHER = "0b8f6c1e-6f0e-4c59-9d7c-0f5d7f1f0a02";
const { failure } = FakeWorker;
let worker;
before(async () => (worker = await new FakeWorker().start()));
beforeEach(() => {
  worker.answers = {};
  worker.asked = [];
});
after(() => worker.stop());

const asked = (...args) => ops([...args, "--url", worker.url]);
const askedOf = (name) => worker.asked.filter((request) => request.name === name);

const session = (changed = {}) => ({
  id: ID,
  email: "ana@example.com",
  state: "active",
  enabled: true,
  isRefreshing: false,
  lastRefreshDate: "2026-03-01T11:50:00Z",
  lastAttemptAt: "2026-03-01T11:50:00Z",
  nextRefreshDue: "2026-03-01T12:10:00Z",
  signedInAt: "2026-02-27T08:00:00Z",
  refreshCount: 1234,
  lastError: null,
  consecutiveFailures: 0,
  failingSince: null,
  ...changed,
});

const overview = (changed = {}) => ({
  serverTime: NOW,
  intervalSeconds: 1200,
  lifeSeconds: 2460,
  lastTickAt: "2026-03-01T11:59:48Z",
  backlog: { due: 12, oldestDueAt: "2026-03-01T11:57:00Z", oldestAgeSeconds: 1380 },
  stock: {
    countedAt: NOW,
    active: 1000,
    expired: 2,
    exhausted: 1,
    disabled: 4,
    failing: 3,
    late: 1,
    oldestAgeSeconds: 1600,
    ages: [],
  },
  upstream: { breaker: "open", heldUntil: "2026-03-01T12:01:00Z", inFlight: 10, callsPerSecond: 5 },
  periods: [],
  periodSeconds: 3600,
  samples: [],
  since: "2026-02-28T12:00:00Z",
  runs: [],
  trouble: [session({ state: "expired", lastError: "expired", failingSince: "2026-03-01T10:00:00Z" })],
  troubleCount: 1,
  alerts: [
    { kind: "breaker_open", since: "2026-03-01T11:58:00Z", overAt: null, toldAt: null, details: { breaker: "open" } },
    { kind: "oldest_due", since: "2026-03-01T10:58:00Z", overAt: "2026-03-01T11:08:00Z", toldAt: null, details: {} },
  ],
  undelivered: { alerts: 1, events: 0, oldestAt: "2026-03-01T11:58:00Z", lastError: "status_500" },
  actions: [],
  ...changed,
});

const READY = { json: { ready: true, checks: [{ name: "database", ok: true, detail: "answers in 12 ms" }] } };
const OVERVIEW = "GET overview?hours=24";

test("status tells in words how all stands, and is 0 while the Worker is ready", async () => {
  worker.answers = { "GET health": READY, [OVERVIEW]: { json: overview() } };
  const { code, stdout, stderr } = await asked("status");
  assert.deepEqual([code, stderr], [0, ""]);
  for (const told of [
    /^Ready: http/,
    /ok +database +answers in 12 ms/,
    /Sessions +1,000 looked after, 3 of them failing, 4 disabled, 2 expired,\n +1 given up\n/,
    /In time +99\.90 %, 1 late; the oldest is 26 min old/,
    /Due +12, the oldest since 11:57:00, 3 min ago/,
    /Upstream +breaker OPEN, nobody calls, held until 12:01:00, in 60 s/,
    /Last tick +11:59:48, 12 s ago/,
    /breaker open +since 11:58:00, 2 min ago; breaker open/,
    /Undelivered +1 alert, 0 events, since 11:58:00/,
    /ana@example\.com +expired +expired +2 h ago/,
  ]) {
    assert.match(stdout, told);
  }
  assert.doesNotMatch(stdout, /oldest due/, "an alert that is over is not on");
  assert.deepEqual(overlong(stdout), []);
});

test("status is 1 while the Worker is not ready, and names what failed", async () => {
  const checks = [
    { name: "database", ok: true, detail: "" },
    { name: "cron", ok: false, detail: "no tick for 12 min" },
  ];
  worker.answers = {
    "GET health": failure(503, "not_ready", "not ready", { ready: false, checks }),
    [OVERVIEW]: { json: overview() },
  };
  const { code, stdout } = await asked("status");
  assert.equal(code, 1);
  assert.match(stdout, /^NOT READY: .*1 check failed\./);
  assert.match(stdout, /FAILED +cron +no tick for 12 min/);
});

test("status tells the checks even where the database can't be asked", async () => {
  const checks = [{ name: "database", ok: false, detail: "it can't be reached" }];
  worker.answers = {
    "GET health": failure(503, "not_ready", "not ready", { ready: false, checks }),
    [OVERVIEW]: failure(503, "database_unavailable", "the database can't be reached"),
  };
  const people = await asked("status");
  assert.equal(people.code, 1);
  assert.match(people.stdout, /FAILED +database +it can't be reached/);
  assert.match(people.stdout, /can't be told: The database can't be reached\./);
  const { code, stdout } = await asked("status", "--json");
  const told = JSON.parse(stdout);
  assert.deepEqual([code, told.ready, told.checks, told.overview], [1, false, checks, null]);
});

test("a first start, with nothing counted and no tick, is told as such", async () => {
  const nothing = { due: 0, oldestDueAt: null, oldestAgeSeconds: null };
  const stock = { ...overview().stock, countedAt: null, active: 0, oldestAgeSeconds: null };
  const bare = {
    backlog: nothing,
    stock,
    lastTickAt: null,
    lifeSeconds: null,
    alerts: [],
    trouble: [],
    troubleCount: 0,
  };
  worker.answers = { "GET health": READY, [OVERVIEW]: { json: overview(bare) } };
  const { code, stdout } = await asked("status");
  assert.equal(code, 0);
  assert.match(stdout, /Sessions +not counted yet/);
  assert.match(stdout, /Last tick +never/);
  assert.match(stdout, /No alert is on\.\nNo session is in trouble\./);
  assert.doesNotMatch(stdout, /null|undefined|NaN/);
});

test("due asks for a dry run, and says what holds calls back", async () => {
  const told = { dryRun: true, claimed: 0, remaining: 10_001, held: "breaker" };
  const json = { ...told, measuredLifeSeconds: 2460, recommendedIntervalMinutes: 27 };
  worker.answers = { "POST refresh-sessions": { json } };
  const { code, stdout } = await asked("due");
  assert.equal(code, 0);
  assert.match(stdout, /Due +more than 10,000/);
  assert.match(stdout, /Held back by +the circuit breaker is open/);
  assert.match(stdout, /Safe interval +27 min/);
  assert.deepEqual(JSON.parse(worker.asked[0].body), { dryRun: true });
});

const summary = (changed) => ({
  runId: OTHER,
  claimed: 10,
  refreshed: 10,
  expired: 0,
  failed: 0,
  outcomes: { refreshed: 10 },
  superseded: 0,
  released: 0,
  unwritten: 0,
  remaining: 0,
  durationMs: 1200,
  ...changed,
});

/** Answers one after the other; the last one again and again. */
const inTurn =
  (...list) =>
  () =>
    list.length > 1 ? list.shift() : list[0];

test("run goes on until nothing is due, and sums up", async () => {
  worker.answers = {
    "POST refresh-sessions": inTurn(
      { json: summary({ remaining: 15 }) },
      { json: summary({ remaining: 5 }) },
      {
        json: summary({ claimed: 5, refreshed: 4, expired: 1, outcomes: { refreshed: 4, expired: 1 } }),
      },
    ),
  };
  const { code, stdout, stderr } = await asked("run");
  assert.equal(code, 0);
  assert.match(stderr, /run 1: 10 claimed, 10 refreshed, 0 expired, 0 failed, 15 left, 1\.2 s\nrun 2: /);
  assert.match(stdout, /^Nothing is due any more\./);
  assert.match(stdout, /Refreshed +24\nExpired +1\n/);
  assert.equal(worker.asked.length, 3);
});

test("run --json leaves one object on standard output", async () => {
  worker.answers = { "POST refresh-sessions": inTurn({ json: summary({ remaining: 5 }) }, { json: summary() }) };
  const { code, stdout } = await asked("run", "--json");
  const { success, runs, refreshed, remaining } = JSON.parse(stdout);
  assert.deepEqual([code, success, runs, refreshed, remaining], [0, true, 2, 20, 0]);
});

test("run --once makes one run", async () => {
  worker.answers = { "POST refresh-sessions": { json: summary({ remaining: 50 }) } };
  const { code, stdout } = await asked("run", "--once");
  assert.deepEqual([code, worker.asked.length], [0, 1]);
  assert.match(stdout, /Left +50/);
});

test("run is 1 where a session failed, and says by what", async () => {
  const json = summary({ refreshed: 7, failed: 3, outcomes: { refreshed: 7, timed_out: 3 } });
  worker.answers = { "POST refresh-sessions": { json } };
  const { code, stdout } = await asked("run");
  assert.equal(code, 1);
  assert.match(stdout, /Failed +3; timed out 3/);
});

test("run waits as long as the Worker asks it to while aimharder is spared, then goes on", async () => {
  const nothing = summary({ claimed: 0, refreshed: 0, outcomes: {}, remaining: 9 });
  const spared = failure(503, "upstream_spared", "aimharder is left alone", nothing);
  worker.answers = {
    "POST refresh-sessions": inTurn({ ...spared, headers: { "retry-after": "1" } }, { json: summary() }),
  };
  const started = Date.now();
  const { code, stderr } = await asked("run");
  assert.equal(code, 0);
  assert.ok(Date.now() - started >= 1000);
  assert.match(stderr, /aimharder is left alone; again in 1 s/);
});

test("run sums up at Ctrl-C", async () => {
  const silence = () => new Promise(() => {});
  const answers = [() => ({ json: summary({ remaining: 5 }) }), silence];
  worker.answers = { "POST refresh-sessions": () => answers.shift()() };
  const program = start(["run", "--url", worker.url]);
  await until(() => worker.asked.length === 2, { seconds: 10, problem: "there was no second run" });
  program.child.kill("SIGINT");
  const { code, stdout } = await program.ended;
  assert.equal(code, 130);
  assert.match(stdout, /^Interrupted; the run under way winds up\..+Refreshed +10\n.+Left +5\n/s);
});

test("run tells what it came to when the Worker goes away under it", async () => {
  const gone = await new FakeWorker().start();
  let runs = 0;
  gone.answers["POST refresh-sessions"] = () => {
    runs += 1;
    if (runs > 1) gone.server.closeAllConnections();
    return { json: summary({ remaining: 5 }) };
  };
  const { code, stdout, stderr } = await ops(["run", "--url", gone.url]);
  await gone.stop();
  assert.equal(code, 2);
  assert.match(stderr, /broke the connection off/);
  assert.match(stdout, /Refreshed +10\n/);
});

test("when the next run starts, or none does", () => {
  const waits = (told, met = FRESH) => next({ claimed: 0, remaining: 5, ...told }, met).waitMs ?? "ends";
  assert.equal(waits({ claimed: 5 }), 0);
  assert.equal(waits({ claimed: 5, remaining: 0 }), "ends");
  assert.equal(waits({ claimed: 5, remaining: 0, code: "batch_failed" }), "ends");
  assert.equal(waits({ code: "upstream_spared", retryAfterMs: 60_000 }), 60_000);
  assert.equal(waits({ code: "upstream_spared", retryAfterMs: 0 }), 1000, "never at once");
  assert.equal(waits({ code: "rate_limited", retryAfterMs: 7000 }), 7000);
  assert.equal(waits({ code: "database_refused" }), "ends", "what does not pass is not tried again");
  for (const told of [{}, { code: "batch_failed" }, { code: "upstream_spared", retryAfterMs: 240_000 }]) {
    let met = FRESH;
    for (let count = 0; count < 3; count += 1) ({ met } = next({ claimed: 0, remaining: 5, ...told }, met));
    assert.equal(waits(told, met), "ends", `${told.code ?? "idle"}: not for ever`);
  }
});

test("session tells one session and its history, found by its e-mail", async () => {
  const attempt = { sessionId: ID, runId: OTHER, trigger: "cron", upstreamStatus: 200, durationMs: 640, tries: 1 };
  const attempts = [
    { ...attempt, finishedAt: "2026-03-01T11:50:00Z", outcome: "refreshed", ageSeconds: 1210 },
    { ...attempt, finishedAt: "2026-02-28T11:30:00Z", outcome: "timed_out", upstreamStatus: null, ageSeconds: null },
  ];
  worker.answers = {
    "GET sessions?query=ana%40example.com": {
      json: { sessions: [session(), session({ id: OTHER, email: "diana@example.com" })], more: false, serverTime: NOW },
    },
    [`GET sessions/${ID}`]: {
      json: {
        session: session({ lastError: "timed_out", consecutiveFailures: 2, failingSince: "2026-03-01T11:00:00Z" }),
        attempts,
        events: [{ at: "2026-02-28T11:30:00Z", event: "recovered", deliveredAt: null }],
        actions: [{ at: "2026-03-01T11:00:00Z", keyId: "a1b2c3", action: "enable", sessionId: ID, result: "done" }],
        serverTime: NOW,
      },
    },
  };
  const { code, stdout } = await asked("session", "ana@example.com");
  assert.equal(code, 0);
  assert.match(stdout, /Refreshed +11:50:00, 10 min ago; 1,234 times so far/);
  assert.match(stdout, /Next +12:10:00, in 10 min/);
  assert.match(stdout, /Trouble +timed out: 2 failures in a row, since 11:00:00, 60 min ago/);
  assert.match(stdout, /11:50:00, 10 min ago +cron +refreshed +200 +640 ms +1 +20 min/);
  assert.match(stdout, /2026-02-28 11:30 +cron +timed out +– /);
  assert.match(stdout, /recovered +no/);
  assert.match(stdout, /enable +done +a1b2c3/);
  assert.deepEqual(overlong(stdout), []);
});

test("an e-mail that means several sessions lists them, and nothing is done", async () => {
  const sessions = [session(), session({ id: OTHER, enabled: false })];
  worker.answers = { "GET sessions?query=ana%40example.com": { json: { sessions, more: false, serverTime: NOW } } };
  for (const command of ["session", "enable", "disable"]) {
    const { code, stdout, stderr } = await asked(command, "ana@example.com");
    assert.equal(code, 2, command);
    assert.match(stdout, new RegExp(`${ID} +ana@example.com +active[^]+${OTHER} +ana@example.com +disabled`));
    assert.match(stderr, /choose an id/);
  }
  const { stdout } = await asked("disable", "ana@example.com", "--json");
  const told = JSON.parse(stdout);
  assert.deepEqual([told.success, told.code, told.sessions.length], [false, "ambiguous", 2]);
  assert.ok(worker.asked.every(({ name }) => name.startsWith("GET ")));
});

test("part of an e-mail shows a session, but never changes one", async () => {
  worker.answers = {
    "GET sessions?query=ana": { json: { sessions: [session()], more: false, serverTime: NOW } },
    [`GET sessions/${ID}`]: {
      json: { session: session(), attempts: [], events: [], actions: [], serverTime: NOW },
    },
  };
  assert.equal((await asked("session", "ana")).code, 0);
  const { code, stderr } = await asked("disable", "ana");
  assert.equal(code, 2);
  assert.match(stderr, /name the whole e-mail or an id/);
});

test("enable and disable take an id, or an e-mail in any case", async () => {
  const json = { id: ID, state: "active", nextRefreshDue: "2026-03-01T12:00:05Z", lastError: null, serverTime: NOW };
  worker.answers = {
    "GET sessions?query=Ana%40Example.com": { json: { sessions: [session()], more: false, serverTime: NOW } },
    [`POST sessions/${ID}/enable`]: { json: { ...json, autoRefreshEnabled: true } },
    [`POST sessions/${ID}/disable`]: { json: { ...json, autoRefreshEnabled: false, nextRefreshDue: null } },
  };
  const enabled = await asked("enable", "Ana@Example.com");
  assert.equal(enabled.code, 0);
  assert.match(enabled.stdout, /is enabled\.\nState +active\nNext +12:00:05, in 5 s/);
  const disabled = await asked("disable", ID);
  assert.match(disabled.stdout, /is disabled\.\nState +disabled\nNext +no refresh is planned/);
  assert.equal(askedOf(`POST sessions/${ID}/disable`).length, 1);
});

test("a session that isn't there is 1, and says so", async () => {
  worker.answers = {
    "GET sessions?query=nobody": { json: { sessions: [], more: false, serverTime: NOW } },
    [`GET sessions/${ID}`]: failure(404, "session_not_found", "there is no such session"),
  };
  const byEmail = await asked("session", "nobody");
  assert.deepEqual([byEmail.code, byEmail.stderr], [1, 'There is no session of "nobody".\n']);
  const byId = await asked("session", ID);
  assert.equal(byId.code, 1);
  assert.match(byId.stderr, /^There is no such session\. \(request 5d0c8f0e-/);
});

const oneRun = (id, changed = {}) => ({
  id,
  trigger: "cron",
  startedAt: "2026-03-01T11:59:00Z",
  finishedAt: "2026-03-01T11:59:02Z",
  claimed: 3,
  refreshed: 3,
  expired: 0,
  failed: 0,
  outcomes: { refreshed: 3 },
  remaining: 0,
  durationMs: 2000,
  error: null,
  ...changed,
});

test("tail shows each run once, when it ends, outlives an outage, and leaves quietly at Ctrl-C", async () => {
  const under = { finishedAt: null, remaining: null, durationMs: null, startedAt: "2026-03-01T11:59:50Z" };
  const runs = (...list) => ({ json: { runs: list, serverTime: NOW } });
  worker.answers = {
    "GET runs?limit=20": inTurn(
      runs(oneRun("b", under), oneRun("a")),
      failure(503, "database_unavailable", "the database can't be reached"),
      runs(oneRun("b", { refreshed: 77 }), oneRun("a")),
    ),
  };
  const program = start(["tail", "--json", "--url", worker.url]);
  await until(() => program.stdout.split("\n").length > 2, { seconds: 20, problem: "the second run was not shown" });
  program.child.kill("SIGINT");
  const { code, stdout, stderr } = await program.ended;
  const told = stdout.trimEnd().split("\n").map(JSON.parse);
  assert.deepEqual([code, told.map(({ id }) => id), told[1].refreshed], [0, ["a", "b"], 77]);
  assert.match(stderr, /^The database can't be reached\. Trying again every 5 s\.\n$/);
});

test("tail tells of a run that never ended, and begins with as many as are wanted", async () => {
  const lost = oneRun("c", { finishedAt: null, startedAt: "2026-03-01T11:40:00Z", remaining: null, durationMs: null });
  const runs = [oneRun("b", { failed: 2, error: "database_timed_out" }), oneRun("a", { refreshed: 55 }), lost];
  worker.answers = { "GET runs?limit=20": { json: { runs: [runs[0], lost, runs[1]], serverTime: NOW } } };
  const program = start(["tail", "--last", "2", "--url", worker.url]);
  await until(() => program.stdout.split("\n").length > 2, { seconds: 10, problem: "runs were not shown" });
  program.child.kill("SIGINT");
  const { stdout } = await program.ended;
  assert.match(stdout, /11:40:00 {2}cron +never ended/);
  assert.match(stdout, /11:59:00 {2}cron +3 refreshed, 0 expired, 2 failed, 0 due, 2\.0 s; database timed out/);
  assert.doesNotMatch(stdout, /55 refreshed/);
});

test("nothing that answers is told as such, in words and in JSON", async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const { code, stdout, stderr } = await ops(["status", "--json", "--url", url]);
  assert.deepEqual([code, stderr], [2, `Nothing answers at ${url}. Is it running?\n`]);
  const { success, code: why } = JSON.parse(stdout);
  assert.deepEqual([success, why], [false, "unreachable"]);
});

test("without an address it is the local stack's, by its port", async () => {
  const port = await freePort();
  assert.match(
    (await ops(["due"], { WORKER_PORT: String(port) })).stderr,
    new RegExp(`at http://127.0.0.1:${port}\\.`),
  );
  worker.answers = { "GET health": READY, [OVERVIEW]: { json: overview() } };
  assert.equal((await ops(["status"], { KEEPALIVE_URL: worker.url })).code, 0);
  assert.equal(worker.asked[0].key, "local-development-internal-key");
  assert.equal((await ops(["status"], { KEEPALIVE_URL: worker.url, INTERNAL_API_KEY: "a-key-of-mine-0123" })).code, 0);
  assert.equal(worker.asked.at(-1).key, "a-key-of-mine-0123");
});

test("the key is read from .dev.vars, and the environment's goes before it", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "keepalive-ops-"));
  const DEV_VARS_FILE = path.join(folder, ".dev.vars");
  writeFileSync(DEV_VARS_FILE, "INTERNAL_API_KEY=a-key-from-the-file\n");
  worker.answers = { "GET health": READY, [OVERVIEW]: { json: overview() } };
  await ops(["status", "--url", worker.url], { DEV_VARS_FILE });
  assert.equal(worker.asked.at(-1).key, "a-key-from-the-file");
  await ops(["status", "--url", worker.url], { DEV_VARS_FILE, INTERNAL_API_KEY: "a-key-of-mine-0123" });
  assert.equal(worker.asked.at(-1).key, "a-key-of-mine-0123");
  rmSync(folder, { recursive: true });
});

test("a wrong key, a page in place of JSON, a redirect and silence each have their sentence", async () => {
  const name = "POST refresh-sessions";
  const cases = [
    [failure(401, "unauthorized", "no"), /^The key is not taken: .*\(request 5d0c8f0e-.*\)\n$/],
    [{ text: "<html>hello</html>" }, /something that is not its JSON \(status 200\)\. Is it the Worker's address\?/],
    [{ status: 503, text: "<html>down</html>" }, /not its JSON \(status 503\)/],
    [{ status: 200, text: '{"ok":true}' }, /not its JSON/],
    [{ status: 302, headers: { location: "/login" }, text: "" }, /answers with a redirect \(status 302\)/],
    [() => new Promise(() => {}), /did not answer within 1 s\./, "--timeout", "1"],
  ];
  for (const [answer, sentence, ...more] of cases) {
    worker.answers = { [name]: answer };
    const { code, stdout, stderr } = await asked("due", ...more);
    assert.deepEqual([code, stdout], [2, ""], String(sentence));
    assert.match(stderr, sentence);
  }
  worker.answers = { "GET health": cases[2][0], [OVERVIEW]: cases[2][0] };
  assert.equal((await asked("status")).code, 2, "a proxy's page does not tell that the Worker is not ready");
});

test("a failure of the Worker's is 1, in its words, with the time to wait", async () => {
  const answer = failure(503, "database_unavailable", "the database can't be reached");
  worker.answers = { "POST refresh-sessions": { ...answer, headers: { "retry-after": "5" } } };
  const { code, stderr } = await asked("due");
  assert.equal(code, 1);
  assert.match(stderr, /^The database can't be reached\. Try again in 5 s\. \(request 5d0c8f0e-/);
});

test("the key never travels in the open, nor in an address, and none is made up for a Worker elsewhere", async () => {
  const key = { INTERNAL_API_KEY: "a-key-of-mine-0123" };
  const refused = {
    "http://keepalive.example.com": /would travel in the open to keepalive\.example\.com: use https/,
    "http://127.0.0.1.example.com": /use https/,
    "https://me:secret@keepalive.example.com": /a host alone/,
    "https://keepalive.example.com/api": /a host alone/,
    "keepalive.example.com": /must be like https:/,
    "ftp://keepalive.example.com": /must be like https:/,
  };
  for (const [url, sentence] of Object.entries(refused)) {
    const { code, stderr } = await ops(["status", "--url", url], key);
    assert.equal(code, 2, url);
    assert.match(stderr, sentence);
    assert.doesNotMatch(stderr, /secret|a-key-of-mine/);
  }
  const keyless = await ops(["status", "--url", "https://keepalive.example.com"]);
  assert.deepEqual([keyless.code, keyless.stderr.startsWith("There is no key: set INTERNAL_API_KEY")], [2, true]);
  const odd = await ops(["status", "--url", worker.url], { INTERNAL_API_KEY: "a key\nwith a line" });
  assert.equal(odd.code, 2);
  assert.doesNotMatch(odd.stderr, /with a line/);
});

test("a mistake in the command line is one sentence, and 2", async () => {
  const mistakes = {
    stauts: /There is no command "stauts": there are status, due/,
    "--jsn status": /There is no option --jsn/,
    "status --once": /"status" has no option --once/,
    "status now": /"status" can't make use of "now"/,
    session: /"session" wants <id or e-mail>/,
    "tail --last many": /--last wants a whole number from 0 to 20/,
    "due --timeout 0": /--timeout wants a whole number from 1/,
    "due --url": /--url/,
    constructor: /There is no command "constructor"/,
    "--json": /What is to be done is missing/,
  };
  for (const [line, sentence] of Object.entries(mistakes)) {
    const { code, stderr } = await ops(line.split(" "));
    assert.equal(code, 2, line);
    assert.match(stderr, sentence);
    assert.equal(stderr.trimEnd().split("\n").length, 1, line);
  }
});

test("help is there for all and for each, and fits 80 columns", async () => {
  for (const args of [[], ["--help"], ["status", "-h"], ["run", "--help"], ["session", "--help"], ["tail", "--help"]]) {
    const { code, stdout, stderr } = await ops(args);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^Usage: npm run ops -- /);
    assert.deepEqual(overlong(stdout), []);
  }
});

test("columns align whatever is in them, and the wide one gives way", () => {
  const names = ["ana@example.com", "日本語@example.jp", "e\u0301lodie@example.com", `${"x".repeat(90)}@example.com`];
  const columns = [
    { title: "e-mail", of: ({ name }) => name, shrinks: true },
    { title: "state", of: () => "active" },
  ];
  const lines = table(
    columns,
    names.map((name) => ({ name })),
    { most: 40 },
  );
  assert.ok(lines.every((line) => width(line) <= 40));
  const starts = lines.slice(1).map((line) => width(line.slice(0, line.indexOf("active"))));
  assert.deepEqual(new Set(starts).size, 1, lines.join("\n"));
});

test("what others wrote does not steer the terminal", () => {
  assert.equal(harmless("a\u001b[2Jb\u0007\nc\u202e"), "a�[2Jb��c�");
});

test("times are told by the server's clock, and shares are not rounded up", () => {
  assert.equal(moment("2026-03-01T12:00:00.400Z", NOW).endsWith(", now"), true);
  assert.equal(moment(null, NOW), "never");
  assert.match(brief("2026-02-20T12:00:00Z", NOW), /^2026-02-20 \d\d:\d\d$/);
  assert.deepEqual([span(119), span(120), span(7300), span(200_000)], ["119 s", "2 min", "2 h 1 min", "2 d 7 h"]);
  assert.deepEqual([percent(99_999, 100_000), percent(1, 1), percent(0, 0)], ["99.99 %", "100 %", "100 %"]);
});

/** Lines that an ordinary terminal breaks. */
const overlong = (text) => text.split("\n").filter((line) => width(line) > 80);
