// Who is told of what: operators of outages, the app of its users' sessions, and somebody outside of each tick. Through
// the built Worker, the real database, and receivers that fail in all the usual ways.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { startReceiver } from "./support/receiver.mjs";
import { ago, ahead, INTERNAL_KEY, startWorld } from "./support/world.mjs";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";
/** Chats' addresses are secrets by their path. */
const PATH = "/hooks/T0-hidden-path";
const HOUR = 60;
const DAY_S = 86_400;

let world;
let operators;
let app;
let elsewhere;
let worker;
before(async () => {
  [world, operators, app, elsewhere] = await Promise.all([
    startWorld(),
    startReceiver(),
    startReceiver(),
    startReceiver(),
  ]);
  worker = await world.startWorker(receiving());
});
beforeEach(async () => {
  await world.reset();
  await later(0);
  await life(null);
  for (const receiver of [operators, app, elsewhere]) receiver.reset();
});
afterEach(() => {
  world.check();
  assertNothingIsTold();
});
after(async () => {
  await world?.stop();
  for (const receiver of [operators, app, elsewhere]) await receiver?.close().catch(() => {});
});

const receiving = (changed = {}) => ({
  ALERT_WEBHOOK_URL: `${operators.url}${PATH}`,
  WEBHOOK_SECRET: SECRET,
  ...changed,
});

/** Nothing that we said holds a secret or a user's name. */
function assertNothingIsTold() {
  const told = [operators, app, elsewhere].flatMap(({ requests }) => requests.map(({ text }) => text));
  const said = JSON.stringify([...told, world.logs.map(({ message }) => message)]);
  const secrets = world.site.sessions.flatMap(({ token, fingerprint, cookies }) => [
    ...[token, token.split("|")[2], fingerprint],
    ...cookies.map(({ value }) => value),
  ]);
  for (const secret of [...secrets, SECRET, SECRET.slice(6), INTERNAL_KEY, PATH, "@example.com", "s3cret"])
    assert.ok(!said.includes(secret), `${secret} was told`);
}

/** Lets the database's time be so many minutes later than it is. */
async function later(minutes) {
  await world.sql.query(`
    create or replace function keepalive_now() returns timestamptz language sql volatile
    as $$ select pg_catalog.clock_timestamp() + interval '${minutes} minutes' $$`);
}

/** What sessions' life was measured to be, in seconds. */
async function life(seconds) {
  await world.sql.query("update refresh_policy set life_seconds = $1, life_measured_at = keepalive_now()", [seconds]);
}

async function ticks(count, on = worker) {
  for (let index = 0; index < count; index += 1) await on.tick();
}

async function allDue() {
  await world.sql.query("update auth_sessions set next_refresh_at = now() - interval '1 second'");
}

/** Keeps all calls from upstream, or lets them through again. */
async function upstream(columns) {
  const values = { breaker: "closed", breaker_until: "-infinity", paused_until: "-infinity", ...columns };
  await world.sql.query(
    `insert into refresh_upstreams (upstream, breaker, breaker_until, paused_until) values ($1, $2, $3, $4)
     on conflict (upstream) do update
     set breaker = excluded.breaker, breaker_until = excluded.breaker_until, paused_until = excluded.paused_until`,
    [new URL(world.site.url).host, values.breaker, values.breaker_until, values.paused_until],
  );
}

const breaks = () => upstream({ breaker: "open", breaker_until: ahead(DAY_S) });

/** What operators were told of an alert, in this order. */
const told = (kind) => operators.taken.filter(({ alert }) => alert === kind);
const statuses = (kind) => told(kind).map(({ status }) => status);

async function undelivered() {
  const { status, body } = await world.worker.call("/api/internal/overview", {
    headers: { "x-api-key": INTERNAL_KEY },
  });
  assert.equal(status, 200);
  return body.undelivered;
}

const failAll = (name) => {
  for (const session of world.site.sessions) session.fail(name);
};

async function healAll() {
  for (const session of world.site.sessions) session.heal();
  await allDue();
}

