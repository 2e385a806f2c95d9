// Pages of one client's app in Chromium, whose clock, network and server are ours. scripts.mjs plays on it.

import { Answer } from "./peers/server.mjs";
import { SECOND } from "./times.mjs";
import { watch } from "./watch.mjs";

const ORIGIN = "https://app.example";
const START = Date.UTC(2026, 0, 15, 8);

export const PAGE = `<!doctype html><html lang="en"><title>app</title>
<div id="root"></div><script type="module" src="/app.js"></script>`;

/**
 * Opens a client's app, runs `play(stage)`, and answers what it answers. `files`: the app's bundle. `step`: how far the
 * clock goes at once; an answer takes up to this.
 */
export async function onStage(browser, { client, files, tabs = 1, step = SECOND }, play) {
  const stage = new Stage(client, files, step);
  await stage.open(browser, tabs);
  try {
    const result = await play(stage);
    stage.check();
    return result;
  } finally {
    await stage.close();
  }
}

class Stage {
  /** The server's clock; the pages' are up to a step behind while it goes on. */
  now = START;
  /** What was asked and told so far, with the page's time and the tab. */
  asked = [];
  told = [];
  /** How often the server of a client refused what it was well asked: a session that it has ended. */
  refusals = 0;
  #answer;
  #isOffline = false;
  #inFront = 0;
  #faults = [];
  #context;
  #pages = [];

  constructor(client, files, step) {
    Object.assign(this, { client, files, step });
  }

  async open(browser, tabs) {
    this.#context = await browser.newContext();
    await this.#context.route("**/*", (route) => this.#serve(route));
    await this.#context.clock.install({ time: START - SECOND });
    await this.#context.clock.pauseAt(START);
    for (let tab = 0; tab < tabs; tab += 1) await this.#openTab(tab);
    await this.advance(5 * SECOND);
    for (const tab of this.#pages.keys()) {
      const isSignedIn = this.told.findLast((view) => view.tab === tab)?.signedIn;
      if (!isSignedIn) throw new Error(`${this.client.name} doesn't start: ${this.#faults}`);
    }
  }

  async #openTab(tab) {
    const page = await this.#context.newPage();
    await page.addInitScript(watch, tab + 1);
    page.on("pageerror", (error) => this.#faults.push(error.message));
    if (tab === 0) {
      await page.goto(`${ORIGIN}/seed`);
      await page.evaluate((items) => Object.assign(localStorage, items), this.client.seed?.(START) ?? {});
      const cookies = this.client.cookies?.(START) ?? [];
      await this.#context.addCookies(cookies.map((cookie) => ({ url: ORIGIN, ...cookie })));
    } else {
      await this.#become(tab - 1, "hidden");
    }
    this.#pages.push(page);
    this.#inFront = tab;
    await page.goto(`${ORIGIN}/`);
    await this.#note();
  }

  close() {
    return this.#context.close();
  }

  check() {
    if (this.#faults.length > 0) throw new Error(`${this.client.name}: ${this.#faults.join("; ")}`);
  }

  get tabs() {
    return this.#pages.length;
  }

  /** From now on the server answers this; nothing given: all is well again. `answer(client, now)`. */
  answerWith(answer) {
    this.#answer = answer;
  }

  /** The network goes or comes, and the pages are told. */
  async goOffline(isOffline) {
    this.#isOffline = isOffline;
    await this.#context.setOffline(isOffline);
    await this.#note();
  }

  /** Time goes by. */
  async advance(time) {
    const until = this.now + time;
    while (this.now < until) {
      this.now += this.step;
      await this.#context.clock.runFor(this.step);
      await this.#note();
    }
  }

  /** The machine sleeps: of the timers that fell due meanwhile each fires once. */
  async sleep(time) {
    this.now += time;
    await this.#context.clock.fastForward(time);
    await this.#note();
  }

  /** The user goes to another window and comes back. */
  async switchWindows() {
    await this.#become(this.#inFront, "hidden");
    await this.#become(this.#inFront, "visible");
    await this.#note();
  }

  async turnTo(tab) {
    await this.#become(this.#inFront, "hidden");
    this.#inFront = tab;
    await this.#become(tab, "visible");
    await this.#note();
  }

  async reload() {
    await this.#pages[this.#inFront].reload();
    await this.#note();
  }

  #become(tab, state) {
    return this.#pages[tab].evaluate((next) => window.bench.become(next), state);
  }

  /** Waits until no tab has anything to do, and notes what they did. */
  async #note() {
    let notes;
    do {
      notes = await Promise.all(this.#pages.map((page) => page.evaluate(() => window.bench.settle())));
      for (const [tab, { asked, told }] of notes.entries()) {
        const counted = asked.filter(({ pathname }) => this.client.endpoint.test(pathname));
        this.asked.push(...counted.map((call) => ({ ...call, tab })));
        this.told.push(...told.map((view) => ({ ...view, tab })));
      }
    } while (notes.some(({ asked, told }) => asked.length + told.length > 0));
  }

  #serve(route) {
    const request = route.request();
    const { pathname } = new URL(request.url());
    if (pathname === "/" || pathname === "/seed") {
      return route.fulfill({ contentType: "text/html", body: pathname === "/" ? PAGE : "" });
    }
    if (pathname === "/favicon.ico") return route.fulfill({ status: 204 });
    const file = this.files[pathname] ?? this.client.files?.[pathname];
    if (file) return route.fulfill(file);
    if (this.#isOffline) return route.abort("internetdisconnected");
    const { endpoint, log, serves } = this.client;
    if (![endpoint, log, serves].some((paths) => paths?.test(pathname))) {
      this.#faults.push(`an unexpected request, ${request.method()} ${pathname}`);
      return route.fulfill({ status: 501 });
    }
    if (this.#answer) return route.fulfill(this.#answer(this.client, this.now));
    const answer = log?.test(pathname) ? {} : this.client.well(request, this.now);
    if (answer.options?.status >= 400) this.refusals += 1;
    return route.fulfill(answer instanceof Answer ? answer.options : { json: answer });
  }
}
