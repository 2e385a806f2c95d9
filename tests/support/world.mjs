// All that a test of the Worker needs: the built Worker in workerd, a local Supabase of real parts, and the stand-in
// for aimharder.com.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startAimharder } from "../../local/aimharder.mjs";
import { cpuTime, processes, until } from "../../local/processes.mjs";
import { DEVELOPMENT_ISSUER, signToken, startSupabase } from "../../local/stack.mjs";
import { assertDocumented } from "./contract.mjs";

const require = createRequire(import.meta.url);
const ROOT = path.join(import.meta.dirname, "..", "..");
const BUILD = path.join(ROOT, "edge-worker", "build");
const { unstable_getMiniflareWorkerOptions: workerOptions } = require("wrangler");
// wrangler's own: npm's newest is of another line.
const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = createRequire(require.resolve("wrangler/package.json"))(
  "miniflare",
);

/**
 * On Cloudflare the clock stands still while nothing is waited for; here it would run on, and hide a loop that waits for
 * time to pass without waiting.
 */
const STILL_CLOCK = `
const RunningDate = globalThis.Date;
let moment;
const now = () => {
  if (moment === undefined) {
    moment = RunningDate.now();
    queueMicrotask(() => (moment = undefined));
  }
  return moment;
};
globalThis.Date = class extends RunningDate {
  constructor(...given) {
    super(...(given.length > 0 ? given : [now()]));
  }
  static now() {
    return now();
  }
};
`;

export const INTERNAL_KEY = "test-internal-key-0123456789";

/** The Worker as wrangler.toml describes it, in workerd. */
class Worker {
  /** `stillClock: false`: time passes as it does. `miniflare`: further options of its, such as another Worker's code. */
  constructor(settings, logs, options = {}) {
    const { queue = true, rateLimits = "wide", prelude = "", stillClock = true, miniflare = {} } = options;
    this.settings = settings;
    this.logs = logs;
    // JavaScript that goes before the Worker's.
    this.prelude = prelude;
    this.clock = stillClock ? STILL_CLOCK : "";
    this.more = miniflare;
    this.rateLimits = rateLimits;
    this.without = queue ? {} : { queueProducers: undefined, queueConsumers: undefined };
  }

  async start() {
    this.miniflare = new Miniflare(this.#options());
    return this.#started();
  }

  /** Deployed anew with other settings: no isolate of before is left, what Cloudflare keeps is. */
  async redeploy(settings, prelude = this.prelude) {
    Object.assign(this, { settings, prelude });
    await this.miniflare.setOptions(this.#options());
    return this.#started();
  }

  async #started() {
    this.url = String(await this.miniflare.ready).replace(/\/$/, "");
    return this;
  }

  #options() {
    const { workerOptions: fromToml } = workerOptions(path.join(ROOT, "wrangler.toml"));
    return convertV4MiniflareOptions({
      ...fromToml,
      ...this.without,
      ...this.#ratelimits(fromToml.ratelimits),
      ...this.#built(),
      // Not those of wrangler's options: a developer's .dev.vars is among them.
      bindings: this.settings,
      cf: false,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: (line) => this.logs.push(line),
      ...this.more,
    });
  }

  #built() {
    const index = path.join(BUILD, "index.js");
    const contents = `${this.clock}\n${this.prelude}\n${readFileSync(index, "utf8")}`;
    const modules = [
      { type: "ESModule", path: index, contents },
      { type: "CompiledWasm", path: path.join(BUILD, "index_bg.wasm") },
    ];
    return { rootPath: BUILD, modules };
  }

  /** "wide": out of the way of tests about something else. "real": wrangler.toml's. "none": no bindings. */
  #ratelimits(real) {
    if (this.rateLimits === "none") return { ratelimits: undefined };
    if (this.rateLimits === "real") return { ratelimits: real };
    const given = ([name, limit]) => [name, { ...limit, simple: { ...limit.simple, limit: 1e6 } }];
    return { ratelimits: Object.fromEntries(Object.entries(real).map(given)) };
  }

  /** Calls a route; answers `{ status, headers, body, text }`, which the contract must know. */
  async call(route, { method = "GET", headers = {}, json, body } = {}) {
    const sent = json === undefined ? body : JSON.stringify(json);
    const type = json === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(`${this.url}${route}`, {
      method,
      // workerd ends an idle connection after some seconds, perhaps just as a call sets out on it.
      headers: { ...type, connection: "close", ...headers },
      body: sent,
      redirect: "manual",
    });
    const text = await response.text();
    const answer = {
      status: response.status,
      headers: response.headers,
      text,
      body: text.startsWith("{") ? JSON.parse(text) : undefined,
    };
    assertDocumented(method, route, answer);
    return answer;
  }

  /**
   * Calls a route. The function that is answered hangs up, by a reset, since workerd takes no notice of less, and waits
   * until it has: what it is asked later it answers later.
   */
  callAndLeave(route, headers, json, body = json && JSON.stringify(json)) {
    const request = httpRequest(`${this.url}${route}`, { method: "POST", headers });
    request.on("error", () => {});
    request.end(body);
    return async () => {
      request.socket.resetAndDestroy();
      await sleep(100);
      await this.call("/healthz");
    };
  }

  /** What the cron trigger does. */
  async tick() {
    const worker = await this.miniflare.getWorker();
    return worker.scheduled({ cron: "* * * * *" });
  }

  /** What the queue does: one invocation for these bodies. Answers what became of each message, by its number. */
  async deliver(...bodies) {
    const worker = await this.miniflare.getWorker();
    const messages = bodies.map((body, index) => ({
      id: String(index),
      timestamp: new Date(),
      attempts: 1,
      ...(body instanceof Uint8Array ? { serializedBody: body } : { body }),
    }));
    return worker.queue("aimharder-keepalive-wake", messages);
  }

  batch(json = {}, key = INTERNAL_KEY) {
    return this.call("/api/internal/refresh-sessions", { method: "POST", json, headers: { "x-api-key": key } });
  }

  /** What workerd has used of the processors: of all that this process started. */
  cpuSeconds() {
    return childrenNamed("workerd").reduce((sum, { pid }) => sum + cpuTime(pid), 0) / 1000;
  }

  /** Ends workerd as a crash would. Miniflare starts it anew. */
  crash() {
    for (const { pid } of childrenNamed("workerd")) process.kill(pid, "SIGKILL");
  }

  stop() {
    return this.miniflare.dispose();
  }
}

