// The Worker's HTTP face: who gets in, what is told, and what is refused.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { request as httpRequest } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { signToken } from "../local/stack.mjs";
import { as, claims, INTERNAL_KEY, startWorld } from "./support/world.mjs";

const APP = "https://app.example.com";
let world;
before(async () => (world = await startWorld({ settings: { ALLOWED_ORIGINS: `${APP}, http://localhost:3000` } })));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const ANA = "ana@example.com";
const post = (route, options) => world.worker.call(route, { method: "POST", ...options });
const refresh = (options) => post("/api/auth/refresh", { headers: as(ANA), ...options });
const status = (query = "", email = ANA) => world.worker.call(`/api/auth/refresh${query}`, { headers: as(email) });
const check = (email = ANA) => world.worker.call("/api/auth/aimharder", { headers: as(email) });

test("a token that is not a signed-in user's is refused", async () => {
  const now = Math.floor(Date.now() / 1000);
  const [head, body, signature] = signToken(claims()).split(".");
  const unsigned = Buffer.from('{"alg":"none"}').toString("base64url");
  const refused = {
    "none at all": undefined,
    "another scheme": `Basic ${signToken(claims())}`,
    "no token": "Bearer ",
    garbage: "Bearer abc",
    "another secret": `Bearer ${signToken(claims(), "another-secret-of-at-least-32-characters")}`,
    "no signature": `Bearer ${head}.${body}.`,
    "algorithm none": `Bearer ${unsigned}.${body}.`,
    "algorithm none, with a signature": `Bearer ${unsigned}.${body}.${signature}`,
    "another algorithm's name": `Bearer ${signToken(claims(), undefined, { alg: "HS512", typ: "JWT" })}`,
    "claims of another token": `Bearer ${head}.${Buffer.from(JSON.stringify(claims({ email: "eve@example.com" }))).toString("base64url")}.${signature}`,
    expired: `Bearer ${signToken(claims({ exp: now - 60 }))}`,
    "without an end": `Bearer ${signToken(claims({ exp: undefined }))}`,
    "not valid yet": `Bearer ${signToken(claims({ nbf: now + 3600 }))}`,
    "another audience": `Bearer ${signToken(claims({ aud: "anon" }))}`,
    "no audience": `Bearer ${signToken(claims({ aud: undefined }))}`,
    "the service role's key": `Bearer ${world.supabase.serviceRoleKey}`,
    "an overlong token": `Bearer ${signToken(claims({ filler: "x".repeat(9000) }))}`,
  };
  await world.signIn();
  for (const [name, authorization] of Object.entries(refused)) {
    for (const [method, route] of [
      ["GET", "/api/auth/refresh"],
      ["POST", "/api/auth/refresh"],
      ["GET", "/api/auth/aimharder"],
    ]) {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await world.worker.call(route, { method, headers });
      assert.deepEqual(
        [answer.status, answer.body.success, answer.body.code],
        [401, false, "unauthorized"],
        `${name}: ${method} ${route}`,
      );
      assert.match(answer.headers.get("www-authenticate"), /^Bearer/, name);
    }
  }
  assert.equal(world.supabase.gateway.calls.length, 0, "it costs no database call");
  assert.equal(world.site.requests.length, 0);
});

test("a cookie signs in pages of the same origin, and nobody else's", async () => {
  const session = await world.signIn();
  const cookie = `x=1; keepalive_token=${as(ANA).authorization.slice(7)}`;
  const by = (headers, method = "GET", json) =>
    world.worker.call("/api/auth/refresh", { method, json, headers: { cookie, ...headers } });
  assert.equal((await by({ "sec-fetch-site": "same-origin" })).status, 200);
  for (const headers of [{}, { "sec-fetch-site": "cross-site" }, { origin: "https://evil.example.com" }]) {
    const answer = await by(headers);
    assert.deepEqual([answer.status, answer.body.code], [403, "cross_site"], JSON.stringify(headers));
  }
  const simple = await by({ "sec-fetch-site": "same-origin" }, "POST");
  assert.deepEqual([simple.status, simple.body.code], [403, "cross_site"], "a form could send that");
  assert.equal(session.calls.length, 0);
  assert.equal((await by({ "sec-fetch-site": "same-origin" }, "POST", {})).status, 200);
  const stale = await by({ cookie: "keepalive_token=abc", "sec-fetch-site": "same-origin" });
  assert.deepEqual([stale.status, stale.body.code], [401, "unauthorized"]);
});