// An outage of each kind: how it begins, how it ends, and what is told of it. Where sessions are counted, a run is over
// before a tick looks, which looks beside its own run and could see half of it.
const OUTAGES = {
  failure_rate: {
    async begin() {
      await ticks(1);
      await world.signInMany(12);
      failAll("expired_short_page");
      await world.worker.batch();
    },
    async end() {
      await later(11);
      await healAll();
    },
    details: { attempts: 12, failures: 12, minutes: 1 },
  },
  oldest_due: {
    async begin() {
      await upstream({ paused_until: ahead(DAY_S) });
      await world.signIn({ due: true, row: { signed_in_at: ago(40 * 60), created_at: ago(40 * 60) } });
    },
    async end() {
      await upstream({});
      await ticks(1);
      // Sessions aren't counted anew within the same second.
      await later(1);
    },
    details: { due: 1, limitSeconds: 25 * 60 },
  },
  breaker_open: {
    async begin() {
      await world.signInMany(10);
      failAll("unavailable");
    },
    async end() {
      await healAll();
      await world.sql.query("update refresh_upstreams set breaker_until = now()");
    },
    details: { breaker: "open" },
  },
  sessions_lost: {
    async begin() {
      const sessions = await world.signInMany(60);
      for (const session of sessions.slice(0, 8)) session.killed = true;
      await world.worker.batch();
    },
    end: () => later(HOUR + 1),
    details: { expired: 8, exhausted: 0 },
  },
  markup_changed: {
    async begin() {
      await world.signInMany(4, { rotation: "grace" });
      failAll("markup_changed");
      await world.worker.batch();
    },
    end: healAll,
    details: { sessions: 4 },
  },
  interval_too_long: {
    begin: () => life(1_100),
    end: () => life(null),
    details: { intervalSeconds: 1_200, lifeSeconds: 1_100 },
  },
  database_refused: {
    begin: () => world.breakCalls("outlook", { status: 401, json: { code: "PGRST301" } }),
    end: () => world.supabase.gateway.fail(undefined),
    details: { code: "database_refused" },
  },
};

for (const [kind, { begin, end, details }] of Object.entries(OUTAGES)) {
  test(`${kind} is told once when it begins, and once when it is over`, async () => {
    await begin();
    await ticks(4);
    assert.deepEqual(statuses(kind), ["firing"]);
    const [firing] = told(kind);
    assert.deepEqual({ ...firing.details, ...details }, firing.details);
    await end();
    await ticks(4);
    assert.deepEqual(statuses(kind), ["firing", "over"]);
    assert.equal(told(kind)[1].since, firing.since);
  });
}

test("sessions lost are named in one message, and those lost later in the next", async () => {
  await OUTAGES.sessions_lost.begin();
  await ticks(2);
  const [{ details, text }] = told("sessions_lost");
  const lost = world.site.sessions.filter(({ killed }) => killed).map(({ id }) => id);
  assert.deepEqual(details.sessionIds.toSorted(), lost.toSorted());
  for (const id of lost) assert.ok(text.includes(id), text);
  world.site.sessions[8].killed = true;
  await later(50);
  await ticks(2);
  assert.deepEqual(statuses("sessions_lost"), ["firing"]);
  await later(HOUR + 1);
  await ticks(1);
  assert.deepEqual(statuses("sessions_lost"), ["firing", "repeated"]);
  assert.equal(told("sessions_lost")[1].details.expired, 1);
});

test("ten times as many lost sessions are news before the hour is over", async () => {
  const lose = async (count) => {
    await world.sql.query(
      `insert into session_events (session_id, at, event)
       select (select id from auth_sessions limit 1), keepalive_now(), 'expired' from generate_series(1, $1)`,
      [count],
    );
    await ticks(2);
  };
  await world.signIn();
  await lose(1);
  await lose(8);
  assert.deepEqual(statuses("sessions_lost"), ["firing"]);
  await lose(1);
  assert.deepEqual(statuses("sessions_lost"), ["firing", "repeated"]);
  assert.equal(told("sessions_lost")[1].details.expired, 10);
  await lose(50);
  assert.deepEqual(statuses("sessions_lost"), ["firing", "repeated"]);
});

test("an alert that nobody took outlives the history, and a message of a newer version keeps no other back", async () => {
  await world.sql.query(`insert into refresh_messages (kind, body, created_at, next_try_at) values
    ('alert', '{"alert": "of_tomorrow", "status": "firing", "since": 0, "at": 0, "details": {}}', now(), now()),
    ('alert', '{"alert": "oldest_due", "status": "over", "since": 0, "at": 0, "details": {}}',
      now() - interval '90 days', now() + interval '1 minute')`);
  await ticks(1);
  await OUTAGES.interval_too_long.begin();
  await ticks(1);
  assert.deepEqual(statuses("interval_too_long"), ["firing"]);
  await later(5);
  await ticks(1);
  assert.deepEqual(statuses("oldest_due"), ["over"]);
  assert.deepEqual(statuses("of_tomorrow"), []);
  assert.ok((await world.logged("unknown_message")).length > 0);
});