function childrenNamed(name) {
  return processes().filter(({ parent, command }) => parent === process.pid && command.includes(name));
}

class World {
  logs = [];
  #extra = [];

  async start({ settings = {}, site = {}, supabase = {} }) {
    this.supabase = await startSupabase(supabase);
    this.site = await startAimharder(site);
    this.sql = this.supabase.sql;
    this.worker = await this.startWorker(settings);
    return this;
  }

  /** After each test: nobody asked the stand-in what nobody should ask. */
  check() {
    this.site.assertClean();
  }

  settings(changed = {}) {
    const settings = {
      AIMHARDER_REFRESH_URL: this.site.refreshUrl,
      AIMHARDER_FINGERPRINT: "fallbackfingerprint",
      SUPABASE_URL: this.supabase.url,
      SUPABASE_SERVICE_ROLE_KEY: this.supabase.serviceRoleKey,
      SUPABASE_JWT_SECRET: this.supabase.jwtSecret,
      JWT_ISSUER: DEVELOPMENT_ISSUER,
      INTERNAL_API_KEY: INTERNAL_KEY,
      // No call comes to nothing because the machine is busy.
      REFRESH_TIMEOUT_SECONDS: "10",
      SUBREQUEST_LIMIT: "10000",
      // Wide enough to be out of the way of tests about something else.
      UPSTREAM_MAX_IN_FLIGHT: "1000",
      UPSTREAM_CALLS_PER_SECOND: "10000",
      ...changed,
    };
    return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  }

  /** A further Worker, with other settings; one set to undefined is left out. */
  async startWorker(changed = {}, options = {}) {
    const worker = await new Worker(this.settings(changed), this.logs, options).start();
    this.#extra.push(worker);
    return worker;
  }

  /** Empties everything between two tests. */
  async reset() {
    this.supabase.gateway.fail(undefined);
    const statement = `
      truncate auth_sessions, refresh_runs, refresh_attempts, refresh_upstreams, refresh_slots, refresh_wishes,
        refresh_tallies, refresh_hours, refresh_samples, refresh_alerts, refresh_messages, refresh_actions cascade;
      update refresh_stock set counted_at = null, cost_ms = 0;
      update refresh_watch set last_tick_at = null, events_since = null`;
    // What an earlier test left under way takes its locks in another order.
    const again = (error) => (error.code === "40P01" ? this.sql.query(statement) : Promise.reject(error));
    await this.sql.query(statement).catch(again);
    for (const list of [
      this.logs,
      this.site.sessions,
      this.site.requests,
      this.site.violations,
      this.site.unexpected,
      this.supabase.gateway.calls,
    ]) {
      list.length = 0;
    }
    this.site.maxConcurrent = 0;
  }

  /** A session as the app stores it at sign-in. `due`: to be refreshed now. `row`: columns that differ. */
  async signIn({ email = "ana@example.com", due = false, row = {}, ...options } = {}) {
    const session = this.site.createSession(options);
    session.id = await this.store(session, { email, ...row });
    if (due) await this.set(session, { next_refresh_at: new Date(Date.now() - 60_000) });
    return session;
  }

  /** Calls of a function of the database, as the gateway saw them. */
  callsOf(name) {
    return this.supabase.gateway.calls.filter((call) => call.path.endsWith(`/${name}`));
  }

  /** Those that were answered: one that is only on its way may come behind whatever is done next. */
  answeredCallsOf(name) {
    return this.callsOf(name).filter(({ status }) => status);
  }