test("a token without an e-mail address is told apart", async () => {
  for (const email of [undefined, "", null]) {
    const { status: code, body } = await world.worker.call("/api/auth/refresh", { headers: as(email) });
    assert.deepEqual([code, body.code], [403, "email_missing"], String(email));
  }
});

test("clocks may differ by a little, and an audience may be one of several", async () => {
  await world.signIn();
  const now = Math.floor(Date.now() / 1000);
  for (const changed of [{ exp: now - 10 }, { nbf: now + 10 }, { aud: ["other", "authenticated"] }]) {
    const headers = { authorization: `Bearer ${signToken(claims(changed))}` };
    assert.equal((await world.worker.call("/api/auth/refresh", { headers })).status, 200, JSON.stringify(changed));
  }
});

test("hazard 12: nothing but the verified identity reaches a session", async () => {
  const bruno = await world.signIn({ email: "bruno@example.com" });
  const own = { requestId: "", serverTime: "" };
  const missing = { ...(await status(`?sessionId=${randomUUID()}`)).body, ...own };
  assert.equal(missing.code, "session_not_found");
  const tries = [
    () => status(`?sessionId=${bruno.id}`),
    () => refresh({ json: { sessionId: bruno.id } }),
    () => refresh({ headers: { ...as(ANA), "x-user-email": "bruno@example.com" } }),
    () => status("", "BRUNO@example.com"),
    () => status("", "bruno@example.com "),
    () => status("", "bruno@example.%"),
    () => status("", "*"),
  ];
  for (const [index, attempt] of tries.entries()) {
    const answer = await attempt();
    assert.equal(answer.status, 404, `try ${index}`);
    assert.deepEqual({ ...answer.body, ...own }, missing, `try ${index}: told apart from none at all`);
  }
  assert.equal((await refresh({ json: { email: "bruno@example.com" } })).status, 400);
  assert.equal(bruno.calls.length, 0);
});

test("status and check tell how a session stands, and no secret", async () => {
  const session = await world.signIn();
  const fresh = (await status()).body;
  assert.deepEqual(
    [fresh.needsRefresh, fresh.canRefresh, fresh.isRefreshing, fresh.refreshCount, fresh.lastError],
    [false, true, false, 0, null],
  );
  assert.equal(fresh.lastRefreshDate, null);
  assert.equal(fresh.sessionId, session.id);
  assert.equal((await check()).body.recommendation, "none");

  await world.set(session, { next_refresh_at: new Date(Date.now() - 1000) });
  assert.equal((await status()).body.needsRefresh, true);
  assert.equal((await check()).body.recommendation, "refresh");

  session.fail("forbidden", { times: 1 });
  await refresh();
  const failed = (await status()).body;
  assert.deepEqual([failed.lastError, failed.lastRefreshDate, failed.canRefresh], ["refused", null, false]);

  await world.set(session, { last_attempt_at: new Date(Date.now() - 60_000) });
  await refresh();
  const checked = (await check()).body;
  assert.deepEqual(
    [checked.sessionValid, checked.state, checked.recommendation, checked.refreshCount],
    [true, "active", "none", 1],
  );
  assert.equal(Date.parse(checked.validUntil) - Date.parse(checked.lastRefreshDate), 7 * 24 * 60 * 60 * 1000);

  await world.set(session, { next_refresh_at: new Date(0), last_refresh_date: new Date(0), last_attempt_at: null });
  session.fail("expired_401");
  await refresh();
  const expired = await check();
  assert.deepEqual(
    [expired.body.sessionValid, expired.body.state, expired.body.recommendation],
    [false, "expired", "login"],
  );
  assert.ok(!JSON.stringify(expired.body).includes(session.token));
});