test("an alert shows how the unknown page is built, and nothing that it says", async () => {
  await OUTAGES.markup_changed.begin();
  await ticks(2);
  const [{ details }] = told("markup_changed");
  assert.match(details.outline, /html > body\n div\[id\]\n script/);
  // The afterEach looks for the rest.
  assert.doesNotMatch(details.outline, /__STATE__|\d{5}/);
});

test("an alert that stays on is told again after the time set for that, and not before", async () => {
  await breaks();
  await ticks(2);
  await later(HOUR - 1);
  await ticks(2);
  assert.deepEqual(statuses("breaker_open"), ["firing"]);
  await later(HOUR + 1);
  await ticks(2);
  assert.deepEqual(statuses("breaker_open"), ["firing", "repeated"]);
  const [firing, repeated] = told("breaker_open");
  assert.equal(firing.since, repeated.since);
  assert.notEqual(firing.id, repeated.id);
});

test("several Workers that tick at once send one message", async () => {
  const others = await Promise.all([1, 2].map(() => world.startWorker(receiving())));
  await Promise.all([breaks(), life(1_100)]);
  const together = () => Promise.all([worker, ...others].map((one) => one.tick()));
  await together();
  await together();
  assert.deepEqual([statuses("breaker_open"), statuses("interval_too_long")], [["firing"], ["firing"]]);
  await Promise.all([upstream({}), life(null)]);
  await together();
  await together();
  assert.deepEqual([statuses("breaker_open"), statuses("interval_too_long")].flat(), [
    ...["firing", "over"],
    ...["firing", "over"],
  ]);
});

/** Another isolate's clock, an hour and a minute later. */
const AN_HOUR_LATER = `{
  const Today = globalThis.Date;
  const now = () => Today.now() + ${(HOUR + 1) * 60_000};
  globalThis.Date = class extends Today {
    constructor(...given) {
      super(...(given.length > 0 ? given : [now()]));
    }
    static now() {
      return now();
    }
  };
}`;

test("wrong settings are told once, again after an hour, and when they are mended, whichever isolate ticks", async () => {
  const wrong = receiving({ REFRESH_BATCH_SIZE: "s3cret" });
  const one = await world.startWorker(wrong);
  await ticks(3, one);
  await one.redeploy(world.settings(wrong));
  await ticks(2, one);
  assert.deepEqual(statuses("misconfigured"), ["firing"]);
  assert.match(told("misconfigured")[0].text, /REFRESH_BATCH_SIZE must be a whole number from 1 to 1000/);
  await one.redeploy(world.settings(wrong), AN_HOUR_LATER);
  await ticks(2, one);
  assert.deepEqual(statuses("misconfigured"), ["firing", "repeated"]);
  await one.redeploy(world.settings(receiving()), "");
  await ticks(3, one);
  assert.deepEqual(statuses("misconfigured"), ["firing", "repeated", "over"]);
});

test("what is wrong with alerts' own settings is named at once, without its value", async () => {
  const wrong = {
    ALERT_WEBHOOK_URL: "http://ops.example.com/s3cret",
    ALERT_WEBHOOK_FORMAT: "s3cret",
    EVENT_WEBHOOK_URL: "https://s3cret:s3cret@app.example.com/",
    WEBHOOK_SECRET: "whsec_czNjcmV0",
    ALERT_REPEAT_MINUTES: "4",
    ALERT_FAILURE_PERCENT: "s3cret",
    CRON_PING_URL: "s3cret",
  };
  const one = await world.startWorker(wrong);
  await one.tick();
  const [{ reason }] = await world.logged("misconfigured");
  for (const name of Object.keys(wrong)) assert.equal(reason.split(`${name} must be`).length, 2, reason);
  const { status, text } = await one.batch();
  assert.equal(status, 503);
  assert.doesNotMatch(text, /s3cret/);
  world.logs.length = 0;
  await one.redeploy(world.settings(receiving({ WEBHOOK_SECRET: undefined })));
  await one.tick();
  const [missing] = await world.logged("misconfigured");
  assert.match(missing.reason, /wrong: WEBHOOK_SECRET is missing[^;]*$/);
});

