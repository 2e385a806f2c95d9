// One client in one script: a page in Chromium whose clock and whose server are ours.

import { Answer } from "./peers/server.mjs";
import { AWAY } from "./times.mjs";
import { switchWindows, watch } from "./watch.mjs";

const ORIGIN = "https://app.example";
const START = Date.UTC(2026, 0, 15, 8);
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** For how long a recovery is waited for. */
const PATIENCE = 30 * MINUTE;

/** How far the clock goes at once: an answer takes up to this. */
const STEP = SECOND;

const PAGE = `<!doctype html><html lang="en"><title>app</title>
<div id="root"></div><script type="module" src="/app.js"></script>`;
const HTML_503 = "<!doctype html><title>503</title><h1>Service Unavailable</h1>";

export const SCRIPTS = [
  {
    name: "429 with Retry-After: 120 for two minutes, another window and back every 10 s",
    hasRetryAfter: true,
    lasts: 2 * MINUTE,
    every: 10 * SECOND,
    answer: (client, now) => ({
      status: 429,
      headers: { "retry-after": "120" },
      json: client.throttled(now),
    }),
  },
  {
    name: "503 with an HTML page for an hour, another window and back every minute, a reload after half an hour",
    lasts: 60 * MINUTE,
    every: MINUTE,
    reloadAt: 30 * MINUTE,
    answer: () => ({ status: 503, contentType: "text/html", body: HTML_503 }),
  },
];

/** Plays a script to a client. `files`: its bundle. Answers what it asked, and what it told its app. */
export async function play(browser, { client, files, script }) {
  const stage = new Stage(client, files, script);
  await stage.open(browser);
  try {
    return await stage.play();
  } finally {
    await stage.close();
  }
}

class Stage {
  #now = START;
  #trouble = false;
  #asked = [];
  #told = [];
  #faults = [];
  #context;
  #page;

  constructor(client, files, script) {
    Object.assign(this, { client, files, script });
  }

  async open(browser) {
    this.#context = await browser.newContext();
    await this.#context.route("**/*", (route) => this.#answer(route));
    await this.#context.clock.install({ time: START - SECOND });
    await this.#context.clock.pauseAt(START);
    await this.#context.addInitScript(watch);
    this.#page = await this.#context.newPage();
    this.#page.on("pageerror", (error) => this.#faults.push(error.message));
    await this.#page.goto(`${ORIGIN}/seed`);
    await this.#page.evaluate((items) => Object.assign(localStorage, items), this.client.seed?.(START) ?? {});
    await this.#context.addCookies((this.client.cookies?.(START) ?? []).map((cookie) => ({ url: ORIGIN, ...cookie })));
    await this.#page.goto(`${ORIGIN}/`);
    await this.#advance(5 * SECOND);
    if (!this.#told.at(-1)?.signedIn) throw new Error(`${this.client.name} doesn't start: ${this.#faults}`);
  }

  close() {
    return this.#context.close();
  }

  async play() {
    this.#trouble = true;
    await this.#context.clock.fastForward(AWAY);
    this.#now += AWAY;
    await this.#note();
    const start = this.#now;
    for (let at = 0; at < this.script.lasts; at += this.script.every) {
      if (at === this.script.reloadAt) await this.#reload();
      await this.#round();
    }
    this.#trouble = false;
    const end = this.#now;
    const isBack = () => this.#told.find(({ at, fresh }) => at >= end && fresh);
    while (!isBack() && this.#now < end + PATIENCE) await this.#round();
    const back = isBack();
    if (!back) {
      await this.#reload();
      await this.#advance(MINUTE);
    }
    if (this.#faults.length > 0) throw new Error(`${this.client.name}: ${this.#faults.join("; ")}`);
    return { start, end, back, reloaded: back ? undefined : isBack(), ...this.#during(start, end) };
  }

  #during(start, end) {
    const asked = this.#asked.filter(({ at }) => at >= start && at < end);
    const tooEarly = asked.filter(({ at }) => at > asked[0].at && at < asked[0].at + 120 * SECOND);
    const signedOut = this.#told.find(({ at, signedIn }) => at >= start && !signedIn);
    const worstAt = signedOut?.at ?? end - 1;
    const worst = this.#told.findLast(({ at }) => at <= worstAt);
    return {
      requests: asked.length,
      tooEarly: this.script.hasRetryAfter ? tooEarly.length : undefined,
      signedOut,
      worst,
    };
  }

  /** The user comes back, and stays until the next time. */
  async #round() {
    await this.#page.evaluate(switchWindows);
    await this.#note();
    await this.#advance(this.script.every);
  }

  async #reload() {
    await this.#page.reload();
    await this.#note();
  }

  async #advance(time) {
    const until = this.#now + time;
    while (this.#now < until) {
      await this.#context.clock.runFor(STEP);
      this.#now += STEP;
      await this.#note();
    }
  }

  async #note() {
    const { asked, told } = await this.#page.evaluate(() => window.bench.settle());
    this.#asked.push(...asked.filter(({ pathname }) => this.client.endpoint.test(pathname)));
    this.#told.push(...told);
  }

  #answer(route) {
    const request = route.request();
    const { pathname } = new URL(request.url());
    if (pathname === "/" || pathname === "/seed") {
      return route.fulfill({ contentType: "text/html", body: pathname === "/" ? PAGE : "" });
    }
    if (pathname === "/favicon.ico") return route.fulfill({ status: 204 });
    const file = this.files[pathname] ?? this.client.files?.[pathname];
    if (file) return route.fulfill(file);
    const { endpoint, log, serves } = this.client;
    if (![endpoint, log, serves].some((paths) => paths?.test(pathname))) {
      this.#faults.push(`an unexpected request, ${request.method()} ${pathname}`);
      return route.fulfill({ status: 501 });
    }
    if (this.#trouble) return route.fulfill(this.script.answer(this.client, this.#now));
    const answer = log?.test(pathname) ? {} : this.client.well(request, this.#now);
    return route.fulfill(answer instanceof Answer ? answer.options : { json: answer });
  }
}