test("hazard 13: every time told has its zone, and a row's own zone changes nothing", async () => {
  const session = await world.signIn();
  await world.sql.query("update auth_sessions set last_refresh_date = '2026-11-24T10:00:00+05:30' where id = $1", [
    session.id,
  ]);
  const { body } = await check();
  assert.equal(body.lastRefreshDate, "2026-11-24T04:30:00.000Z");
  for (const name of ["lastRefreshDate", "nextRefreshDue", "serverTime", "validUntil"]) {
    assert.match(body[name], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, name);
  }
});

test("a refresh under way is shown as one", async () => {
  const session = await world.signIn();
  const release = session.hold();
  const call = refresh();
  await world.until(() => session.calls.length > 0, "upstream was not asked");
  assert.equal((await status()).body.isRefreshing, true);
  release();
  await call;
  assert.equal((await status()).body.isRefreshing, false);
});

test("the internal route wants its key", async () => {
  await world.signIn({ due: true });
  const wrong = [
    undefined,
    "",
    "x",
    INTERNAL_KEY.slice(0, -1),
    `${INTERNAL_KEY}x`,
    INTERNAL_KEY.toUpperCase(),
    world.supabase.serviceRoleKey,
  ];
  for (const key of wrong) {
    const headers = key === undefined ? {} : { "x-api-key": key };
    const answer = await post("/api/internal/refresh-sessions", { headers });
    assert.deepEqual([answer.status, answer.body.code], [401, "unauthorized"], String(key));
  }
  const asUser = await post("/api/internal/refresh-sessions", {
    headers: { ...as(ANA), authorization: `Bearer ${INTERNAL_KEY}` },
  });
  assert.equal(asUser.status, 401);
  assert.equal(world.site.requests.length, 0);
  assert.equal((await world.worker.batch()).body.refreshed, 1);
});

test("a second key is accepted while the first is rotated", async () => {
  const worker = await world.startWorker({
    INTERNAL_API_KEY: "brand-new-key-0123456789",
    INTERNAL_API_KEY_PREVIOUS: INTERNAL_KEY,
  });
  assert.equal((await worker.batch({}, "brand-new-key-0123456789")).status, 200);
  assert.equal((await worker.batch({}, INTERNAL_KEY)).status, 200);
  assert.equal((await worker.batch({}, "another-key-0123456789")).status, 401);
});

test("a batch's summary says what was done", async () => {
  for (const name of ["ana", "bruno", "carla"]) await world.signIn({ email: `${name}@example.com`, due: true });
  const dead = await world.signIn({ email: "diego@example.com", due: true });
  dead.fail("expired_401");
  const slow = await world.signIn({ email: "elena@example.com", due: true });
  slow.fail("throttled");
  const { body } = await world.worker.batch({ batchSize: 2 });
  const { runId, durationMs, ...rest } = body;
  assert.match(runId, /^[0-9a-f-]{36}$/);
  assert.ok(durationMs > 0);
  assert.deepEqual(rest, {
    success: true,
    claimed: 5,
    refreshed: 3,
    expired: 1,
    failed: 1,
    outcomes: { refreshed: 3, expired: 1, throttled: 1 },
    remaining: 0,
    released: 0,
    superseded: 0,
    unwritten: 0,
  });
});

test("a batch in which nothing succeeded is no success", async () => {
  for (const name of ["ana", "bruno"])
    (await world.signIn({ email: `${name}@example.com`, due: true })).fail("forbidden");
  const { status: code, body } = await world.worker.batch();
  assert.deepEqual([code, body.success, body.code, body.failed], [502, false, "batch_failed", 2]);
});

test("one that expired doesn't hide that all others failed; rows that can't be used say nothing of upstream", async () => {
  (await world.signIn({ due: true })).fail("expired_401");
  (await world.signIn({ email: "bruno@example.com", due: true })).fail("forbidden");
  const { status: code, body } = await world.worker.batch();
  assert.deepEqual([code, body.code, body.expired, body.failed], [502, "batch_failed", 1, 1]);
  await world.reset();
  await world.signIn({ due: true, row: { aimharder_token: "undefined" } });
  const unusable = await world.worker.batch();
  assert.deepEqual([unusable.status, unusable.body.outcomes], [200, { unusable: 1 }]);
  const told = (await check()).body;
  assert.deepEqual([told.sessionValid, told.canRefresh, told.recommendation], [false, false, "login"]);
});

