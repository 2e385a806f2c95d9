// Every way in which upstream can answer, through the cron and through the user's route: what becomes of the session.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { CODES, ENDS, FAULTS, LOSSES, lost, signInAll } from "./support/answers.mjs";
import { as, startWorld } from "./support/world.mjs";

let world;
// Time enough for three tries, even where the machine is busy.
const settings = { REFRESH_TIMEOUT_SECONDS: "6" };
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
  ["no_fingerprint", {}],
  ["large", { at: "end" }],
  ["large", { at: "start" }],
  ["gzip", {}],
  ["wrong_charset", { charset: "utf-16" }],
  ["wrong_charset", { charset: "iso-8859-1" }],
  ["truncated_after_token", {}],
  ["drip", { pieceBytes: 100, pauseMs: 5 }],
  ["server_error", { times: 1 }],
  ["bad_gateway", { times: 2 }],
  ["reset_before_headers", { times: 1 }],
];

const FAILED = [
  ...FAULTS,
  ["bad_gateway", {}, "upstream_fault", { tries: 3 }],
  ["unavailable", {}, "upstream_fault", { tries: 3 }],
  ...LOSSES,
  ["drip", { pieceBytes: 20, pauseMs: 400 }, "timed_out", lost],
];

const EXPIRED = ENDS.map((name) => [name, {}]);

const WIDE = { timeout: 60_000 };

const minutesAhead = (date) => (date - Date.now()) / 60_000;

async function checkRefreshed(session) {
  const row = await world.row(session);
  assert.equal(row.last_refresh_error, null, session.label);
  assert.equal(row.refresh_state, "active", session.label);
  assert.equal(row.refresh_count, 1, session.label);
  assert.equal(row.consecutive_failures, 0, session.label);
  assert.ok(Math.abs(minutesAhead(row.last_refresh_date)) < 1, session.label);
  assert.ok(minutesAhead(row.next_refresh_at) > 15 && minutesAhead(row.next_refresh_at) < 20, session.label);
  assert.equal(row.lease_holder, null, session.label);
  assert.equal(await world.isInStep(session), true, session.label);
}

async function checkFailed(session, outcome, { waits = 5, tries, inStep = true } = {}, before) {
  const row = await world.row(session);
  assert.equal(row.last_refresh_error, outcome, session.label);
  assert.equal(row.refresh_state, "active", session.label);
  assert.equal(row.last_refresh_date, null, `hazard 2: a failure is no refresh: ${session.label}`);
  assert.equal(row.refresh_count, 0, session.label);
  assert.equal(row.consecutive_failures, 1, session.label);
  const seconds = (row.next_refresh_at - row.last_attempt_at) / 1000;
  assert.ok(seconds >= waits - 2 && seconds <= Math.max(waits, 300) + 31, `${session.label}: next in ${seconds} s`);
  assert.equal(row.aimharder_token, before, session.label);
  assert.equal(await world.isInStep(session), inStep, session.label);
  const [attempt] = await world.attempts(session);
  assert.equal(attempt.outcome, outcome, session.label);
  if (tries) assert.equal(attempt.tries, tries, session.label);
}

const RUNS = { "by cron": () => world.worker.tick(), "by the internal route": () => world.worker.batch() };

for (const [how, run] of Object.entries(RUNS)) {
  test(`${how}: sessions that are refreshed, whatever the page looks like`, WIDE, async () => {
    const sessions = await signInAll(world, REFRESHED);
    await run();
    for (const session of sessions) await checkRefreshed(session);
    assert.equal((await world.logged("run"))[0].summary.refreshed, sessions.length);
  });

  test(`${how}: failures are told apart, stamped as failures, and tried again (hazard 2)`, WIDE, async () => {
    const sessions = await signInAll(world, FAILED);
    const tokens = sessions.map((session) => session.token);
    await run();
    for (const [index, session] of sessions.entries()) {
      const [, , outcome, expected] = FAILED[index];
      await checkFailed(session, outcome, expected, tokens[index]);
    }
    const { summary } = (await world.logged("run"))[0];
    assert.equal(summary.claimed, sessions.length);
    assert.equal(summary.failed, sessions.length);
    assert.equal(summary.expired, 0);
    assert.equal(
      Object.values(summary.outcomes).reduce((sum, count) => sum + count),
      sessions.length,
    );
  });

  test(`${how}: an expired session is said to be so, and left alone until a sign-in (hazard 10)`, WIDE, async () => {
    const sessions = await signInAll(world, EXPIRED);
    await run();
    for (const session of sessions) {
      const row = await world.row(session);
      assert.equal(row.refresh_state, "expired", session.label);
      assert.equal(row.last_refresh_error, "expired", session.label);
      assert.equal(row.last_refresh_date, null, session.label);
      assert.equal(session.calls.length, 1, session.label);
    }
    assert.equal((await world.logged("run"))[0].summary.expired, sessions.length);
    await world.sql.query("update auth_sessions set next_refresh_at = now() - interval '1 hour'");
    await run();
    assert.equal(world.site.requests.length, sessions.length, "no further call for any of them");
    const { rows } = await world.sql.query("select count(*)::int as count from auth_sessions");
    assert.equal(rows[0].count, sessions.length, "hazard 6: no row is deleted");
  });
}

