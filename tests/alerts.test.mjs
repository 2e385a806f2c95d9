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

// An outage of each kind: how it begins, how it ends, and what is told of it.
const OUTAGES = {
  failure_rate: {
    async begin() {
      await ticks(1);
      await world.signInMany(12);
      failAll("expired_short_page");
    },
    async end() {
      await later(11);
      await healAll();
    },
    details: { attempts: 12, failures: 12, minutes: 10 },
  },
  oldest_due: {
    async begin() {
      await upstream({ paused_until: ahead(DAY_S) });
      await world.signIn({ due: true, row: { signed_in_at: ago(40 * 60), created_at: ago(40 * 60) } });
    },
    end: () => upstream({}),
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
    },
    end: () => later(HOUR + 1),
    details: { expired: 8, exhausted: 0 },
  },
  markup_changed: {
    async begin() {
      await world.signInMany(4, { rotation: "grace" });
      failAll("markup_changed");
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

test("an alert shows how the unknown page is built, and nothing that it says", async () => {
  await OUTAGES.markup_changed.begin();
  await ticks(2);
  const [{ details }] = told("markup_changed");
  assert.match(details.outline, /html[^]*body[^]*div[^]*script/);
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
