// A table of attacks, each through the built Worker. What they come to is looked at from outside: the answer, what the
// database was asked, what upstream saw.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { createServer, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { signToken } from "../local/stack.mjs";
import { createKey, encode, startKeySource } from "./support/tokens.mjs";
import { as, claims, INTERNAL_KEY, startWorld } from "./support/world.mjs";

const APP = "https://app.example.com";
const ANA = "ana@example.com";
const keys = { rsa: createKey("RS256"), ec: createKey("ES256"), ed: createKey("EdDSA") };
const OCT = { kid: "oct", kty: "oct", alg: "HS256", k: encode("a-secret-that-was-published-by-mistake") };
let world;
let source;
before(async () => {
  source = await startKeySource([...Object.values(keys).map((key) => key.jwk), OCT]);
  world = await startWorld({ settings: { JWKS_URL: source.url, ALLOWED_ORIGINS: APP } });
});
beforeEach(async () => {
  await world.reset();
  Object.assign(source, { fault: undefined, delay: 0 });
});
afterEach(() => world.check());
after(async () => {
  await world?.stop();
  await source?.stop();
});

const bearer = (token) => ({ authorization: `Bearer ${token}` });
const status = (headers, query = "", worker = world.worker) => worker.call(`/api/auth/refresh${query}`, { headers });
const seconds = () => Math.floor(Date.now() / 1000);
const databaseCalls = () => world.supabase.gateway.calls.length;
const SESSIONLESS = { requestId: "", serverTime: "" };

/** Each of these tokens is refused, and costs neither the database nor upstream a call. */
async function refuseAll(tokens, worker = world.worker) {
  await world.signIn();
  for (const [name, token] of Object.entries(tokens)) {
    const answer = await status(bearer(token), "", worker);
    assert.deepEqual([answer.status, answer.body?.code], [401, "unauthorized"], `${name}: ${answer.text}`);
  }
  assert.equal(databaseCalls(), 0);
  assert.equal(world.site.requests.length, 0);
}

// --- Tokens ---------------------------------------------------------------------------------------------------------

test("well made tokens of every kind are accepted: all that follows is refused for its own fault", async () => {
  await world.signIn();
  const { rsa, ec, ed } = keys;
  const good = [
    ...[rsa, ec, ed].map((key) => key.sign(claims())),
    signToken(claims()),
    signToken(claims(), undefined, { alg: "HS256", typ: "JWT", kid: "a-legacy-secret-s-id" }),
    ec.sign(claims({ nbf: seconds() - 5, iat: seconds() - 5 }), { typ: undefined }),
  ];
  for (const token of good) assert.equal((await status(bearer(token))).status, 200, token);
  assert.equal(source.asked.length, 1, "the key set is fetched once");
  assert.deepEqual(
    Object.keys(source.asked[0].headers).filter((name) => /auth|cookie|apikey/.test(name)),
    [],
  );
});

test("alg: none, in every letter case, signed or not", async () => {
  const body = encode(claims());
  const [, , signature] = keys.ec.sign(claims()).split(".");
  const tokens = {};
  for (const alg of ["none", "None", "NONE", "nOnE", "", null, undefined, "HS256 "]) {
    for (const kid of [undefined, keys.ec.kid]) {
      const head = encode({ alg, kid, typ: "JWT" });
      tokens[`${alg} ${kid}`] = `${head}.${body}.`;
      tokens[`${alg} ${kid} signed`] = `${head}.${body}.${signature}`;
    }
  }
  await refuseAll(tokens);
});