test("a session that died by itself is found expired, whatever the cause", async () => {
  const session = await world.signIn({ due: true, lifetimeMs: 1 });
  await world.worker.tick();
  assert.equal((await world.row(session)).refresh_state, "expired");
});

test("a short Retry-After is waited for within the bound", async () => {
  const worker = await world.startWorker({ REFRESH_TIMEOUT_SECONDS: "20" });
  const session = await world.signIn({ due: true });
  session.fail("unavailable", { times: 1, retryAfter: 1 });
  await worker.tick();
  assert.equal((await world.row(session)).refresh_count, 1);
  assert.ok(session.calls[1].at - session.calls[0].at >= 990);
});

test("a lost answer that left the old token valid is made up for", async () => {
  const session = await world.signIn({ due: true, rotation: "grace" });
  session.fail("commit_then_reset", { times: 1 });
  await world.worker.tick();
  assert.equal(await world.isInStep(session), true);
  assert.equal((await world.row(session)).refresh_count, 1);
});

const refresh = (session) => world.worker.call("/api/auth/refresh", { method: "POST", headers: as(session.email) });

test("by the user: sessions that are refreshed", WIDE, async () => {
  const sessions = await signInAll(world, REFRESHED);
  for (const session of sessions) {
    const { status, body } = await refresh(session);
    assert.equal(status, 200, session.label);
    assert.equal(body.success, true);
    assert.equal(body.refreshed, true);
    assert.equal(body.reused, false);
    assert.equal(body.refreshCount, 1);
    assert.equal(body.state, "active");
    assert.ok(Math.abs(Date.parse(body.serverTime) - Date.now()) < 5000);
    assert.ok(Date.parse(body.lastRefreshDate) <= Date.parse(body.serverTime));
    await checkRefreshed(session);
  }
});

test("by the user: failures have a status and a code that tell the truth (hazard 11)", WIDE, async () => {
  const sessions = await signInAll(world, FAILED);
  const tokens = sessions.map((session) => session.token);
  const answers = await Promise.all(sessions.map(refresh));
  for (const [index, session] of sessions.entries()) {
    const [, , outcome, expected = {}] = FAILED[index];
    const { status, body, headers } = answers[index];
    assert.deepEqual([status, body.code], CODES[outcome], session.label);
    assert.equal(body.success, false);
    assert.ok(body.error.endsWith(".") && body.requestId, session.label);
    const wait = Number(headers.get("retry-after"));
    assert.ok(wait >= Math.min(expected.waits ?? 1, 590), `${session.label}: Retry-After ${wait}`);
    await checkFailed(session, outcome, expected, tokens[index]);
  }
});

test("by the user: an expired session asks for a sign-in, now and on each further try", async () => {
  const sessions = await signInAll(world, EXPIRED);
  for (const session of sessions) {
    for (const calls of [1, 1]) {
      const { status, body } = await refresh(session);
      assert.deepEqual([status, body.code], [409, "session_expired"], session.label);
      assert.equal(session.calls.length, calls, "upstream is asked once");
    }
  }
});