test("a dry run tells what is due and does nothing", async () => {
  const session = await world.signIn({ due: true });
  const { body } = await world.worker.batch({ dryRun: true });
  assert.deepEqual([body.success, body.dryRun, body.claimed, body.remaining], [true, true, 0, 1]);
  assert.equal(session.calls.length, 0);
  assert.equal((await world.row(session)).lease_holder, null);
});

test("REFRESH_CRON_ENABLED=false logs and does nothing; the internal route still works", async () => {
  const worker = await world.startWorker({ REFRESH_CRON_ENABLED: "false" });
  const session = await world.signIn({ due: true });
  await worker.tick();
  assert.equal(session.calls.length, 0);
  await world.logged("cron_disabled");
  assert.equal((await worker.batch()).body.refreshed, 1);
});

test("a wrong configuration names every mistake in one error, on every route but /healthz", async () => {
  const worker = await world.startWorker({
    SUPABASE_URL: "http://db.example.com",
    SUPABASE_JWT_SECRET: undefined,
    INTERNAL_API_KEY: "short",
    REFRESH_BATCH_SIZE: "many-s3cret",
    REFRESH_INTERVAL_MINUTES: "45",
  });
  const routes = [
    ["GET", "/api/auth/refresh"],
    ["POST", "/api/auth/refresh"],
    ["GET", "/api/auth/aimharder"],
    ["POST", "/api/internal/refresh-sessions"],
  ];
  for (const [method, route] of routes) {
    const { status: code, body, text } = await worker.call(route, { method });
    assert.deepEqual([code, body.code], [503, "misconfigured"], route);
    for (const name of [
      "SUPABASE_URL",
      "SUPABASE_JWT_SECRET",
      "INTERNAL_API_KEY",
      "REFRESH_BATCH_SIZE",
      "REFRESH_INTERVAL_MINUTES",
    ]) {
      assert.ok(body.error.includes(name), `${route}: ${name}`);
    }
    assert.ok(!text.includes("s3cret"));
  }
  assert.equal((await worker.call("/healthz")).status, 200);
  await worker.tick();
  await world.logged("misconfigured");
});

test("methods and paths", async () => {
  for (const [method, route, allow] of [
    ["PUT", "/api/auth/refresh", "GET, POST, OPTIONS"],
    ["DELETE", "/api/auth/refresh", "GET, POST, OPTIONS"],
    ["POST", "/api/auth/aimharder", "GET, OPTIONS"],
    ["GET", "/api/internal/refresh-sessions", "POST"],
    ["OPTIONS", "/api/internal/refresh-sessions", "POST"],
    ["POST", "/healthz", "GET, HEAD"],
  ]) {
    const answer = await world.worker.call(route, { method });
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, allow], `${method} ${route}`);
    assert.equal(answer.body.code, "method_not_allowed");
  }
  for (const route of [
    "/",
    "/api",
    "/api/auth",
    "/api/auth/refresh/",
    "/api/auth/refresh/x",
    "/API/AUTH/REFRESH",
    "/healthz/",
  ]) {
    const answer = await world.worker.call(route, { headers: as(ANA) });
    assert.deepEqual([answer.status, answer.body.code], [404, "not_found"], route);
  }
  assert.equal((await world.worker.call("/healthz", { method: "HEAD" })).status, 200);
  assert.deepEqual((await world.worker.call("/healthz")).body, { status: "ok", success: true });
});

