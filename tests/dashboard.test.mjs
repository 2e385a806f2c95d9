// The dashboard: in Chromium where its reader would see a difference, by plain requests where an attacker would.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { startBrowser } from "./support/browser.mjs";
import {
  ask,
  BASE,
  faults,
  fillWithLife,
  HOSTILE,
  KEY_ID,
  open,
  passOf,
  passUntil,
  signIn,
} from "./support/dashboard.mjs";
import { fill } from "./support/rows.mjs";
import { ago, INTERNAL_KEY, startWorld } from "./support/world.mjs";

const WIDE = { timeout: 120_000 };
const HOUR_MS = 60 * 60 * 1000;
const SHOTS = path.join(import.meta.dirname, "..", "target", "screenshots", "dashboard");
const NO_ID = "00000000-0000-4000-8000-000000000000";
let world;
let browser;
let page;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  [world, browser] = await Promise.all([startWorld(), startBrowser()]);
});
beforeEach(async () => {
  await world.reset();
  page = await open(browser);
});
afterEach(async () => {
  const { problems } = page;
  await page.context().close();
  assert.deepEqual(problems, []);
  world.check();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

const actions = async () => (await world.sql.query("select * from refresh_actions order by id")).rows;
const isEnabled = async (session) => (await world.row(session)).auto_refresh_enabled;
/** A page by its heading, to its end: what is below may come later. */
async function heading(name, on = page) {
  await on.getByRole("heading", { level: 1, name }).waitFor();
  await on.waitForLoadState();
}
const click = (name, on = page) => on.getByRole("button", { name }).click();
/** As it is laid out: cells of tables stand apart. */
const textOf = async (locator) => (await locator.allInnerTexts()).join("\n");
const text = (on = page) => textOf(on.locator("main"));

test("a wrong key opens nothing; the right one is good for an hour, by a cookie that does not hold it", async () => {
  const wrong = await ask(world, "", { form: { key: "another-key-0123456789" } });
  assert.deepEqual([wrong.status, wrong.headers.get("set-cookie")], [401, null]);
  assert.match(wrong.text, /That is not the key/);
  const right = await ask(world, "", { form: { key: INTERNAL_KEY } });
  assert.deepEqual([right.status, right.headers.get("location")], [303, BASE]);
  const cookie = right.headers.get("set-cookie");
  assert.match(cookie, /^keepalive_pass=[^;]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/);
  assert.ok(!cookie.includes(INTERNAL_KEY));
});

test("without a good pass no path shows anything, or does anything", WIDE, async () => {
  const session = await world.signIn();
  const places = ["", "/live?hours=24", "/sessions?query=ana", `/sessions/${session.id}`, `/runs/${NO_ID}`];
  const deeds = ["refresh", "enable", "disable"].map((deed) => `/sessions/${session.id}/${deed}`);
  const good = passUntil(Date.now() + HOUR_MS);
  assert.equal((await ask(world, "", { cookie: good })).status, 200, "the test knows how passes are signed");
  const passes = [undefined, passUntil(Date.now() - 1000), good.replace(/.$/, "x"), good.replace(".nonce.", ".other.")];
  for (const cookie of passes) {
    for (const place of places) {
      const { status, text: told } = await ask(world, place, { cookie });
      assert.equal(status, 401, place);
      assert.doesNotMatch(told, /example\.com|csrf/, place);
    }
    for (const deed of [...deeds, "/sign-out"])
      assert.equal((await ask(world, deed, { cookie, form: { csrf: "" } })).status, 401, deed);
  }
  assert.deepEqual([await actions(), await isEnabled(session), session.calls], [[], true, []]);
});

test("pages allow no code or style within them, nor being framed or kept", async () => {
  const { cookie } = await passOf(world);
  for (const place of ["", "/sessions?query=ana", `/sessions/${NO_ID}`, "/nowhere"]) {
    const { headers, text: told } = await ask(world, place, { cookie });
    const policy = headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/, place);
    assert.doesNotMatch(policy, /unsafe|\*|data:/, place);
    assert.match(headers.get("cache-control"), /no-store/, place);
    assert.doesNotMatch(told, /<style|style=|<script>|\son\w+=/, place);
  }
});

test("what another page sends in an operator's name is refused, and changes nothing", WIDE, async () => {
  const session = await world.signIn();
  const { cookie, csrf } = await passOf(world);
  const other = (await passOf(world)).csrf;
  const own = { origin: world.worker.url };
  const elsewhere = { origin: "https://evil.example" };
  const refused = [
    [{ csrf: "" }, own],
    [{}, own],
    [{ csrf: other }, own],
    [{ csrf }, elsewhere],
    [{ csrf }, {}],
    [{ csrf }, { origin: "null" }],
    [{ csrf }, { ...own, "sec-fetch-site": "cross-site" }],
    [{ csrf }, { ...own, "sec-fetch-site": "same-site" }],
  ];
  for (const [form, headers] of refused) {
    for (const deed of [`/sessions/${session.id}/disable`, `/sessions/${session.id}/refresh`, "/sign-out"]) {
      const { status, headers: told } = await ask(world, deed, { cookie, form, headers });
      assert.deepEqual([status, told.get("set-cookie")], [403, null], JSON.stringify([deed, form, headers]));
    }
  }
  // Nor may another page sign its visitor in.
  for (const headers of [elsewhere, {}, { ...own, "sec-fetch-site": "cross-site" }]) {
    const { status, headers: told } = await ask(world, "", { form: { key: INTERNAL_KEY }, headers });
    assert.deepEqual([status, told.get("set-cookie")], [403, null], JSON.stringify(headers));
  }
  assert.deepEqual([await actions(), await isEnabled(session), session.calls], [[], true, []]);
  assert.equal((await ask(world, `/sessions/${session.id}/disable`, { cookie, form: { csrf } })).status, 303);
  assert.equal(await isEnabled(session), false, "what the page's own form sends is done");
});

test("a method that a path doesn't take is told with those that it takes", async () => {
  const { cookie, csrf } = await passOf(world);
  const get = await ask(world, "/sign-out", { cookie });
  assert.deepEqual([get.status, get.headers.get("allow")], [405, "POST"]);
  const post = await ask(world, "/live", { cookie, form: { csrf } });
  assert.deepEqual([post.status, post.headers.get("allow")], [405, "GET"]);
});

test("an operator signs in, is told of a wrong key, and signs out for good", WIDE, async () => {
  await world.signIn({ due: true });
  await world.worker.tick();
  await signIn(page, world, "another-key-0123456789");
  await page.getByRole("alert").getByText("That is not the key").waitFor();
  await signIn(page, world);
  await heading("Sessions");
  assert.match(await text(), /Good: The only session is alive/);
  await click("Sign out");
  await page.getByLabel("Internal key").waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  await page.goBack();
  await page.getByLabel("Internal key").waitFor();
});

test("the overview tells of trouble, worst first, and of all that happened", WIDE, async () => {
  const { cat } = await fillWithLife(world);
  await signIn(page, world);
  await heading("Sessions");
  const told = await text();
  assert.match(told, /Bad: aimharder’s page is not recognised any more/);
  assert.match(told, /1 session failed at the last attempt/);
  assert.match(told, /Not delivered yet: 1 alert.*timed out/);
  assert.match(told, /cat@example\.com\s+Expired\s+aimharder says that the session is over/);
  assert.match(told, /Given up\s+aimharder did not answer in time \(10 times in a row\)/);
  assert.match(told, /cron\s+3\s+1\s.*1 expired, 1 upstream fault/);
  await page.getByText("The page’s outline", { exact: true }).first().click();
  await page.getByText("p.content > text 2").waitFor();
  // The alert leads to what was lost, the run to what failed in it.
  await page
    .getByRole("link", { name: cat.id.slice(0, 8) })
    .first()
    .click();
  await heading("cat@example.com");
  await page.getByRole("link", { name: "aimharder-keepalive" }).click();
  await page.locator("#runs-table").getByRole("link").first().click();
  await heading(/^Run of/);
  assert.match(await text(), /What went wrong: 1 expired, 1 upstream fault\./);
  await page.getByRole("link", { name: cat.id.slice(0, 8) }).click();
  await heading("cat@example.com");
});

test("the plots show a day or a week", WIDE, async () => {
  await fillWithLife(world);
  await signIn(page, world);
  const attempts = () => textOf(page.getByText(/attempts in the last/).first());
  await page
    .getByText(/attempts in the last/)
    .first()
    .waitFor();
  const day = await attempts();
  assert.match(day, /in the last 24 hours/);
  await page.getByRole("link", { name: "7 days" }).click();
  await page.waitForURL(/hours=168/);
  const count = (told) => Number(told.replaceAll(",", "").match(/\d+/)[0]);
  assert.ok(count(await attempts()) > 3 * count(day), `${await attempts()} after ${day}`);
});

test("sessions are found by a part of the e-mail and by id", WIDE, async () => {
  const { ana, eve } = await fillWithLife(world);
  await signIn(page, world);
  const search = async (query) => {
    await page.getByRole("searchbox").fill(query);
    await click("Search");
    // This query's page: the one before has such an address, too.
    await page.waitForURL(({ searchParams }) => searchParams.get("query") === query);
    return (await page.locator("tbody tr th").allInnerTexts()).sort();
  };
  assert.deepEqual(await search("ana@ex"), ["ana@example.com"]);
  assert.deepEqual(await search("example.com"), [
    "ana@example.com",
    "cat@example.com",
    "dan.of.a.very.long.name.indeed@mail.example.com",
    "eve@example.com",
  ]);
  assert.deepEqual(await search(eve.id), ["eve@example.com"]);
  assert.deepEqual(await search("%"), [], "a query is no pattern");
  assert.match(await text(), /No session has “%”/);
  await search(ana.id);
  await page.getByRole("link", { name: "ana@example.com" }).click();
  await heading("ana@example.com");
});

test("a session is disabled, enabled and refreshed, and it is recorded who did it", WIDE, async () => {
  const session = await world.signIn({ row: { signed_in_at: ago(60) } });
  await signIn(page, world);
  await page.goto(`${world.worker.url}${BASE}/sessions/${session.id}`);
  const status = async (words) => {
    await page.getByRole("status").filter({ hasText: words }).waitFor();
    await page.waitForLoadState();
  };
  await click("Disable");
  await status("The session is disabled");
  assert.equal(await isEnabled(session), false);
  await click("Enable");
  await status("looked after again");
  assert.equal(await isEnabled(session), true);
  await click("Refresh now");
  await status("The session was renewed");
  assert.ok(await world.isInStep(session));
  // One more click is no more than that for five seconds, from now on: the first may have taken a while to show.
  await world.set(session, { last_refresh_date: ago(0) });
  await click("Refresh now");
  await status("aimharder was not asked again");
  assert.equal(session.calls.length, 1);
  await world.set(session, { last_refresh_date: ago(60) });
  session.fail("server_error");
  await click("Refresh now");
  await status("was not renewed");
  assert.match(await textOf(page.locator("#attempts-table")), /aimharder failed on its side.*500/);
  assert.deepEqual(
    (await actions()).map(({ key_id, action, session_id }) => [key_id, action, session_id]),
    ["disable", "enable", "refresh", "refresh", "refresh"].map((action) => [KEY_ID, action, session.id]),
  );
  const told = await textOf(page.locator("#actions-table"));
  for (const action of ["disable", "enable", "refresh"]) assert.match(told, new RegExp(`${KEY_ID}\\s+${action}`));
});

test("a refresh is ended and recorded though its asker went to another page", WIDE, async () => {
  const session = await world.signIn({ row: { signed_in_at: ago(60) } });
  const { cookie, csrf } = await passOf(world);
  const release = session.hold();
  const leave = world.worker.callAndLeave(
    `${BASE}/sessions/${session.id}/refresh`,
    { cookie, origin: world.worker.url, "content-type": "application/x-www-form-urlencoded" },
    undefined,
    new URLSearchParams({ csrf }).toString(),
  );
  await world.until(() => session.calls.length === 1, "upstream was not asked");
  await leave();
  release();
  await world.until(async () => (await actions()).length === 1, "nothing was recorded");
  assert.ok(await world.isInStep(session));
  assert.equal((await world.row(session)).lease_holder, null);
});

test("a hostile e-mail address is text, wherever it stands", WIDE, async () => {
  const { ben } = await fillWithLife(world);
  await signIn(page, world);
  await page.locator("#trouble-table").getByRole("link", { name: HOSTILE }).waitFor();
  await page.getByRole("searchbox").fill(HOSTILE);
  await click("Search");
  assert.equal(await page.getByRole("searchbox").inputValue(), HOSTILE);
  await page.getByRole("link", { name: HOSTILE }).click();
  await heading(HOSTILE);
  assert.ok((await page.title()).startsWith(HOSTILE));
  assert.equal(await page.locator("script").count(), 1, "the page's own");
  assert.match(page.url(), new RegExp(ben.id));
});

test("the overview updates by itself, says when it can't, and recovers", WIDE, async () => {
  await page.clock.install();
  await world.signIn({ email: "ana@example.com", due: true });
  await world.worker.tick();
  await signIn(page, world);
  // Its script runs before it is loaded, and sets the timer that the clock is put forward to.
  await heading("Sessions");
  await page.getByText("Good: The only session is alive").waitFor();
  const session = await world.signIn({ email: "ben@example.com", due: true });
  session.killed = true;
  await world.worker.tick();
  await page.clock.runFor(10_000);
  await page.locator("#trouble-table").getByText("ben@example.com").waitFor();
  await page.getByText(/^Updated \d\d:\d\d:\d\d$/).waitFor();

  await page.route("**/live?*", (route) => route.abort());
  await page.clock.runFor(10_000);
  const stale = page.getByRole("status");
  await stale.getByText(/The server can’t be reached: not updated since \d\d:\d\d:\d\d/).waitFor();
  await page.screenshot({ path: path.join(SHOTS, "stale.png") });
  await page.unroute("**/live?*");
  world.breakCalls("overview", { status: 400, json: { code: "42501" } });
  await page.clock.runFor(20_000);
  await stale.getByText(/The server answered 5\d\d/).waitFor();
  world.supabase.gateway.fail(undefined);
  await page.clock.runFor(40_000);
  await page.waitForFunction(() => document.getElementById("stale").textContent === "");

  await page.context().clearCookies();
  await page.clock.runFor(10_000);
  await stale.getByText("You are signed out").waitFor();
  await stale.getByRole("link", { name: "sign in again" }).click();
  await page.getByLabel("Internal key").waitFor();
});

test("an update leaves what its reader opened, scrolled and focused as it was", WIDE, async () => {
  await page.clock.install();
  await fillWithLife(world);
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page, world);
  await heading("Sessions");
  const summary = page.getByText("The page’s outline", { exact: true }).first();
  await summary.click();
  await page.locator("#trouble-table").evaluate((box) => box.scrollTo(60, 0));
  const top = await page.evaluate(() => window.scrollY);
  await page.clock.runFor(10_000);
  await page.getByText(/^Updated/).waitFor();
  await page.getByText("p.content > text 2").waitFor();
  assert.equal(await page.locator("#trouble-table").evaluate((box) => box.scrollLeft), 60);
  assert.equal(await page.evaluate(() => window.scrollY), top);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "SUMMARY");
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [360, 1280]) {
    test(`axe finds nothing, and nothing is too wide: ${colorScheme}, ${width} pixels`, WIDE, async () => {
      const { cat } = await fillWithLife(world);
      const shown = await open(browser, { colorScheme, viewport: { width, height: 800 } });
      const look = async (name) => {
        await shown.waitForLoadState();
        const file = path.join(SHOTS, `${name}-${width}-${colorScheme}.png`);
        if (process.env.SCREENSHOTS) await shown.screenshot({ path: file, fullPage: true });
        assert.deepEqual(await faults(shown), [], name);
      };
      const visit = async (name, place) => {
        await shown.goto(`${world.worker.url}${BASE}${place}`);
        await look(name);
      };
      await signIn(shown, world, "another-key-0123456789");
      await shown.getByRole("alert").waitFor();
      await look("sign-in");
      await signIn(shown, world);
      await heading("Sessions", shown);
      await look("overview");
      const run = await shown.locator("#runs-table a").first().getAttribute("href");
      await visit("found", "/sessions?query=example");
      await visit("session", `/sessions/${cat.id}?notice=refresh_failed`);
      await visit("run", run.replace(BASE, ""));
      await visit("trouble", `/sessions/${NO_ID}`);
      assert.deepEqual(shown.problems, []);
      await shown.context().close();
    });
  }
}