test("key confusion: a public key used as a secret", async () => {
  const tokens = {};
  for (const [name, key] of Object.entries(keys)) {
    const secrets = {
      pem: key.publicKey.export({ type: "spki", format: "pem" }),
      "pem without its last line break": key.publicKey.export({ type: "spki", format: "pem" }).trim(),
      der: key.publicKey.export({ type: "spki", format: "der" }),
      jwk: JSON.stringify(key.jwk),
      x: key.jwk.x ?? key.jwk.n,
      "raw x": Buffer.from(key.jwk.x ?? key.jwk.n, "base64url"),
    };
    for (const [form, secret] of Object.entries(secrets)) {
      for (const kid of [key.kid, undefined]) {
        const signed = `${encode({ alg: "HS256", typ: "JWT", kid })}.${encode(claims())}`;
        tokens[`${name} as ${form}, ${kid}`] =
          `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
      }
    }
  }
  tokens["a symmetric key of the set"] = signToken(claims(), "a-secret-that-was-published-by-mistake", {
    alg: "HS256",
    typ: "JWT",
    kid: "oct",
  });
  tokens["an empty secret"] = `${encode({ alg: "HS256" })}.${encode(claims())}.${createHmac("sha256", "")
    .update(`${encode({ alg: "HS256" })}.${encode(claims())}`)
    .digest("base64url")}`;
  await refuseAll(tokens);
});

test("another algorithm than the key's, or another key than the named one", async () => {
  const { rsa, ec, ed } = keys;
  const stranger = { rsa: createKey("RS256", rsa.kid), ec: createKey("ES256", ec.kid), ed: createKey("EdDSA", ed.kid) };
  await refuseAll({
    "PS256 with an RS256 key": rsa.sign(claims(), {}, "PS256"),
    "RS512 with an RS256 key": rsa.sign(claims(), {}, "RS512"),
    "RS256 claimed, an EC key named": rsa.sign(claims(), { kid: ec.kid }),
    "ES256 claimed, an RSA key named": ec.sign(claims(), { kid: rsa.kid }),
    "EdDSA signed, ES256 claimed": ed.sign(claims(), { alg: "ES256" }),
    "HS256 claimed, signed by the RSA key": rsa.sign(claims(), { alg: "HS256" }),
    "a stranger's RSA key under our id": stranger.rsa.sign(claims()),
    "a stranger's EC key under our id": stranger.ec.sign(claims()),
    "a stranger's Ed25519 key under our id": stranger.ed.sign(claims()),
    "no kid": ec.sign(claims(), { kid: undefined }),
    "an empty kid": ec.sign(claims(), { kid: "" }),
    "a kid that is a number": ec.sign(claims(), { kid: 1 }),
    "a kid that is a path": ec.sign(claims(), { kid: "../../../dev/null" }),
    "a kid that is SQL": ec.sign(claims(), { kid: "' or 1=1 --" }),
    "the kid in another letter case": ec.sign(claims(), { kid: ec.kid.toUpperCase() }),
  });
});

test("a token that brings its own key, or says where to fetch it", async () => {
  const evil = createKey("ES256", "evil");
  const server = await startKeySource([evil.jwk]);
  const asked = source.asked.length;
  await refuseAll({
    "jwk in the header": evil.sign(claims(), { jwk: evil.jwk }),
    "jwk in the header, our kid": evil.sign(claims(), { jwk: evil.jwk, kid: keys.ec.kid }),
    jku: evil.sign(claims(), { jku: server.url }),
    x5u: evil.sign(claims(), { x5u: server.url, kid: keys.ec.kid }),
    x5c: evil.sign(claims(), { x5c: [encode("certificate")], kid: keys.ec.kid }),
  });
  assert.equal(server.asked.length, 0, "nobody asked the address of the token");
  assert.ok(source.asked.length <= asked + 1);
  await server.stop();
});

test("critical headers and kinds that are not understood", async () => {
  const { ec } = keys;
  await refuseAll({
    "an unknown critical header": ec.sign(claims(), {
      crit: ["https://example.com/ext"],
      "https://example.com/ext": 1,
    }),
    "b64: false": ec.sign(claims(), { crit: ["b64"], b64: false }),
    "an empty crit": ec.sign(claims(), { crit: [] }),
    "crit of a wrong type": ec.sign(claims(), { crit: "exp" }),
    "another kind of JWT": ec.sign(claims(), { typ: "secevent+jwt" }),
    "an alg that is a list": ec.sign(claims(), { alg: ["ES256"] }),
    "a header that is a list": `${encode([])}.${encode(claims())}.x`,
  });
});

test("expired, future, and times that are none", async () => {
  const { ec } = keys;
  const now = seconds();
  await refuseAll({
    expired: ec.sign(claims({ exp: now - 60 })),
    "expired long ago": ec.sign(claims({ exp: 1 })),
    "exp: 0": ec.sign(claims({ exp: 0 })),
    "no exp": ec.sign(claims({ exp: undefined })),
    "exp: null": ec.sign(claims({ exp: null })),
    "exp as text": ec.sign(claims({ exp: String(now + 600) })),
    "exp below zero": ec.sign(claims({ exp: -now })),
    "exp beyond all numbers": ec.sign(JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e400')),
    "not valid yet": ec.sign(claims({ nbf: now + 60 })),
    "nbf as text": ec.sign(claims({ nbf: "0" })),
    "issued in the future": ec.sign(claims({ iat: now + 60 })),
  });
});

test("another issuer, another audience", async () => {
  const { ec } = keys;
  const { iss } = claims();
  await refuseAll({
    "another project's": ec.sign(claims({ iss: "https://other.supabase.co/auth/v1" })),
    "with a slash": ec.sign(claims({ iss: `${iss}/` })),
    "a suffix": ec.sign(claims({ iss: `${iss}.evil.example.com` })),
    "another letter case": ec.sign(claims({ iss: iss.toUpperCase() })),
    "a list with ours": ec.sign(claims({ iss: ["https://evil.example.com", iss] })),
    "no issuer": ec.sign(claims({ iss: undefined })),
    "an empty issuer": ec.sign(claims({ iss: "" })),
    "an anonymous audience": ec.sign(claims({ aud: "anon" })),
    "no audience": ec.sign(claims({ aud: undefined })),
    "an empty list": ec.sign(claims({ aud: [] })),
    "another letter case of it": ec.sign(claims({ aud: "Authenticated" })),
    "a part of it": ec.sign(claims({ aud: "authenticate" })),
    "an audience that is an object": ec.sign(claims({ aud: { authenticated: true } })),
    "Supabase's public key": world.supabase.anonKey,
    "Supabase's service role": world.supabase.serviceRoleKey,
  });
});

test("claims and headers given twice", async () => {
  const { ec } = keys;
  const twice = (name, value) => JSON.stringify(claims()).replace("{", `{${JSON.stringify(name)}:${value},`);
  const head = `{"alg":"ES256","typ":"JWT","kid":"${keys.ec.kid}"}`;
  await refuseAll({
    "two addresses": ec.sign(twice("email", '"bruno@example.com"')),
    "two ends": ec.sign(twice("exp", seconds() + 600)),
    "two issuers": ec.sign(twice("iss", '"https://evil.example.com"')),
    "two audiences": ec.sign(twice("aud", '"anon"')),
    "two algorithms": ec.sign(claims(), head.replace("{", '{"alg":"none",')),
    "two key ids": ec.sign(claims(), head.replace("{", '{"kid":"evil",')),
  });
});

test("signatures that are nearly right, and shapes that are no token", async () => {
  const good = keys.ec.sign(claims());
  const [head, body, signature] = good.split(".");
  const flip = (text) => `${text.slice(0, 10)}${text[10] === "A" ? "B" : "A"}${text.slice(11)}`;
  const rsa = keys.rsa.sign(claims());
  await refuseAll({
    "a flipped signature": `${head}.${body}.${flip(signature)}`,
    "a flipped claim": `${head}.${flip(body)}.${signature}`,
    "a flipped RSA signature": rsa.replace(/[^.]+$/, flip),
    "no signature": `${head}.${body}.`,
    "no third part": `${head}.${body}`,
    "zeros (CVE-2022-21449)": `${head}.${body}.${encode("\0".repeat(64))}`,
    "a longer signature": `${good}AAAA`,
    "a shorter signature": good.slice(0, -4),
    "with padding": `${good}=`,
    "the other base64": `${head}.${body}.${signature.slice(0, -2)}+/`,
    "four parts": `${good}.${signature}`,
    "five parts": `${good}.a.b`,
    "one part": "abc",
    "dots alone": "..",
    "a JWE": `${encode({ alg: "dir", enc: "A256GCM" })}..a.b.c`,
    "a blank within": `${head}. ${body}.${signature}`,
    "claims that are no object": keys.ec.sign("[]"),
    "claims that are no JSON": keys.ec.sign("{"),
    "claims nested without end": keys.ec.sign(`{"a":${"[".repeat(3000)}`),
    "an overlong token": keys.ec.sign(claims({ filler: "x".repeat(9000) })),
  });
});

test("a flood of unknown key ids costs the source one call at the most, and the users nothing", async () => {
  await world.signIn();
  const worker = await world.startWorker({ JWKS_URL: source.url });
  const good = bearer(keys.ed.sign(claims()));
  assert.equal((await status(good, "", worker)).status, 200);
  const asked = source.asked.length;
  const forged = () => status(bearer(createKey("EdDSA").sign(claims())), "", worker);
  const answers = await Promise.all(Array.from({ length: 100 }, forged));
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [401]);
  assert.ok(source.asked.length - asked <= 1, `${source.asked.length - asked} calls`);
  assert.equal((await status(good, "", worker)).status, 200);
});

test("a Worker that starts under many requests asks the source once", async () => {
  await world.signIn();
  const worker = await world.startWorker({ JWKS_URL: source.url });
  const asked = source.asked.length;
  const good = bearer(keys.rsa.sign(claims()));
  const answers = await Promise.all(Array.from({ length: 20 }, () => status(good, "", worker)));
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  assert.equal(source.asked.length - asked, 1);
});

test("an outage of the source signs nobody out: what is known goes on, what isn't is told to come back", async () => {
  await world.signIn();
  const good = bearer(keys.ec.sign(claims()));
  assert.equal((await status(good)).status, 200);
  const faults = [
    { status: 500 },
    { status: 200, body: "<html>Checking your browser</html>" },
    { status: 200, body: " ".repeat(100_000) },
    { status: 302, location: source.url },
  ];
  for (const fault of faults) {
    source.fault = fault;
    assert.equal((await status(good)).status, 200, "a Worker that knows the keys");
    const worker = await world.startWorker({ JWKS_URL: source.url });
    const asked = source.asked.length;
    for (const _ of [1, 2]) {
      const answer = await status(good, "", worker);
      assert.deepEqual([answer.status, answer.body.code], [503, "keys_unavailable"], JSON.stringify(fault));
      assert.ok(Number(answer.headers.get("retry-after")) <= 10);
    }
    assert.equal(source.asked.length - asked, 1, "it leaves the source alone for a while");
    assert.equal((await status(as(ANA), "", worker)).status, 200, "the secret needs no source");
    await worker.stop();
  }
  await world.logged("no_keys", faults.length);
});

test("a key set that was emptied revokes its keys: that is no outage", async () => {
  await world.signIn();
  source.fault = { status: 200, body: '{"keys":[]}' };
  const worker = await world.startWorker({ JWKS_URL: source.url });
  await refuseAll({ ES256: keys.ec.sign(claims()), RS256: keys.rsa.sign(claims()) }, worker);
  assert.equal((await status(as(ANA), "", worker)).status, 200, "the secret goes on");
});

test("who hangs up while the keys are fetched keeps nobody waiting, and costs no second fetch", async () => {
  await world.signIn();
  const worker = await world.startWorker({ JWKS_URL: source.url });
  const good = bearer(keys.ec.sign(claims()));
  const asked = source.asked.length;
  source.delay = 800;
  const leave = worker.callAndLeave("/api/auth/refresh", good);
  await world.until(() => source.asked.length > asked, "the source was not asked");
  await leave();
  const started = performance.now();
  assert.equal((await status(good, "", worker)).status, 200);
  // It would have waited for five seconds.
  assert.ok(performance.now() - started < 4500, "it waited for somebody who had left");
  assert.equal(source.asked.length - asked, 1);
});

test("without a secret no HS256 token is accepted, and without a key set no other one", async () => {
  const { jwtSecret } = world.supabase;
  const bySet = await world.startWorker({ SUPABASE_JWT_SECRET: undefined, JWKS_URL: source.url });
  await refuseAll(
    { HS256: signToken(claims(), jwtSecret), "HS256 with an empty secret": signToken(claims(), "") },
    bySet,
  );
  const bySecret = await world.startWorker({ JWKS_URL: undefined });
  await refuseAll({ ES256: keys.ec.sign(claims()), RS256: keys.rsa.sign(claims()) }, bySecret);
});

// --- Other people's sessions ----------------------------------------------------------------------------------------

test("another user's session is answered like none, whatever the spelling", async () => {
  const bruno = await world.signIn({ email: "bruno@example.com" });
  const read = async (email, query = "", options = {}) => {
    const answer = await world.worker.call(`/api/auth/refresh${query}`, { headers: as(email), ...options });
    const headers = Object.fromEntries(answer.headers);
    for (const name of ["date", "x-request-id"]) delete headers[name];
    return { status: answer.status, body: { ...answer.body, ...SESSIONLESS }, headers };
  };
  const missing = await read(ANA, `?sessionId=${randomUUID()}`);
  assert.deepEqual([missing.status, missing.body.code], [404, "session_not_found"]);
  const spellings = [
    "BRUNO@example.com",
    "Bruno@Example.com",
    "bruno@EXAMPLE.COM",
    " bruno@example.com",
    "bruno@example.com ",
    "bruno@example.com.",
    "bruno+a@example.com",
    "br\u0443no@example.com", // Cyrillic u
    "bruno@ex\u0430mple.com", // Cyrillic a
    "ｂruno@example.com", // full width
    "bru\u200bno@example.com", // zero width space
    "brunо\u0301@example.com",
    "bruno@example.com,ana@example.com",
    "bruno@%",
    "b%",
    "bruno_example.com",
    "*",
    "eq.bruno@example.com",
    "' or '1'='1",
  ];
  for (const email of spellings) assert.deepEqual(await read(email), missing, email);
  for (const query of [`?sessionId=${bruno.id}`, `?sessionId=${bruno.id.toUpperCase()}`]) {
    assert.deepEqual(await read(ANA, query), missing, query);
  }
  const ana = randomUUID();
  for (const query of [
    "?email=bruno@example.com",
    `?sessionid=${bruno.id}`,
    `?sessionId=${ana}&sessionId=${bruno.id}`,
    `?sessionId=${ana}&user_email=bruno@example.com`,
  ]) {
    assert.equal((await read(ANA, query)).status, 400, query);
  }
  const two = await read(ANA, `?sessionId=${ana}`, { method: "POST", json: { sessionId: bruno.id } });
  assert.equal(two.status, 400, "a body and a query that disagree");
  const post = { method: "POST" };
  const postMissing = await read(ANA, "", { ...post, json: { sessionId: randomUUID() } });
  assert.deepEqual(await read(ANA, "", { ...post, json: { sessionId: bruno.id } }), postMissing);
  for (const email of ["bruno@example.com\0", "bruno@example.com\n", "x".repeat(300)]) {
    assert.equal((await read(email)).status, 403, "no address at all");
  }
  assert.equal(bruno.calls.length, 0);
});

test("another user's session takes as long as none", async () => {
  const bruno = await world.signIn({ email: "bruno@example.com" });
  await assertAlike(
    () => status(as(ANA), `?sessionId=${bruno.id}`),
    () => status(as(ANA), `?sessionId=${randomUUID()}`),
  );
});

// A difference of microseconds would not be seen here; that keys are compared as digests, all of them, identity.rs tells.
test("an internal key that is nearly right takes as long as one that is all wrong", async () => {
  const guess = (key) => () =>
    world.worker.call("/api/internal/refresh-sessions", { method: "POST", headers: { "x-api-key": key } });
  const nearly = `${INTERNAL_KEY.slice(0, -1)}x`;
  await assertAlike(guess(nearly), guess("x".repeat(INTERNAL_KEY.length)));
});

/**
 * Told apart by nothing that a stopwatch sees: calls in turn, compared pair by pair, within what noise does here. A
 * median for each could be one of a busy machine here and one of an idle one there.
 */
async function assertAlike(one, other) {
  const timeOf = async (call) => {
    const started = performance.now();
    await call();
    return performance.now() - started;
  };
  const ratios = [];
  for (let round = 0; round < 60; round += 1) {
    const times = new Map();
    for (const call of round % 2 ? [one, other] : [other, one]) times.set(call, await timeOf(call));
    ratios.push(times.get(one) / times.get(other));
  }
  const ratio = ratios.sort((a, b) => a - b)[ratios.length >> 1];
  assert.ok(ratio > 0.6 && ratio < 1.65, `one takes ${ratio.toFixed(2)} times as long as the other`);
}

// --- What is stored -------------------------------------------------------------------------------------------------

test("nothing a stored cookie, token or fingerprint holds reaches upstream as a header, a parameter or a host", async () => {
  const evil = createServer((_request, response) => response.end());
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  let reached = 0;
  evil.on("connection", () => (reached += 1));
  const host = `127.0.0.1:${evil.address().port}`;
  const values = [
    "a\r\nX-Evil: 1",
    "a\nX-Evil: 1",
    "a\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil",
    "a; evil=1",
    "a, evil=1",
    "a\0b",
    'a"b',
    "a\\b",
    "ñ",
    "\u{1f600}",
    "a b",
    `@${host}/`,
    `http://${host}/`,
    "x".repeat(5000),
  ];
  const rows = [];
  for (const value of values) {
    rows.push({ cookies: (cookies) => [...cookies, { name: "extra", value }] });
    rows.push({ cookies: (cookies) => [...cookies, { name: value, value: "1" }] });
    rows.push({ fingerprint: value.slice(0, 50) });
    rows.push({ token: (token) => token + value });
    rows.push({ token: (token) => value + token });
  }
  for (const add of ["&evil=1", "#evil", "%26evil=1", "&token=1"]) {
    rows.push({ fingerprint: `a${add}` });
    rows.push({ token: (token) => token + add });
  }
  for (const [index, { cookies, fingerprint, token }] of rows.entries()) {
    const session = world.site.createSession();
    const row = {};
    // PostgreSQL itself refuses NUL in text; JSON can hold it only escaped, and jsonb refuses it as well.
    if (JSON.stringify([fingerprint, token?.(""), cookies?.([])]).includes("\\u0000")) continue;
    if (cookies) row.aimharder_cookies = JSON.stringify(cookies(session.cookies));
    if (fingerprint) row.fingerprint = fingerprint;
    if (token) row.aimharder_token = token(session.token);
    row.refresh_method = index % 2 ? "setrefresh" : "tokenUpdate";
    await world.store(session, { email: `user${index}@example.com`, ...row, next_refresh_at: new Date(0) });
  }
  const { status: code } = await world.worker.batch({ batchSize: 100 });
  assert.ok([200, 502].includes(code));
  assert.equal(reached, 0, "the other host was asked");
  assert.ok(world.site.requests.length > 20, "none was asked");
  const expected = new Set([
    ...["accept", "accept-encoding", "connection", "content-length", "content-type", "cookie", "host", "user-agent"],
    ...["cache-control", "pragma", "cf-connecting-ip", "cf-worker", "transfer-encoding", "cf-ray"],
  ]);
  for (const { headers, query, path, fields } of world.site.requests) {
    for (const name of Object.keys(headers)) assert.ok(expected.has(name), `header ${name}`);
    assert.match(headers.cookie, /^[\x21-\x7e]+=[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e ]*(; [^;=\s]+=[^;]*)*$/);
    assert.ok(!/(^|; )evil=/.test(headers.cookie), headers.cookie);
    const [given, names] =
      path === "/setrefresh" ? [query, ["fingerprint", "token"]] : [fields, ["ciclo", "fingerprint", "token"]];
    assert.deepEqual(Object.keys(given).sort(), names);
  }
  world.site.violations.length = 0;
  await new Promise((resolve) => evil.close(resolve));
});

test("upstream's redirects are not followed with cookies", async () => {
  const reached = [];
  const evil = createServer((request, response) => response.end(reached.push(request.headers)));
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  const upstream = createServer((_request, response) => {
    response.writeHead(302, { location: `http://127.0.0.1:${evil.address().port}/setrefresh` }).end();
  });
  await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const worker = await world.startWorker({
    AIMHARDER_REFRESH_URL: `http://127.0.0.1:${upstream.address().port}/setrefresh`,
  });
  await world.signIn();
  const answer = await worker.call("/api/auth/refresh", { method: "POST", headers: as(ANA) });
  assert.equal(answer.body.success, false);
  assert.deepEqual(reached, []);
  await worker.stop();
  for (const server of [evil, upstream]) server.closeAllConnections();
});

// --- Requests -------------------------------------------------------------------------------------------------------

test("cross-site posts with a user's cookie do nothing", async () => {
  const session = await world.signIn();
  const cookie = `keepalive_token=${signToken(claims())}`;
  const send = (headers, body) =>
    world.worker.call("/api/auth/refresh", { method: "POST", headers: { cookie, ...headers }, body });
  const own = new URL(world.worker.url).origin;
  const json = { "content-type": "application/json" };
  const forged = [
    [{ ...json }],
    [{ ...json, "sec-fetch-site": "cross-site" }],
    [{ ...json, "sec-fetch-site": "same-site" }],
    [{ ...json, "sec-fetch-site": "none" }],
    [{ ...json, origin: "https://evil.example.com" }],
    [{ ...json, origin: APP }],
    [{ ...json, origin: "null" }],
    [{ ...json, origin: `${own}.evil.example.com` }],
    [{ ...json, origin: own, "sec-fetch-site": "cross-site" }],
    [{ ...json, origin: "https://evil.example.com", "sec-fetch-site": "same-origin" }],
    [{ "sec-fetch-site": "same-origin", origin: own }],
    [{ "sec-fetch-site": "same-origin", "content-type": "text/plain" }, "{}"],
    [{ "sec-fetch-site": "same-origin", "content-type": "text/plain; application/json" }, "{}"],
    [{ "sec-fetch-site": "same-origin", "content-type": "application/jsonp" }, "{}"],
    [{ "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded" }, "a=b"],
    [{ "sec-fetch-site": "same-origin", "content-type": "multipart/form-data; boundary=application/json" }, "{}"],
  ];
  for (const [headers, body = "{}"] of forged) {
    const answer = await send(headers, body);
    assert.deepEqual([answer.status, answer.body.code], [403, "cross_site"], JSON.stringify(headers));
  }
  assert.equal(databaseCalls(), 0);
  assert.equal(session.calls.length, 0);
  const honest = { ...json, origin: own, "sec-fetch-site": "same-origin" };
  assert.equal((await send({ ...honest, "content-type": "application/json; charset=utf-8" }, "{}")).status, 200);
});

test("origins that look like a listed one may not read answers, and no internal route has CORS", async () => {
  const origins = [
    `${APP}.evil.com`,
    `${APP}:443`,
    `${APP}/`,
    "https://APP.example.com",
    "https://evilapp.example.com",
    "https://app.example.com@evil.com",
    "http://app.example.com",
    "null",
    "*",
    "",
  ];
  const allowed = (answer) => answer.headers.get("access-control-allow-origin");
  for (const origin of origins) {
    assert.equal(allowed(await status({ ...as(ANA), origin })), null, origin);
    const preflight = await world.worker.call("/api/auth/refresh", { method: "OPTIONS", headers: { origin } });
    assert.equal(allowed(preflight), null, origin);
  }
  assert.equal(allowed(await status({ ...as(ANA), origin: APP })), APP);
  const preflight = await world.worker.call("/api/auth/refresh", { method: "OPTIONS", headers: { origin: APP } });
  assert.equal(preflight.headers.get("access-control-max-age"), "600");
  assert.equal(preflight.headers.get("access-control-allow-credentials"), null, "cookies never cross origins");
  for (const method of ["OPTIONS", "POST", "GET"]) {
    for (const route of ["refresh-sessions", "ensure-fresh", `sessions/${randomUUID()}/disable`]) {
      const answer = await world.worker.call(`/api/internal/${route}`, { method, headers: { origin: APP } });
      assert.equal(allowed(answer), null, `${method} ${route}`);
      assert.ok([401, 405].includes(answer.status));
    }
  }
});

test("body bombs", async () => {
  const post = (body, headers = {}) =>
    world.worker.call("/api/auth/refresh", { method: "POST", headers: { ...as(ANA), ...headers }, body });
  assert.equal((await post("x".repeat(20_000))).status, 413);
  assert.equal((await post(`{"sessionId":"${"x".repeat(20_000)}"}`)).status, 413);
  for (const body of ["[".repeat(10_000), `{"a":${"[".repeat(5000)}`, `{"sessionId":${"{".repeat(5000)}`, "\xff\xfe"]) {
    assert.equal((await post(body)).status, 400, body.slice(0, 20));
  }
  const lying = await raw(
    `POST /api/auth/refresh HTTP/1.1\r\nHost: x\r\nAuthorization: ${as(ANA).authorization}\r\nConnection: close\r\n` +
      `Transfer-Encoding: chunked\r\n\r\n${`400\r\n${"x".repeat(1024)}\r\n`.repeat(40)}0\r\n\r\n`,
  );
  assert.match(lying, /^HTTP\/1\.1 413 /);
  assert.equal(databaseCalls(), 0);
});

test("tricks with paths and methods reach no other route", async () => {
  await world.signIn({ due: true });
  const { pathname } = new URL(world.worker.url);
  assert.equal(pathname, "/");
  const paths = [
    "//api/internal/refresh-sessions",
    "/api//internal/refresh-sessions",
    "/api/auth/../internal/refresh-sessions/",
    "/api/internal/refresh-sessions/",
    "/api/internal/refresh-sessions;a=b",
    "/api/internal/refresh-sessions%00",
    "/api/internal/refresh%2dsessions",
    "/api%2finternal%2frefresh-sessions",
    "/API/INTERNAL/REFRESH-SESSIONS",
    "/api/internal/sessions//disable",
    `/api/internal/sessions/${randomUUID()}/disable/`,
    "/api/internal/sessions/..%2f..%2frefresh-sessions/enable",
    "/.git/config",
    "/api/internal/",
  ];
  for (const path of paths) {
    const answer = await rawCall("POST", path, { "x-api-key": INTERNAL_KEY });
    assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
  }
  // A URL's own rules apply before any route: this is the route, and asks for its key like always.
  for (const path of ["/api/auth/../internal/refresh-sessions", "/api/auth/%2e%2e/internal/refresh-sessions"]) {
    assert.equal((await rawCall("POST", path, as(ANA))).status, 401, path);
  }
  for (const method of ["TRACE", "CONNECT", "PROPFIND", "FOO"]) {
    const answer = await rawCall(method, "/api/auth/refresh", as(ANA)).catch(() => ({ status: 400 }));
    assert.ok([400, 404, 405, 501].includes(answer.status), `${method}: ${answer.status}`);
  }
  const overridden = await world.worker.call("/api/auth/refresh", {
    method: "PUT",
    headers: { ...as(ANA), "x-http-method-override": "POST", "x-original-url": "/api/internal/refresh-sessions" },
  });
  assert.equal(overridden.status, 405);
  assert.equal(databaseCalls(), 0);
});

test("identity comes from the token alone: keys and headers of others' trades are none", async () => {
  const bruno = await world.signIn({ email: "bruno@example.com" });
  for (const headers of [
    { "x-api-key": INTERNAL_KEY },
    { "x-user-email": "bruno@example.com", "x-forwarded-user": "bruno@example.com" },
    { "cf-access-authenticated-user-email": "bruno@example.com" },
    { apikey: world.supabase.serviceRoleKey },
    { authorization: `Bearer ${INTERNAL_KEY}` },
    { authorization: `Basic ${Buffer.from(`bruno@example.com:${INTERNAL_KEY}`).toString("base64")}` },
    { authorization: `Bearer ${world.supabase.secretKey}` },
  ]) {
    assert.equal((await status(headers)).status, 401, JSON.stringify(Object.keys(headers)));
  }
  assert.equal(databaseCalls(), 0);
  assert.equal(bruno.calls.length, 0);
});

test("every answer has the headers that a security review asks for", async () => {
  await world.signIn();
  const answers = [
    await world.worker.call("/healthz"),
    await status(as(ANA)),
    await status({}),
    await world.worker.call("/nowhere"),
    await world.worker.call("/api/auth/refresh", { method: "PUT" }),
    await world.worker.call("/api/auth/refresh", { method: "OPTIONS", headers: { origin: APP } }),
    await world.worker.batch(),
    await world.worker.batch({}, "wrong-key-0123456789"),
  ];
  for (const { headers, status: code } of answers) {
    const told = (name) => headers.get(name) ?? "";
    assert.match(told("cache-control"), /no-store/, String(code));
    assert.equal(told("x-content-type-options"), "nosniff");
    assert.equal(told("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert.equal(told("x-frame-options"), "DENY");
    assert.equal(told("referrer-policy"), "no-referrer");
    assert.match(told("strict-transport-security"), /^max-age=\d{8}/);
    assert.equal(told("cross-origin-resource-policy"), "same-origin");
    assert.match(told("x-request-id"), /^[0-9a-f-]{36}$/);
    assert.equal(headers.get("server"), null);
  }
});

// --- Too many -------------------------------------------------------------------------------------------------------

for (const rateLimits of ["real", "none"]) {
  const by = rateLimits === "real" ? "by Cloudflare's binding" : "by the Worker itself, without a binding";
  test(`who asks too often is told to wait, ${by}`, async () => {
    const worker = await world.startWorker({}, { rateLimits });
    await world.signIn();
    await world.signIn({ email: "bruno@example.com" });
    await awayFromTheMinutesEnd();
    const from = (address, headers) => status({ ...headers, "cf-connecting-ip": address }, "", worker);
    const codes = await inTurn(70, () => from("203.0.113.1", as(ANA)));
    assert.deepEqual([count(codes, 200), count(codes, 429)], [60, 10], "a user");
    assert.equal((await from("203.0.113.2", as(ANA))).status, 429, "from elsewhere, too");
    const limited = await from("203.0.113.1", as(ANA));
    assert.equal(limited.body.code, "rate_limited");
    assert.ok(Number(limited.headers.get("retry-after")) <= 60);
    assert.equal((await from("203.0.113.1", as("bruno@example.com"))).status, 200, "others at that address go on");
    const calls = databaseCalls();
    await awayFromTheMinutesEnd();
    const forged = await inTurn(1010, () => from("203.0.113.9", bearer("a.b.c")), 20);
    assert.deepEqual([count(forged, 401), count(forged, 429)], [1000, 10], "an address");
    const guesses = await inTurn(3, () =>
      worker.call("/api/internal/refresh-sessions", {
        method: "POST",
        headers: { "x-api-key": "a-wrong-guess-0123456", "cf-connecting-ip": "203.0.113.9" },
      }),
    );
    assert.equal(count(guesses, 429), 3, "it is told off for guessing keys, too");
    const job = await worker.call("/api/internal/refresh-sessions", {
      method: "POST",
      json: {},
      headers: { "x-api-key": INTERNAL_KEY, "cf-connecting-ip": "203.0.113.9" },
    });
    assert.equal(job.status, 200, "a right key is never kept waiting");
    assert.equal(
      world.supabase.gateway.calls.slice(calls).filter(({ path }) => /status|claim_session$/.test(path)).length,
      0,
    );
    await worker.stop();
  });
}

/** Windows are the clock's minutes: one must not end within a count. */
async function awayFromTheMinutesEnd() {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 20_000) await new Promise((resolve) => setTimeout(resolve, left + 200));
}

/** The statuses of so many calls, some at once. */
async function inTurn(times, call, width = 5) {
  const codes = [];
  for (let done = 0; done < times; done += width) {
    const answers = await Promise.all(Array.from({ length: Math.min(width, times - done) }, call));
    codes.push(...answers.map((answer) => answer.status));
  }
  return codes;
}

const count = (codes, wanted) => codes.filter((code) => code === wanted).length;

/** Without any client's tidying of paths. */
function rawCall(method, path, headers) {
  const { hostname, port } = new URL(world.worker.url);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, method, path, headers }, (response) => {
      response.resume();
      response.once("end", () => resolve({ status: response.statusCode }));
    });
    request.setTimeout(5000, () => request.destroy(new Error("no answer")));
    request.once("error", reject).once("connect", () => reject(new Error("connected")));
    request.end();
  });
}

/** Bytes as they are. */
function raw(text) {
  const { hostname, port } = new URL(world.worker.url);
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.setTimeout(5000, () => socket.destroy(new Error("no answer")));
    socket
      .on("data", (chunk) => (answer += chunk))
      .once("close", () => resolve(answer))
      .once("error", (error) => (answer ? resolve(answer) : reject(error)));
  });
}