test("bodies are bounded and checked", async () => {
  const wrong = [
    [{ json: { sessionId: "x" } }, "The field sessionId must be a UUID."],
    [{ json: { sessionId: 5 } }, "The field sessionId must be a UUID."],
    [{ json: { session: "x" } }, "There is no field session: known are sessionId."],
    [{ body: '{"sessionId": null, "sessionId": null}' }, "The field sessionId is given twice."],
    [{ json: [] }, "The body must be a JSON object."],
    [{ json: [null] }, "The body must be a JSON object."],
    [{ body: "{" }, "The body is not JSON: see line 1, column 1."],
    [{ body: "sessionId=1" }, "The body is not JSON: see line 1, column 1."],
  ];
  for (const [options, said] of wrong) {
    const answer = await refresh(options);
    assert.deepEqual([answer.status, answer.body.code], [400, "bad_request"], JSON.stringify(options));
    assert.equal(answer.body.error, said);
  }
  const size = "The field batchSize must be a whole number from 1 to 1000.";
  for (const [json, said] of [
    [{ batchSize: 0 }, size],
    [{ batchSize: 1001 }, size],
    [{ batchSize: "5" }, size],
    [{ batchSize: 1.5 }, size],
    [{ batchsize: 5 }, "There is no field batchsize: known are batchSize, dryRun."],
    [{ dryRun: "yes" }, "The field dryRun must be true or false."],
  ]) {
    const answer = await world.worker.batch(json);
    assert.deepEqual([answer.status, answer.body.code, answer.body.error], [400, "bad_request", said]);
  }
  const large = await refresh({ json: { sessionId: "x".repeat(20_000) } });
  assert.deepEqual([large.status, large.body.code], [413, "body_too_large"]);
  const chunked = await postInChunks("/api/auth/refresh", as(ANA), "x".repeat(1000), 40);
  assert.equal(chunked, 413);
  assert.equal((await status("?sessionId=x")).status, 400);
  assert.equal(world.supabase.gateway.calls.length, 0);
});

/** A body of unstated length. */
function postInChunks(route, headers, chunk, count) {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${world.worker.url}${route}`, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once("error", reject);
    for (let index = 0; index < count; index += 1) request.write(chunk);
    request.end();
  });
}

test("an empty body is as good as none", async () => {
  await world.signIn();
  assert.equal((await refresh({ body: "" })).status, 200);
});

test("browsers of listed origins may call, exactly those", async () => {
  await world.signIn();
  const from = (origin, options = {}) =>
    world.worker.call("/api/auth/refresh", { headers: { ...as(ANA), origin }, ...options });
  for (const origin of [APP, "http://localhost:3000"]) {
    const answer = await from(origin);
    assert.equal(answer.headers.get("access-control-allow-origin"), origin);
    assert.match(answer.headers.get("access-control-expose-headers"), /Retry-After/);
    assert.match(answer.headers.get("vary"), /Origin/);
  }
  const strangers = [
    `${APP}.evil.com`,
    "https://evil-app.example.com",
    "http://app.example.com",
    `${APP}:8443`,
    "null",
    "http://localhost:3001",
  ];
  for (const origin of strangers) {
    const answer = await from(origin);
    assert.equal(answer.headers.get("access-control-allow-origin"), null, origin);
    assert.match(answer.headers.get("vary"), /Origin/);
  }
  const preflight = await world.worker.call("/api/auth/refresh", {
    method: "OPTIONS",
    headers: {
      origin: APP,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization",
    },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), APP);
  assert.match(preflight.headers.get("access-control-allow-headers"), /authorization/);
  const refused = await from(APP, { headers: { origin: APP } });
  assert.equal(refused.headers.get("access-control-allow-origin"), APP, "a browser may read why it was refused");
  const internal = await post("/api/internal/refresh-sessions", {
    headers: { origin: APP, "x-api-key": INTERNAL_KEY },
  });
  assert.equal(internal.headers.get("access-control-allow-origin"), null);
});

test("every answer has its id, is JSON, and is kept by no cache", async () => {
  const began = Date.now();
  const answers = [
    await world.worker.call("/healthz"),
    await status(),
    await world.worker.call("/nowhere"),
    await refresh({ body: "{" }),
    await world.worker.batch(),
  ];
  const ids = new Set();
  for (const { headers, body } of answers) {
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.match(headers.get("content-type"), /^application\/json/);
    assert.match(headers.get("x-request-id"), /^[0-9a-f-]{36}$/);
    if (!body.success) {
      assert.equal(body.requestId, headers.get("x-request-id"));
      const at = Date.parse(body.serverTime);
      assert.ok(at > began - 5000 && at < Date.now() + 5000);
    }
    ids.add(headers.get("x-request-id"));
  }
  assert.equal(ids.size, answers.length);
});

test("auto_refresh_enabled=false keeps a session out of the batch, not from its user", async () => {
  const session = await world.signIn({ due: true, row: { auto_refresh_enabled: false } });
  await world.worker.tick();
  assert.equal(session.calls.length, 0);
  assert.equal((await refresh()).status, 200);
});