test("cookies never travel to another host", async () => {
  const asked = [];
  const other = createServer((request, response) => {
    asked.push(request.url);
    response.end();
  });
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  try {
    const session = await world.signIn({ due: true });
    session.fail("redirect_other_host", { to: `http://localhost:${other.address().port}/login` });
    await world.worker.tick();
    assert.deepEqual(asked, []);
    assert.equal((await world.row(session)).refresh_state, "active", "a stranger's login page proves nothing");
  } finally {
    other.close();
  }
});

test("hazard 3: cookies are merged by name, and only known ones are kept", async () => {
  const session = await world.signIn({ due: true });
  const before = Object.fromEntries(session.cookies.map(({ name, value }) => [name, value]));
  session.fail("set_cookie_delete", { times: 1 });
  await world.worker.tick();
  const stored = (await world.row(session)).aimharder_cookies;
  assert.deepEqual(stored.map(({ name }) => name).sort(), ["PHPSESSID", "amhrdrauth"]);
  for (const { name, value } of stored) assert.equal(value, before[name]);
  await world.set(session, { next_refresh_at: new Date(0) });
  await world.worker.tick();
  const names = (await world.row(session)).aimharder_cookies.map(({ name }) => name);
  assert.deepEqual(names.sort(), ["AWSALB", "AWSALBCORS", "PHPSESSID", "amhrdrauth"]);
  assert.equal(await world.isInStep(session), true);
});

test("cookies of a failed answer change only the load balancer's", async () => {
  const session = await world.signIn({ due: true });
  const auth = (cookies) => cookies.filter(({ name }) => !name.startsWith("AWSALB"));
  const before = auth(structuredClone(session.cookies));
  session.fail("logged_out_cookies");
  await world.worker.tick();
  const stored = (await world.row(session)).aimharder_cookies;
  assert.deepEqual(auth(stored), before);
  assert.equal(stored.find(({ name }) => name === "AWSALB").value, session.cookie("AWSALB"));
});

test("a cookie that can't be sent stays where it is, and the session lives on without it", async () => {
  const session = await world.signIn({ due: true });
  const consent = { name: "consent", value: "sí" };
  await world.set(session, { aimharder_cookies: JSON.stringify([consent, ...session.cookies]) });
  await world.set(session, { next_refresh_at: new Date(0) });
  await world.worker.tick();
  assert.doesNotMatch(session.calls[0].headers.cookie, /consent/);
  assert.deepEqual((await world.row(session)).aimharder_cookies.at(-1), consent);
  assert.equal(await world.isInStep(session), true);
});

test("what is asked of upstream is what a browser would ask", async () => {
  const session = await world.signIn({ due: true });
  const [token, fingerprint] = [session.token, session.fingerprint];
  const bare = await world.signIn({ email: "bruno@example.com", due: true, row: { fingerprint: null } });
  await world.worker.tick();
  const [call] = session.calls;
  assert.equal(call.query.token, token);
  assert.equal(call.query.fingerprint, fingerprint);
  assert.match(call.headers["user-agent"], /^Mozilla\/5\.0 /);
  assert.deepEqual(
    call.headers.cookie.split("; ").map((pair) => pair.split("=")[0]),
    ["AWSALB", "AWSALBCORS", "PHPSESSID", "amhrdrauth"],
  );
  assert.equal(bare.calls[0].query.fingerprint, "fallbackfingerprint");
});

test("a row that can't be presented is said to be so, without a call", async () => {
  const rows = {
    "no token": { aimharder_token: "undefined" },
    "a token with a line break": { aimharder_token: "70000|1766731601|03485f300f1a53a7e34143a0af9d2592\r\nX: y" },
    "cookies that are an object": { aimharder_cookies: "{}" },
    "only a cookie with a line break": { aimharder_cookies: '[{"name":"PHPSESSID","value":"a\\r\\nX-Y: z"}]' },
    "no cookies": { aimharder_cookies: "[]" },
  };
  for (const [name, row] of Object.entries(rows)) {
    await world.reset();
    const session = await world.signIn({ due: true, row });
    await world.worker.tick();
    const after = await world.row(session);
    assert.equal(after.last_refresh_error, "unusable", name);
    assert.equal(after.refresh_state, "active", name);
    assert.equal(world.site.requests.length, 0, name);
    await world.set(session, { last_attempt_at: new Date(Date.now() - 60_000) });
    const { status, body } = await refresh({ email: "ana@example.com" });
    assert.deepEqual([status, body.code], [409, "session_unusable"], name);
  }
});