/** All of them were refreshed, and none was kept waiting for an answer that is given up after five seconds. */
async function assertRefreshedSince(began, sessions) {
  for (const { calls } of sessions) {
    assert.equal(calls.at(-1)?.answer, "refreshed");
    assert.ok(calls.at(-1).end - began < 5_000, `${calls.at(-1).end - began} ms`);
  }
  assert.deepEqual(await world.outOfStep(sessions), []);
}

// What a receiver does: how that is told, and how it comes back.
const RECEIVERS = {
  "is dead": { fail: () => operators.close(), mend: () => operators.comeBack(), code: "unreachable" },
  "answers 500": { fail: () => operators.behave(() => 500), code: "failed" },
  "wants fewer": { fail: () => operators.behave(() => 429), code: "throttled" },
  "is slow": { fail: () => operators.behave(() => ({ status: 204, wait: 8_000 })), code: "timed_out" },
  redirects: {
    fail: () => operators.behave(() => ({ status: 307, headers: { location: `${elsewhere.url}/` } })),
    code: "redirected",
  },
};

for (const [name, { fail, mend = () => operators.behave(), code }] of Object.entries(RECEIVERS)) {
  test(`a receiver that ${name} keeps no session waiting, and is told later, once`, async () => {
    const sessions = await world.signInMany(12);
    await life(1_100);
    await fail();
    const began = Date.now();
    await ticks(1);
    await assertRefreshedSince(began, sessions);
    const { alerts, events, lastError } = await undelivered();
    assert.deepEqual({ alerts, events, lastError }, { alerts: 1, events: 0, lastError: code });
    await mend();
    await ticks(1);
    assert.deepEqual(statuses("interval_too_long"), [], "it is too early");
    await later(2);
    await ticks(3);
    assert.deepEqual(statuses("interval_too_long"), ["firing"]);
    assert.deepEqual(await undelivered(), { alerts: 0, events: 0, oldestAt: null, lastError: null });
    assert.deepEqual(elsewhere.requests, []);
  });
}

test("a message that is refused keeps no other back, and is tried again", async () => {
  operators.behave(({ alert }) => (alert === "breaker_open" ? 404 : 204));
  await Promise.all([breaks(), life(1_100)]);
  await ticks(1);
  assert.deepEqual([statuses("breaker_open"), statuses("interval_too_long")], [[], ["firing"]]);
  assert.equal((await undelivered()).lastError, "refused");
  operators.behave();
  await later(2);
  await ticks(1);
  assert.deepEqual(statuses("breaker_open"), ["firing"]);
});

test("a message's signature is one that Standard Webhooks' own library takes", async () => {
  await life(1_100);
  await ticks(1);
  const [{ method, path, headers, text }] = operators.requests;
  assert.deepEqual([method, path, headers["content-type"]], ["POST", PATH, "application/json"]);
  const message = new Webhook(SECRET).verify(text, headers);
  assert.deepEqual([message.kind, message.id], ["alert", headers["webhook-id"]]);
  assert.throws(() => new Webhook(SECRET).verify(text.replace("firing", "over"), headers));
  assert.throws(() => new Webhook(`whsec_${"x".repeat(32)}`).verify(text, headers));
});

test("chats are told in their own format, unsigned", async () => {
  const chat = (format) =>
    world.startWorker(
      receiving({ ALERT_WEBHOOK_FORMAT: format, WEBHOOK_SECRET: undefined, EVENT_WEBHOOK_URL: undefined }),
    );
  await life(1_100);
  await ticks(1, await chat("slack"));
  await life(null);
  await ticks(1, await chat("discord"));
  const [slack, discord] = operators.requests.map(({ text }) => JSON.parse(text));
  assert.equal(slack.text, "Sessions die sooner than they are refreshed");
  assert.match(slack.blocks[0].text.text, /^\*Sessions die sooner than they are refreshed\*\n.*live for 18 minutes/);
  assert.equal(discord.embeds[0].title, "Over: Sessions die sooner than they are refreshed");
  assert.deepEqual(discord.allowed_mentions, { parse: [] });
  for (const { headers } of operators.requests) assert.equal(headers["webhook-signature"], undefined);
});

