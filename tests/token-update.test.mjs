// Sessions refreshed by tokenUpdate, by the deployment's setting or by their own row: what is asked, every way in which
// it can be answered, and what becomes of the session.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { CODES, ENDS, FAULTS, LOSSES, lost, signInAll } from "./support/answers.mjs";
import { as, startWorld } from "./support/world.mjs";

let world;
// Time enough for three tries, even where the machine is busy.
const settings = { REFRESH_METHOD: "tokenUpdate", REFRESH_TIMEOUT_SECONDS: "6" };
before(async () => {
  world = await startWorld({ settings, site: { keepAlive: false } });
  await world.neverSpareUpstream();
});
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

// [answer, its options, outcome, what else is expected]
const REFRESHED = [
  ["refreshed", {}],
  ["gzip", {}],
  ["content_type", { type: "application/json" }],
  ["content_type", { type: undefined }],
  ["wrong_charset", { charset: "utf-16" }],
  ["blanks_around", {}],
  ["duplicate_keys", {}],
  ["both_fields", {}],
  ["large", { at: "start" }],
  ["truncated_after_token", {}],
  ["drip", { pieceBytes: 5, pauseMs: 5 }],
  ["server_error", { times: 1 }],
  ["bad_gateway", { times: 2 }],
  ["reset_before_headers", { times: 1 }],
].map(([name, options]) => [name, options, "refreshed"]);

const FAILED = [
  ...FAULTS,
  ["logout_no", {}, "unrecognised"],
  ["empty_object", {}, "unrecognised"],
  ["empty_array", {}, "unrecognised"],
  ["empty_body", {}, "unrecognised"],
  ...LOSSES,
  ["large", { at: "end" }, "unrecognised", lost],
  ["drip", { pieceBytes: 1, pauseMs: 400 }, "timed_out", lost],
];

const EXPIRED = ["logout_number", "logout_true", "logout_text", "logout_fraction", ...ENDS].map((name) => [
  name,
  {},
  "expired",
]);

const CASES = [...REFRESHED, ...FAILED, ...EXPIRED];
const WIDE = { timeout: 60_000 };

const secondsAhead = (date) => (date - Date.now()) / 1000;

async function checkRow(session) {
  const { outcome, expected, first, label } = session;
  const { waits = 5, tries } = expected;
  const row = await world.row(session);
  const [attempt] = await world.attempts(session);
  assert.equal(attempt.outcome, outcome, label);
  if (tries) assert.equal(attempt.tries, tries, label);
  assert.equal(row.lease_holder, null, label);
  assert.equal(row.refresh_state, outcome === "expired" ? "expired" : "active", label);
  if (outcome === "refreshed") {
    assert.deepEqual([row.last_refresh_error, row.refresh_count, row.consecutive_failures], [null, 1, 0], label);
    assert.ok(Math.abs(secondsAhead(row.last_refresh_date)) < 60, label);
    assert.ok(secondsAhead(row.next_refresh_at) > 15 * 60, label);
  } else {
    assert.deepEqual([row.last_refresh_error, row.refresh_count, row.last_refresh_date], [outcome, 0, null], label);
    assert.equal(row.aimharder_token, first, label);
  }
  if (outcome === "expired") {
    assert.equal(row.next_refresh_at, null, label);
  } else if (outcome !== "refreshed") {
    const seconds = (row.next_refresh_at - row.last_attempt_at) / 1000;
    assert.ok(seconds >= waits - 2 && seconds <= Math.max(waits, 300) + 31, `${label}: next in ${seconds} s`);
  }
}

async function check(session) {
  await checkRow(session);
  assert.equal(await world.isInStep(session), session.expected.inStep ?? true, session.label);
  assert.equal((await world.row(session)).fingerprint, session.fingerprint, session.label);
  assert.ok(
    session.calls.every(({ method, path }) => `${method} ${path}` === "POST /api/tokenUpdate"),
    session.label,
  );
}

test("by cron: each answer is told from the others, and nothing that it handed out is lost", WIDE, async () => {
  const sessions = await signInAll(world, CASES);
  await world.worker.tick();
  for (const session of sessions) await check(session);
  const { summary } = (await world.logged("run"))[0];
  assert.deepEqual(
    [summary.claimed, summary.refreshed, summary.failed, summary.expired],
    [CASES.length, REFRESHED.length, FAILED.length, EXPIRED.length],
  );
  const logs = JSON.stringify(world.logs);
  for (const session of sessions) {
    const secrets = [session.first, session.token, encodeURIComponent(session.first), session.fingerprint];
    for (const secret of secrets) assert.ok(!logs.includes(secret), session.label);
  }
});

const TOLD = { ...CODES, refreshed: [200, undefined], expired: [409, "session_expired"] };

const refresh = (email, worker = world.worker) =>
  worker.call("/api/auth/refresh", { method: "POST", headers: as(email) });

test("by the user: each answer has a status and a code that tell the truth", WIDE, async () => {
  const sessions = await signInAll(world, CASES);
  const answers = await Promise.all(sessions.map(({ email }) => refresh(email)));
  for (const [index, session] of sessions.entries()) {
    const { status, body, headers } = answers[index];
    assert.deepEqual([status, body.code], TOLD[session.outcome], session.label);
    assert.equal(body.success, status === 200, session.label);
    if (status >= 500) assert.ok(Number(headers.get("retry-after")) >= 1, session.label);
    await check(session);
  }
});

