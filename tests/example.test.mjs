// The example app, as it is served by `npm start`, in a real browser: with the built Worker and the real database.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { startExample } from "../local/example.mjs";
import { freePort } from "../local/processes.mjs";
import { startBrowser } from "./support/browser.mjs";
import { startWorld } from "./support/world.mjs";

const { default: AxeBuilder } = await import(createRequire(import.meta.url).resolve("@axe-core/playwright"));
const WIDE = { timeout: 120_000 };
const SHOTS = path.join(import.meta.dirname, "..", "target", "screenshots");
let world;
let app;
let browser;
let page;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  const port = await freePort();
  world = await startWorld({ settings: { ALLOWED_ORIGINS: `http://127.0.0.1:${port}` } });
  const settings = {
    DEMO: "1",
    WORKER_URL: world.worker.url,
    SUPABASE_JWT_SECRET: world.supabase.jwtSecret,
    JWT_ISSUER: world.settings().JWT_ISSUER,
  };
  app = await startExample({ port, settings });
  browser = await startBrowser();
});
beforeEach(async () => {
  await world.reset();
  page = await open({});
});
afterEach(async () => {
  const problems = page.problems;
  await page.context().close();
  assert.deepEqual(problems, []);
  world.check();
});
after(async () => {
  await browser?.close();
  await app?.stop();
  await world?.stop();
});

async function open(options) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 900 }, ...options });
  const opened = await context.newPage();
  opened.problems = [];
  opened.on("pageerror", (error) => opened.problems.push(error.message));
  // What the CSP refuses, and what doesn't fit between server and browser, is told here.
  opened.on("console", (message) => {
    const isAnswer = /the server responded with a status of/.test(message.text());
    if (message.type() === "error" && !isAnswer) opened.problems.push(message.text());
  });
  return opened;
}

async function signIn(name, on = page) {
  await on.goto(app.url);
  await on.getByRole("button", { name: new RegExp(`${name}@example\\.com`) }).click();
  await on.waitForURL(`${app.url}/`);
}

const english = (on = page) => on.locator("button[name=language][value=en]").click();
const says = (text, on = page) => on.getByRole("status").filter({ hasText: text }).waitFor({ timeout: 30_000 });
const button = () => page.getByRole("button", { name: "Refresh now" });

test("a newcomer signs in and sees a due session being refreshed", WIDE, async () => {
  const session = await world.signIn({ due: true });
  await signIn("ana");
  await english();
  await says("Session is fresh");
  await page.getByText(/Last refresh just now/).waitFor();
  await world.until(async () => (await world.row(session)).refresh_count === 1, "nothing was refreshed");
  assert.equal(session.calls.length, 1);
  assert.equal(await button().getAttribute("aria-disabled"), "true");
  await page.getByText(/You can refresh again in 0:\d\d/).waitFor();
  await page.screenshot({ path: path.join(SHOTS, "refreshed.png"), fullPage: true });
});

test("by keyboard: a refresh, its failure and its reason", WIDE, async () => {
  const session = await world.signIn();
  await signIn("ana");
  await english();
  await says("Session is fresh");
  session.fail("throttled_seconds", { seconds: 120 });
  await button().focus();
  await page.keyboard.press("Enter");
  await says("Trouble refreshing");
  await says("aimharder asks for a pause. Your session is kept.");
  assert.equal(await button().evaluate((element) => element === document.activeElement), true, "the focus is lost");
  await page.screenshot({ path: path.join(SHOTS, "throttled.png"), fullPage: true });
});

test("an expired session says so once, and leads to a sign-in", WIDE, async () => {
  const session = await world.signIn({ due: true });
  session.fail("expired_login_redirect");
  await signIn("ana");
  await english();
  await says("Session has ended");
  await page.getByRole("alert").filter({ hasText: /\w/ }).first().waitFor();
  await page.screenshot({ path: path.join(SHOTS, "expired.png"), fullPage: true });
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(`${app.url}/aimharder`);
});

test("the token of ten minutes is for who is signed in, and for nobody else", WIDE, async () => {
  const anonymous = await fetch(`${app.url}/api/keepalive-token`);
  assert.deepEqual([anonymous.status, (await anonymous.json()).code], [401, "unauthorized"]);
  await world.signIn();
  await signIn("ana");
  const response = await page.request.get(`${app.url}/api/keepalive-token`);
  assert.equal(response.headers()["cache-control"], "no-store");
  const { token } = await response.json();
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  assert.deepEqual([claims.email, claims.aud, claims.exp - claims.iat], ["ana@example.com", "authenticated", 600]);
  const asAna = await world.worker.call("/api/auth/refresh", { headers: { authorization: `Bearer ${token}` } });
  assert.equal(asAna.status, 200);
  const cookie = (await page.context().cookies()).find(({ name }) => name === "session");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Lax"]);
});

test("another user on the same browser sees nothing of the first", WIDE, async () => {
  await world.signIn();
  const bruno = await world.signIn({ email: "bruno@example.com", due: true });
  await signIn("ana");
  await english();
  await says("Session is fresh");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/sign-in/);
  await signIn("bruno");
  await says("Session is fresh");
  await world.until(async () => (await world.row(bruno)).refresh_count === 1, "the second user's was not refreshed");
});

test("every state of the indicator, in both languages, light and dark, is accessible", WIDE, async () => {
  for (const colorScheme of ["light", "dark"]) {
    const shown = await open({ colorScheme, reducedMotion: "reduce" });
    await shown.goto(`${app.url}/states`);
    await shown.getByText("Session has ended").first().waitFor();
    await shown.getByText("La sesión ha terminado").first().waitFor();
    await shown.screenshot({ path: path.join(SHOTS, `states-${colorScheme}.png`), fullPage: true });
    // The same widget stands there many times under one name.
    const builder = new AxeBuilder({ page: shown }).disableRules(["landmark-unique"]);
    const { violations } = await builder.analyze();
    assert.deepEqual(
      violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`),
      [],
      colorScheme,
    );
    assert.deepEqual(shown.problems, []);
    await shown.context().close();
  }
});

test("the page after sign-in is accessible, and fits a phone", WIDE, async () => {
  await world.signIn({ due: true });
  for (const colorScheme of ["light", "dark"]) {
    const phone = await open({ colorScheme, viewport: { width: 320, height: 720 } });
    await signIn("ana", phone);
    await english(phone);
    await says("Session is fresh", phone);
    const { violations } = await new AxeBuilder({ page: phone }).analyze();
    assert.deepEqual(
      violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`),
      [],
      colorScheme,
    );
    const [width, scrollWidth] = await phone.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    assert.ok(scrollWidth <= width, `${scrollWidth} pixels wide`);
    await phone.screenshot({ path: path.join(SHOTS, `phone-${colorScheme}.png`), fullPage: true });
    assert.deepEqual(phone.problems, []);
    await phone.context().close();
  }
});
