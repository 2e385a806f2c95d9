// Known secrets go in everywhere; none comes out in a log line, an answer, an error or a header.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { ANSWERS } from "../local/aimharder.mjs";
import { as, startWorld } from "./support/world.mjs";

const SETTINGS = {
  AIMHARDER_FINGERPRINT: "canaryfallbackfingerprint",
  INTERNAL_API_KEY: "canary-internal-key-0123456789",
  INTERNAL_API_KEY_PREVIOUS: "canary-previous-key-0123456789",
  REFRESH_TIMEOUT_SECONDS: "1",
};

let world;
before(async () => (world = await startWorld({ settings: SETTINGS })));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const heard = [];

/** Calls a route, and keeps everything that comes back. */
async function call(route, options) {
  const answer = await world.worker.call(route, options);
  heard.push({
    from: `${options?.method ?? "GET"} ${route}`,
    text: `${JSON.stringify([...answer.headers])} ${answer.text}`,
  });
  return answer;
}

const secrets = new Map();
const plant = (name, value) => secrets.set(name, value);

function checkNothingLeaked() {
  const lines = [...heard, ...world.logs.map((line) => ({ from: "log", text: JSON.stringify(line) }))];
  assert.ok(lines.length > 0 && secrets.size > 0);
  for (const { from, text } of lines) {
    for (const [name, secret] of secrets) assert.ok(!text.includes(secret), `${name} in ${from}`);
  }
}

/** All that has to stay inside of one session. */
function plantSession(session, label) {
  plant(`${label}'s token`, session.token);
  plant(`${label}'s token, encoded`, encodeURIComponent(session.token));
  plant(`${label}'s token's secret part`, session.token.split("|")[2]);
  plant(`${label}'s fingerprint`, session.fingerprint);
  for (const { name, value } of session.cookies) plant(`${label}'s ${name}`, value);
}

async function callEverything(email, key = SETTINGS.INTERNAL_API_KEY) {
  await call("/api/auth/refresh", { method: "POST", headers: as(email) });
  await call("/api/auth/refresh", { headers: as(email) });
  await call("/api/auth/aimharder", { headers: as(email) });
  await call("/api/internal/refresh-sessions", { method: "POST", headers: { "x-api-key": key } });
  await world.worker.tick();
}

test("nothing leaks, whatever upstream answers", { timeout: 120_000 }, async () => {
  for (const name of ["AIMHARDER_FINGERPRINT", "INTERNAL_API_KEY", "INTERNAL_API_KEY_PREVIOUS"])
    plant(name, SETTINGS[name]);
  plant("SUPABASE_SERVICE_ROLE_KEY", world.supabase.serviceRoleKey);
  plant("SUPABASE_SERVICE_ROLE_KEY of the new form", world.supabase.secretKey);
  plant("SUPABASE_JWT_SECRET", world.supabase.jwtSecret);
  const sessions = [];
  for (const [index, name] of ANSWERS.filter((answer) => answer !== "gzip_bomb").entries()) {
    const email = `canary${index}@example.com`;
    // Every third row has no fingerprint: the configured one travels.
    const session = await world.signIn({ email, due: index % 2 === 0, row: index % 3 ? {} : { fingerprint: null } });
    plant(`address ${index}`, email);
    plantSession(session, name);
    session.fail(name);
    sessions.push({ session, email, name });
  }
  await Promise.all(sessions.map(({ email }) => callEverything(email)));
  for (const { session, name } of sessions) {
    plantSession(session, `${name}, renewed`);
    for (const { query } of session.calls) plant(`${name}'s token on its way`, query.token);
  }
  const fingerprints = world.site.requests.map(({ query }) => query.fingerprint);
  assert.ok(fingerprints.includes(SETTINGS.AIMHARDER_FINGERPRINT));
  await world.logged("attempt_failed", 11);
  await world.logged("run", sessions.length);
  checkNothingLeaked();
});

test("nothing leaks when the database quotes rows in its errors", async () => {
  const session = await world.signIn({ due: true });
  plantSession(session, "session");
  const details = `Failing row contains (${session.token}, ${JSON.stringify(session.cookies)}, ${session.fingerprint})`;
  for (const status of [400, 401, 403, 404, 409, 500, 503]) {
    world.supabase.gateway.fail(({ path }) =>
      path.endsWith("finish_run")
        ? undefined
        : { status, json: { code: "23505", message: details, details, hint: details } },
    );
    await callEverything("ana@example.com");
  }
  world.supabase.gateway.fail(() => ({ status: 200, html: `<p>${details}</p>` }));
  await call("/api/auth/refresh", { headers: as("ana@example.com") });
  world.supabase.gateway.fail(() => ({ status: 200, json: { sessions: [{ token: session.token }] } }));
  await callEverything("ana@example.com");
  checkNothingLeaked();
});

test("nothing leaks of a key of the new form", async () => {
  const worker = await world.startWorker({ ...SETTINGS, SUPABASE_SERVICE_ROLE_KEY: world.supabase.secretKey });
  await world.signIn({ due: true });
  for (const fault of [undefined, { status: 401, json: { message: world.supabase.secretKey } }, { reset: true }]) {
    world.supabase.gateway.fail(() => fault);
    const { headers, text } = await worker.batch({}, SETTINGS.INTERNAL_API_KEY);
    heard.push({ from: "a batch", text: `${JSON.stringify([...headers])} ${text}` });
  }
  await world.logged("run", 3);
  checkNothingLeaked();
});

test("nothing leaks from rows and settings that are wrong", async () => {
  const row = {
    aimharder_token: "canary-token-that-is-malformed",
    aimharder_cookies: '[{"name":"PHPSESSID","value":"canary\\r\\nvalue"}]',
  };
  plant("a malformed token", "canary-token-that-is-malformed");
  plant("a malformed cookie", "canary\r\nvalue");
  plant("a malformed cookie, escaped", "canary\\r\\nvalue");
  await world.signIn({ due: true, row });
  await callEverything("ana@example.com");
  const wrong = await world.startWorker({
    INTERNAL_API_KEY: "canary-short",
    SUPABASE_JWT_SECRET: "canary-too-short",
    SUPABASE_SERVICE_ROLE_KEY: "canary-no-key",
  });
  for (const name of ["canary-short", "canary-too-short", "canary-no-key"]) plant(name, name);
  const answer = await wrong.call("/api/auth/refresh");
  heard.push({ from: "misconfigured", text: answer.text });
  await wrong.tick();
  await world.logged("misconfigured");
  checkNothingLeaked();
});

test("what a caller sends is not told back to others", async () => {
  const bearer = as("ana@example.com").authorization.slice(7);
  plant("the caller's token", bearer);
  await call("/api/auth/refresh", { headers: { authorization: `Bearer ${bearer}x` } });
  await call(`/api/auth/refresh?sessionId=${"1".repeat(8)}`, { headers: { authorization: `Bearer ${bearer}` } });
  await call("/api/internal/refresh-sessions", {
    method: "POST",
    headers: { "x-api-key": `${SETTINGS.INTERNAL_API_KEY}x` },
  });
  checkNothingLeaked();
});