test("what is asked is what aimharder's own page asks", async () => {
  const session = await world.signIn({ due: true });
  const { token, fingerprint } = session;
  const bare = await world.signIn({ email: "bruno@example.com", due: true, row: { fingerprint: null } });
  await world.worker.tick();
  const [call] = session.calls;
  assert.equal(call.form, `token=${token.replaceAll("|", "%7C")}&ciclo=1&fingerprint=${fingerprint}`);
  assert.equal(call.headers["content-type"], "application/x-www-form-urlencoded");
  assert.match(call.headers["user-agent"], /^Mozilla\/5\.0 /);
  assert.deepEqual(
    call.headers.cookie.split("; ").map((pair) => pair.split("=")[0]),
    ["AWSALB", "AWSALBCORS", "PHPSESSID", "amhrdrauth"],
  );
  assert.equal(bare.calls[0].fields.fingerprint, "fallbackfingerprint");
  assert.equal((await world.row(bare)).fingerprint, null, "tokenUpdate hands out no fingerprint");
});

test("nothing stored can add a parameter to the form, or to the address", async () => {
  const hostile = ["x&ciclo=2", "x%26ciclo=2&token=1", "a=b;c+d", "?ciclo=2#x", "/../../logout?", "@evil.example:80/"];
  for (const [index, fingerprint] of hostile.entries()) {
    const session = await world.signIn({ email: `user${index}@example.com`, due: true, fingerprint });
    const { token } = session;
    await world.worker.tick();
    assert.deepEqual(session.calls[0].fields, { token, ciclo: "1", fingerprint }, fingerprint);
    assert.equal(await world.isInStep(session), true, fingerprint);
  }
});

test("a row's own method goes before the deployment's, for cron and user alike", async () => {
  const other = await world.startWorker({ ...settings, REFRESH_METHOD: "SetRefresh" });
  const paths = { null: undefined, tokenUpdate: "/api/tokenUpdate", setrefresh: "/setrefresh" };
  for (const [worker, byDefault] of [
    [world.worker, "/api/tokenUpdate"],
    [other, "/setrefresh"],
  ]) {
    await world.reset();
    const sessions = [];
    for (const [name, path = byDefault] of Object.entries(paths)) {
      const email = `${name}@example.com`;
      const row = { refresh_method: name === "null" ? null : name };
      sessions.push(Object.assign(await world.signIn({ email, due: true, row }), { email, path }));
    }
    await worker.tick();
    for (const session of sessions) {
      assert.deepEqual([session.calls.length, session.calls[0].path], [1, session.path], session.email);
      await world.set(session, { last_refresh_date: new Date(0), last_attempt_at: new Date(0) });
      assert.equal((await refresh(session.email, worker)).status, 200, session.email);
      assert.deepEqual([session.calls.length, session.calls[1].path], [2, session.path], session.email);
      assert.equal(await world.isInStep(session), true, session.email);
    }
  }
});

test("a session may change its method between two refreshes", async () => {
  const session = await world.signIn({ due: true });
  for (const refresh_method of ["setrefresh", "tokenUpdate", "setrefresh", null]) {
    await world.set(session, { refresh_method, next_refresh_at: new Date(0) });
    await world.worker.tick();
    assert.equal(await world.isInStep(session), true);
  }
  assert.deepEqual(
    session.calls.map(({ path }) => path),
    ["/setrefresh", "/api/tokenUpdate", "/setrefresh", "/api/tokenUpdate"],
  );
});

test("cookies are merged as ever", async () => {
  const session = await world.signIn({ due: true });
  session.fail("set_cookie_delete", { times: 1 });
  await world.worker.tick();
  const names = async () => (await world.row(session)).aimharder_cookies.map(({ name }) => name).sort();
  assert.deepEqual(await names(), ["PHPSESSID", "amhrdrauth"]);
  await world.set(session, { next_refresh_at: new Date(0) });
  await world.worker.tick();
  assert.deepEqual(await names(), ["AWSALB", "AWSALBCORS", "PHPSESSID", "amhrdrauth"]);
  assert.equal(await world.isInStep(session), true);
});

test("a lost answer that left the old token valid is made up for", async () => {
  const session = await world.signIn({ due: true, rotation: "grace" });
  session.fail("truncated", { times: 1 });
  await world.worker.tick();
  assert.equal(await world.isInStep(session), true);
  assert.equal((await world.row(session)).refresh_count, 1);
});

test("cron and users at once make one call", async () => {
  const session = await world.signIn({ due: true, latencyMs: 300 });
  const [, ...answers] = await Promise.all([
    world.worker.tick(),
    ...Array(4)
      .fill("ana@example.com")
      .map((email) => refresh(email)),
  ]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  assert.equal(session.calls.length, 1);
  assert.equal(await world.isInStep(session), true);
});

test("a method that there isn't is a mistake in the settings", async () => {
  const worker = await world.startWorker({ REFRESH_METHOD: "both" });
  const { status, body } = await refresh("ana@example.com", worker);
  assert.deepEqual([status, body.code], [503, "misconfigured"]);
  assert.match(body.error, /REFRESH_METHOD must be setrefresh or tokenUpdate/);
});
