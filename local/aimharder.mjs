// A stand-in for aimharder.com, on loopback. It keeps sessions that die when they aren't refreshed, rotates tokens
// and cookies, kills a session that is presented twice at once, and misbehaves on demand. It records what it was
// asked; what nobody should ask is answered 501 and kept in `unexpected`.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWERS, answer, EXPIRED, LOGGED_OUT, UPDATE_ANSWERS } from "./aimharder/faults.mjs";
import { firewallPage, JSON_TEXT, PAGE, shortPage } from "./aimharder/pages.mjs";
import { createLastingServer } from "./server.mjs";

const DAY_S = 24 * 60 * 60;

/** What one login made: a browser's cookies, and the token in its `localStorage`. */
class Session {
  #site;
  #fault;
  #inFlight = 0;
  #previous;

  constructor(site, { userId, fingerprint, lifetimeMs, latencyMs, rotation }) {
    this.#site = site;
    Object.assign(this, { userId, lifetimeMs, latencyMs, rotation });
    this.fingerprint = fingerprint ?? site.random("fingerprint", 50);
    this.cookies = ["AWSALB", "AWSALBCORS"].map((name) => ({ name, value: this.#affinity() }));
    this.cookies.push({ name: "PHPSESSID", value: site.random("php", 26) });
    this.cookies.push({ name: "amhrdrauth", value: `${userId}%7C${site.random("auth", 40)}==` });
    /** The requests that presented this session. */
    this.calls = [];
    this.killed = false;
    this.#issue();
  }

  #affinity() {
    return `${this.#site.random("alb", 60)}+/${this.#site.random("alb", 20)}=`;
  }

  #issue() {
    const exp = Math.floor(this.#site.now() / 1000) + 90 * DAY_S;
    this.#previous = this.token;
    this.token = `${this.userId}|${exp}|${this.#site.random("token", 32, "hex")}`;
    this.diesAt = this.#site.now() + this.lifetimeMs;
  }

  get alive() {
    return !this.killed && this.#site.now() < this.diesAt;
  }

  cookie(name) {
    return this.cookies.find((cookie) => cookie.name === name)?.value;
  }

  accepts(token) {
    return token === this.token || (this.rotation === "grace" && token === this.#previous);
  }

  /** Makes the next answers be these: `times` of them, or all until told otherwise. */
  fail(name, { times = Infinity, ...options } = {}) {
    if (![...ANSWERS, ...UPDATE_ANSWERS].includes(name)) throw new Error(`no such answer: ${name}`);
    this.#fault = { name, times, options };
  }

  heal() {
    this.#fault = undefined;
  }

  /** Keeps callers waiting until the answer, a function, is called. */
  hold() {
    let release;
    this.held = new Promise((resolve) => (release = resolve));
    return release;
  }

  nextAnswer() {
    const fault = this.#fault;
    if (!fault) return this.#site.mishap() ?? { name: "refreshed" };
    fault.times -= 1;
    if (fault.times <= 0) this.#fault = undefined;
    return fault;
  }

  /** Lives on from now: what a refresh does. */
  renew() {
    if (this.rotation === "same") this.diesAt = this.#site.now() + this.lifetimeMs;
    else this.#issue();
    return { token: this.token, fingerprint: this.fingerprint };
  }

  /** Cookies that each answer carries. */
  rotateAffinity() {
    const value = this.#affinity();
    this.cookies[0].value = this.cookies[1].value = value;
    const expires = new Date(this.#site.now() + 7 * DAY_S * 1000).toUTCString();
    return [
      `AWSALB=${value}; Expires=${expires}; Path=/`,
      `AWSALBCORS=${value}; Expires=${expires}; Path=/; SameSite=None; Secure`,
    ];
  }

  /** Counts a call as under way. Two at once kill the session. */
  enter(exchange) {
    this.#inFlight += 1;
    this.calls.push(exchange.record);
    exchange.response.once("close", () => (this.#inFlight -= 1));
    if (this.#inFlight < 2) return;
    this.killed = true;
    this.#site.violations.push(`user ${this.userId}: two calls at once`);
  }
}

/** One request and its response. */
class Exchange {
  constructor(site, request, response) {
    Object.assign(this, { site, request, response });
    this.url = new URL(request.url, site.url);
    this.query = Object.fromEntries(this.url.searchParams);
    this.record = {
      at: Date.now(),
      method: request.method,
      path: this.url.pathname,
      query: this.query,
      headers: request.headers,
    };
  }

  /** Reads the form that tokenUpdate is sent; answers what is wrong with it, if anything. */
  async readFields() {
    let body = "";
    for await (const chunk of this.request) body += chunk;
    const pairs = [...new URLSearchParams(body)];
    this.record.form = body;
    this.record.fields = Object.fromEntries(pairs);
    const names = pairs.map(([name]) => name).sort();
    const type = this.request.headers["content-type"];
    if (!/^application\/x-www-form-urlencoded(; *charset=utf-8)?$/i.test(type)) return `content type ${type}`;
    if (this.url.search) return "a query";
    if (names.join() !== "ciclo,fingerprint,token") return `fields ${names}`;
    return this.record.fields.ciclo === "1" ? undefined : "another ciclo";
  }

  /** Sends a head with a session's rotated cookies. */
  begin(headers, status = 200) {
    const own = [headers["Set-Cookie"] ?? []].flat();
    const affinity = this.session?.rotateAffinity() ?? [];
    const names = own.map((cookie) => cookie.split("=")[0]);
    const cookies = [...affinity.filter((cookie) => !names.includes(cookie.split("=")[0])), ...own];
    this.record.status = status;
    this.response.shouldKeepAlive = this.site.keepAlive;
    const all = { "Content-Type": "text/html; charset=UTF-8", ...headers, "Set-Cookie": cookies };
    const sent = Object.entries(all).filter(([, value]) => value !== undefined);
    this.response.writeHead(status, Object.fromEntries(sent));
  }

  send(status, body, headers = {}) {
    this.begin(headers, status);
    this.response.end(body);
  }

  reset() {
    this.request.socket.resetAndDestroy();
  }
}

class Site {
  #seed;
  #count = 0;
  #offset = 0;
  #defaults;
  #inFlight = 0;
  #byCookie = new Map();
  #badDay;

  constructor({
    seed = "aimharder",
    lifetimeMs = 30 * 60 * 1000,
    latencyMs = 0,
    rotation = "strict",
    expired = "expired_login_redirect",
    loggedOut = "logout_number",
    keepAlive = true,
  }) {
    this.#seed = seed;
    this.#defaults = { lifetimeMs, latencyMs, rotation };
    /** What a session that died is answered, by setrefresh and by tokenUpdate. */
    this.expired = expired;
    this.loggedOut = loggedOut;
    /** Whether connections are used again. workerd repeats a call by itself if it loses one that was. */
    this.keepAlive = keepAlive;
    this.sessions = [];
    this.requests = [];
    this.violations = [];
    this.unexpected = [];
    /** The most requests that were under way at once. */
    this.maxConcurrent = 0;
  }

  now() {
    return Date.now() + this.#offset;
  }

  /** Lets the site's time pass. */
  advance(ms) {
    this.#offset += ms;
  }

  /** Text that looks random and is the same in each run with one seed. */
  random(purpose, length, encoding = "base64url") {
    this.#count += 1;
    const digest = createHash("sha512").update(`${this.#seed} ${purpose} ${this.#count}`).digest(encoding);
    return digest.replace(/[-_]/g, "x").slice(0, length);
  }

  /** Has this share of all calls answered by one of these, until told otherwise: an upstream on a bad day. */
  badDay(share, names) {
    this.#badDay = share ? { share, names } : undefined;
  }

  /** What befalls the next call on such a day, if anything. */
  mishap() {
    if (!this.#badDay) return undefined;
    const draw = (purpose) => Number.parseInt(this.random(purpose, 8, "hex"), 16) / 2 ** 32;
    if (draw("mishap") >= this.#badDay.share) return undefined;
    const { names } = this.#badDay;
    return { name: names[Math.floor(draw("which") * names.length)], options: {} };
  }

  /** What a login makes. The same user can have several. */
  createSession(options = {}) {
    const session = new Session(this, { userId: 70_000 + this.sessions.length, ...this.#defaults, ...options });
    this.sessions.push(session);
    this.#byCookie.set(session.cookie("amhrdrauth"), session);
    return session;
  }

  async handle(request, response) {
    const exchange = new Exchange(this, request, response);
    this.#watch(exchange);
    const route = `${request.method} ${exchange.url.pathname}`;
    if (route === "GET /setrefresh" && hasBoth(exchange.query)) {
      exchange.form = PAGE;
      return this.#refresh(exchange, exchange.query.token, this.expired);
    }
    if (route === "POST /api/tokenUpdate") {
      exchange.form = JSON_TEXT;
      const wrong = await exchange.readFields();
      if (wrong) return this.#refuse(exchange, `${route}: ${wrong}`);
      return this.#refresh(exchange, exchange.record.fields.token, this.loggedOut);
    }
    if (route === "GET /" && !request.headers.cookie)
      return exchange.send(200, this.#overview(), { "Content-Type": "application/json" });
    this.#refuse(exchange, `${route} ${Object.keys(exchange.query)}`);
  }

  #refuse(exchange, what) {
    this.unexpected.push(what);
    exchange.send(501, "nobody should ask this\n");
  }

  #watch({ record, response }) {
    this.requests.push(record);
    this.#inFlight += 1;
    this.maxConcurrent = Math.max(this.maxConcurrent, this.#inFlight);
    response.once("close", () => {
      this.#inFlight -= 1;
      record.end = Date.now();
    });
  }

  /** The session whose cookies a request holds. */
  #find(exchange) {
    const header = exchange.request.headers.cookie ?? "";
    const cookies = Object.fromEntries(
      header.split("; ").map((pair) => [pair.split("=", 1)[0], pair.slice(pair.indexOf("=") + 1)]),
    );
    const found = this.#byCookie.get(cookies.amhrdrauth);
    if (found) found.enter(exchange);
    exchange.session = found;
    exchange.record.userId = found?.userId;
    return found?.cookie("PHPSESSID") === cookies.PHPSESSID ? found : undefined;
  }

  async #refresh(exchange, token, expired) {
    if (!/^Mozilla\/5\.0 /.test(exchange.request.headers["user-agent"] ?? "")) return exchange.send(403, firewallPage);
    const session = this.#find(exchange);
    if (session?.latencyMs) await sleep(session.latencyMs);
    await session?.held;
    const { name, options } = session?.alive && session.accepts(token) ? session.nextAnswer() : { name: expired };
    exchange.record.answer = name;
    await answer(exchange, name, options);
  }

  #overview() {
    const sessions = this.sessions.map((session) => ({
      user: session.userId,
      alive: session.alive,
      diesAt: new Date(session.diesAt).toISOString(),
      refreshes: session.calls.filter((call) => call.answer === "refreshed").length,
    }));
    const last = this.requests.slice(-20).map(({ at, path, userId, answer, status }) => ({
      at: new Date(at).toISOString(),
      path,
      user: userId,
      answer,
      status,
    }));
    const { unexpected, violations } = this;
    return JSON.stringify({ sessions, lastRequests: last, unexpected, violations }, null, 2);
  }

  /** Throws if anything happened that must not. */
  assertClean() {
    const wrong = [...this.unexpected.map((what) => `unexpected request: ${what}`), ...this.violations];
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
  }
}

function hasBoth({ token, fingerprint }) {
  return token !== undefined && fingerprint !== undefined;
}

/** Starts the stand-in. Answers the site, with `url`, `refreshUrl`, `updateUrl` and `close()`. */
export async function startAimharder({ port = 0, ...options } = {}) {
  const site = new Site(options);
  const server = createLastingServer((request, response) => {
    site.handle(request, response).catch((error) => {
      site.unexpected.push(`the stand-in failed: ${error.message}`);
      response.destroy();
    });
  });
  const listen = (on) =>
    new Promise((resolve, reject) => server.once("error", reject).listen(on, "127.0.0.1", resolve));
  await listen(port);
  const own = server.address().port;
  site.url = `http://127.0.0.1:${own}`;
  site.refreshUrl = `${site.url}/setrefresh`;
  site.updateUrl = `${site.url}/api/tokenUpdate`;
  site.close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  /** After `close()`: there again, at the same address and with the same sessions. */
  site.comeBack = () => listen(own);
  return site;
}

/** Names of the answers that can be asked for with `session.fail`. */
export { ANSWERS, EXPIRED, LOGGED_OUT, shortPage, UPDATE_ANSWERS };