test("what waits for a dead receiver comes in its order, without the repetitions", async () => {
  operators.behave(() => 500);
  await breaks();
  await ticks(1);
  for (const minutes of [HOUR + 1, 2 * HOUR + 2]) {
    await later(minutes);
    await ticks(1);
  }
  await upstream({});
  await ticks(1);
  operators.behave();
  // What ended lately waits for a shorter time than what has failed often.
  await later(2 * HOUR + 4);
  await ticks(2);
  assert.notEqual(statuses("breaker_open")[0], "over");
  await later(4 * HOUR);
  await ticks(3);
  assert.deepEqual(statuses("breaker_open"), ["firing", "over"]);
});

test("events that nobody takes keep no alert back", async () => {
  const small = { EVENT_WEBHOOK_URL: `${app.url}/events`, SUBREQUEST_LIMIT: "50" };
  const telling = await world.startWorker(receiving(small));
  await ticks(1, telling);
  const sessions = await world.signInMany(60);
  for (const session of sessions.slice(0, 8)) session.killed = true;
  app.behave(() => 500);
  await world.worker.batch();
  await ticks(1, telling);
  assert.deepEqual(statuses("sessions_lost"), ["firing"]);
  await later(2);
  await breaks();
  await ticks(1, telling);
  assert.deepEqual(statuses("breaker_open"), ["firing"]);
  assert.equal((await undelivered()).events, 8);
});

/** A session's user signs in again. */
async function signInAgain(session) {
  const { token, cookies } = world.site.createSession();
  await world.set(session, { aimharder_token: token, aimharder_cookies: JSON.stringify(cookies) });
}

test("the app is told of each session lost and come back, since it asks for that", async () => {
  const [before, lost, kept] = await world.signInMany(3);
  before.killed = true;
  await ticks(2);
  const telling = await world.startWorker(receiving({ EVENT_WEBHOOK_URL: `${app.url}/events` }));
  await ticks(1, telling);
  lost.killed = true;
  await allDue();
  app.behave(() => 500);
  await ticks(2, telling);
  assert.equal((await undelivered()).events, 1);
  app.behave();
  await later(2);
  await ticks(2, telling);
  await signInAgain(lost);
  await ticks(2, telling);
  assert.deepEqual(
    app.taken.map(({ kind, event, sessionId }) => [kind, event, sessionId]),
    [
      ["event", "expired", lost.id],
      ["event", "recovered", lost.id],
    ],
  );
  assert.equal(kept.calls.at(-1).answer, "refreshed");
  const ids = app.requests.map(({ headers }) => headers["webhook-id"]);
  assert.deepEqual(ids, [app.taken[0].id, app.taken[0].id, app.taken[1].id]);
  for (const { text, headers } of app.requests) new Webhook(SECRET).verify(text, headers);
  assert.deepEqual(statuses("sessions_lost"), ["firing"]);
});

const pinging = () => world.startWorker({ CRON_PING_URL: `${app.url}/ping/check` });

test("somebody outside hears of each tick: that it began, and that it ended well or how it failed", async () => {
  const one = await pinging();
  const session = await world.signIn({ due: true });
  await one.tick();
  assert.deepEqual(
    app.requests.map(({ method, path }) => `${method} ${path}`),
    ["POST /ping/check/start", "POST /ping/check"],
  );
  session.fail("forbidden");
  await allDue();
  await one.tick();
  world.supabase.gateway.fail(() => ({ status: 401, json: { code: "PGRST301" } }));
  await one.tick();
  const [failed, refused] = app.requests.filter(({ path }) => path === "/ping/check/fail");
  assert.deepEqual(JSON.parse(failed.text).summary.outcomes, { refused: 1 });
  assert.equal(JSON.parse(refused.text).error, "database_refused");
  assert.equal(app.requests.length, 6);
});

test("a tick does its work though nobody outside answers", async () => {
  const one = await pinging();
  const sessions = await world.signInMany(12);
  app.behave((_, { path }) => ({ status: 204, wait: path.endsWith("/start") ? 8_000 : 0 }));
  let began = Date.now();
  await one.tick();
  await assertRefreshedSince(began, sessions);
  await app.close();
  await allDue();
  began = Date.now();
  await one.tick();
  await assertRefreshedSince(began, sessions);
  assert.equal((await world.logged("not_pinged", 3)).at(-1).code, "unreachable");
  await app.comeBack();
});