test("everything works without JavaScript", WIDE, async () => {
  const session = await world.signIn({ due: true });
  await world.worker.tick();
  const plain = await open(browser, { javaScriptEnabled: false });
  await signIn(plain, world);
  await heading("Sessions", plain);
  await plain.getByRole("searchbox").fill("ana");
  await click("Search", plain);
  await plain.getByRole("link", { name: "ana@example.com" }).click();
  await click("Disable", plain);
  await plain.getByRole("status").getByText("The session is disabled").waitFor();
  assert.equal(await isEnabled(session), false);
  await click("Sign out", plain);
  await plain.getByLabel("Internal key").waitFor();
  assert.deepEqual(plain.problems, []);
  await plain.context().close();
});

test("with 100,000 sessions it opens as with ten: neither its queries nor its size grow", WIDE, async (t) => {
  const { cookie } = await passOf(world);
  await world.signInMany(10);
  await world.worker.tick();
  const few = await measured(cookie);
  await world.reset();
  // What is due is counted, too, but only up to 10,001.
  await fill(world.sql, 100_000, { due: 100 });
  await world.sql.query("update auth_sessions set consecutive_failures = 3 where right(id::text, 2) = '42'");
  await world.sql.query("vacuum analyze auth_sessions");
  await ask(world, "", { cookie }); // Counts all, for the first time; the next ones leave that to the ticks.
  const many = await measured(cookie);
  t.diagnostic(
    `opened in ${few.ms} ms with ten, in ${many.ms} ms with 100,000: ${(many.ms / few.ms).toFixed(2)} times`,
  );
  t.diagnostic(
    `pages of the database: ${few.pages} and ${many.pages}, of ${many.table}; answer: ${few.size} and ${many.size} bytes`,
  );
  assert.match(many.text, /100,000/);
  assert.ok(many.pages < 2000, `${many.pages} pages`);
  assert.ok(many.size < 100_000, `${many.size} bytes`);
});

/** How long the overview takes, in the middle of many; and what its query touches. */
async function measured(cookie) {
  const times = [];
  let told;
  for (let time = 0; time < 15; time += 1) {
    const start = performance.now();
    told = (await ask(world, "", { cookie })).text;
    times.push(performance.now() - start);
  }
  const client = await world.sql.connect();
  const explain = () => client.query("explain (analyze, buffers, format json) select overview('upstream', 24)");
  await explain(); // On a new connection much of the catalogue is read first.
  const { rows } = await explain();
  client.release();
  const plan = rows[0]["QUERY PLAN"][0].Plan;
  const table = await world.sql.query("select pg_relation_size('auth_sessions') / 8192 as pages");
  return {
    ms: Math.round(times.sort((a, b) => a - b)[7]),
    pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
    table: Number(table.rows[0].pages),
    size: told.length,
    text: told,
  };
}