  /** Breaks the first `times` calls of a function. */
  breakCalls(name, fault, times = Infinity) {
    let broken = 0;
    this.supabase.gateway.fail(({ path }) => {
      if (!path.endsWith(`/${name}`) || broken >= times) return undefined;
      broken += 1;
      return fault;
    });
  }

  /** As many sessions of as many users, due for longer or shorter. */
  async signInMany(count, options = {}) {
    const sessions = Array.from({ length: count }, () => this.site.createSession(options));
    const rows = sessions.map((session, index) => ({
      user_email: `user${index}@example.com`,
      aimharder_token: session.token,
      aimharder_cookies: session.cookies,
      fingerprint: session.fingerprint,
      next_refresh_at: new Date(Date.now() - 60_000 - index),
    }));
    const names = Object.keys(rows[0]);
    const stored = await this.sql.query(
      `insert into auth_sessions (${names}) select ${names} from json_populate_recordset(null::auth_sessions, $1)
       returning id, user_email`,
      [JSON.stringify(rows)],
    );
    const ids = new Map(stored.rows.map((row) => [row.user_email, row.id]));
    for (const [index, session] of sessions.entries()) session.id = ids.get(`user${index}@example.com`);
    return sessions;
  }

  /** The sessions among these whose row is not what upstream would accept now. */
  async outOfStep(sessions) {
    const { rows } = await this.sql.query("select id, aimharder_token from auth_sessions");
    const tokens = new Map(rows.map((row) => [row.id, row.aimharder_token]));
    return sessions.filter((session) => !session.alive || !session.accepts(tokens.get(session.id)));
  }

  /** For tests with one fault after the other: upstream's trouble never keeps the next call from it, nor casts doubt. */
  async neverSpareUpstream() {
    await this.sql.query(`
      create function be_patient() returns trigger language plpgsql as $$
      begin
        new.breaker := 'closed';
        new.paused_until := '-infinity';
        return new;
      end $$;
      create trigger be_patient before update on refresh_upstreams for each row execute function be_patient();
      create or replace function doubt_refusals_of_all(p_results jsonb, p_moment timestamptz) returns jsonb
      language sql stable as $$ select p_results $$`);
  }

  /** Inserts a row for a session of the stand-in; answers its id. */
  async store(session, { email, ...row }) {
    const columns = {
      user_email: email,
      aimharder_token: session.token,
      aimharder_cookies: JSON.stringify(session.cookies),
      fingerprint: session.fingerprint,
      ...row,
    };
    const names = Object.keys(columns);
    const places = names.map((_, index) => `$${index + 1}`);
    const { rows } = await this.sql.query(
      `insert into auth_sessions (${names}) values (${places}) returning id`,
      Object.values(columns),
    );
    return rows[0].id;
  }

  async row(session) {
    const { rows } = await this.sql.query("select * from auth_sessions where id = $1", [session.id]);
    return rows[0];
  }

  async set(session, columns) {
    const names = Object.keys(columns).map((name, index) => `${name} = $${index + 2}`);
    await this.sql.query(`update auth_sessions set ${names} where id = $1`, [session.id, ...Object.values(columns)]);
  }

  async attempts(session) {
    const { rows } = await this.sql.query("select * from refresh_attempts where session_id = $1 order by fence", [
      session.id,
    ]);
    return rows;
  }

  /** Whether the row holds what upstream would accept now: nothing that it handed out was lost. */
  async isInStep(session) {
    const row = await this.row(session);
    const cookie = (name) => row.aimharder_cookies.find((stored) => stored.name === name)?.value;
    const kept = ["PHPSESSID", "amhrdrauth"].every((name) => cookie(name) === session.cookie(name));
    return kept && session.alive && session.accepts(row.aimharder_token);
  }

  /** Log lines of the Worker that are ours, parsed. */
  events(name) {
    const parsed = this.logs.map((line) => {
      try {
        return JSON.parse(line.message);
      } catch {
        return {};
      }
    });
    return name ? parsed.filter((line) => line.event === name) : parsed;
  }

  /** Waits for log lines, which come by another way than answers do. */
  async logged(name, count = 1) {
    await this.until(() => this.events(name).length >= count, `not logged: ${name}`);
    return this.events(name);
  }

  until(probe, problem) {
    return until(probe, { seconds: 30, every: 25, problem });
  }

  async stop() {
    for (const worker of this.#extra) await worker.stop().catch(() => {});
    await this.site.close();
    await this.supabase.stop();
  }
}

export function startWorld(options = {}) {
  return new World().start(options);
}

/** The claims of a signed-in user's access token. */
export function claims(changed = {}) {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return {
    iss: DEVELOPMENT_ISSUER,
    aud: "authenticated",
    role: "authenticated",
    sub: randomUUID(),
    email: "ana@example.com",
    exp,
    ...changed,
  };
}

/** A signed-in user's headers. */
export function as(email, secret) {
  return { authorization: `Bearer ${signToken(claims({ email }), secret)}` };
}

/** Moments so many seconds from now. */
export const ago = (seconds) => new Date(Date.now() - seconds * 1000);
export const ahead = (seconds) => new Date(Date.now() + seconds * 1000);
