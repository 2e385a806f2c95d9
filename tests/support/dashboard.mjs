// The dashboard's visitors: by plain requests, and in a browser; and a database in which everything that it shows happened.

import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { INTERNAL_KEY } from "./world.mjs";

const { default: AxeBuilder } = await import(createRequire(import.meta.url).resolve("@axe-core/playwright"));

export const BASE = "/api/internal/dashboard";
export const HOSTILE = `"><script>alert(1)</script>@x.com`;

const digest = (text) => createHmac("sha256", INTERNAL_KEY).update(`aimharder-keepalive ${text}`).digest("hex");

/** How the Worker names the tests' key. */
export const KEY_ID = digest("key id").slice(0, 8);

/** A pass's cookie as the Worker signs it, good until `end`. */
export function passUntil(end) {
  const value = `${end}.nonce`;
  return `keepalive_pass=${value}.${digest(`dashboard pass ${value}`)}`;
}

/** Asks for a path below the dashboard's; `form`: what is posted, from a page of the dashboard unless `headers` differ. */
export async function ask(world, path, { cookie, form, headers = { origin: world.worker.url } } = {}) {
  const response = await fetch(`${world.worker.url}${BASE}${path}`, {
    method: form ? "POST" : "GET",
    // As in world.mjs: an idle connection may be ended just as a call sets out on it.
    headers: { connection: "close", ...(cookie && { cookie }), ...(form && headers) },
    body: form && new URLSearchParams(form),
    redirect: "manual",
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Signs in by plain requests; answers the cookie, and what forms have to carry. */
export async function passOf(world) {
  const { headers } = await ask(world, "", { form: { key: INTERNAL_KEY } });
  const cookie = headers.get("set-cookie").split(";")[0];
  const { text } = await ask(world, "", { cookie });
  return { cookie, csrf: text.match(/name="csrf" value="([^"]+)"/)[1] };
}

/** A page in a context of its own. `problems`: errors of scripts, and whatever the page's policy refused. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("dialog", (dialog) => page.problems.push(`it says ${dialog.message()}`));
  page.on("console", (message) => {
    // That an answer is no success is what some tests are about.
    const isAnswer = message.text().startsWith("Failed to load resource");
    if (["error", "warning"].includes(message.type()) && !isAnswer) page.problems.push(message.text());
  });
  return page;
}

/** Signs in as an operator does. */
export async function signIn(page, world, key = INTERNAL_KEY) {
  await page.goto(`${world.worker.url}${BASE}`);
  await page.getByLabel("Internal key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** What axe finds, and whether the page is wider than its window. */
export async function faults(page) {
  const { violations } = await new AxeBuilder({ page }).options({ resultTypes: ["violations"] }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
  const [width, scrollWidth] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
  return scrollWidth > width ? [...found, `${scrollWidth} pixels wide`] : found;
}

/** Sessions in every state, a day of history, a tick that refreshed and failed, alerts, and a message that waits. */
export async function fillWithLife(world) {
  await history(world.sql);
  const sessions = {
    ana: await world.signIn({ email: "ana@example.com", due: true }),
    ben: await world.signIn({ email: HOSTILE, due: true }),
    cat: await world.signIn({ email: "cat@example.com", due: true }),
    dan: await world.signIn({ email: "dan.of.a.very.long.name.indeed@mail.example.com" }),
    eve: await world.signIn({ email: "eve@example.com" }),
  };
  sessions.ben.fail("server_error");
  sessions.cat.killed = true;
  await world.set(sessions.eve, { auto_refresh_enabled: false });
  await world.worker.tick();
  await world.set(sessions.dan, {
    refresh_state: "exhausted",
    consecutive_failures: 10,
    last_refresh_error: "timed_out",
  });
  await trouble(world.sql, sessions);
  // The tick counts while its run goes on: before it, or behind.
  await world.sql.query("update refresh_stock set counted_at = null; select count_sessions()");
  return sessions;
}

function history(sql) {
  return sql.query(`
    insert into refresh_hours (hour, kind, label, count, extra, sum_ms, buckets)
    select date_trunc('hour', now()) - n * interval '1 hour', 'attempt', label, count, count, count * 300,
      array[0, 0, count / 4, count / 4, count / 4, count / 4, 0, 0, 0, 0, 0]
    from generate_series(1, 160) n,
      lateral (values ('refreshed', 400 + n % 7 * 40), ('throttled', n % 5 * 8), ('timed_out', n % 3 * 4)) told (label, count);
    insert into refresh_samples (at, due, oldest_age_seconds, active, late, attempts, failures)
    select now() - n * interval '10 minutes', n % 40, 1200 + n % 12 * 20, 1000, 0, 0, 0 from generate_series(1, 960) n`);
}

async function trouble(sql, { cat }) {
  const outline = "text/html, 912 bytes\nhtml\n  body\n    p.content > text 2";
  // The tick before may have found one or the other itself.
  await sql.query("delete from refresh_alerts");
  await sql.query(
    `insert into refresh_alerts (kind, since, over_at, told_at, details) values
       ('markup_changed', now() - interval '9 minutes', null, null, $1),
       ('sessions_lost', now() - interval '5 minutes', null, now(), $2),
       ('breaker_open', now() - interval '3 hours', now() - interval '2 hours', now() - interval '3 hours', '{}')`,
    [
      { sessions: 3, outline },
      { expired: 1, exhausted: 1, sessionIds: [cat.id] },
    ],
  );
  await sql.query(`insert into refresh_messages (kind, body, created_at, next_try_at, tries, last_error)
    values ('alert', '{}', now() - interval '8 minutes', now() + interval '1 hour', 4, 'timed_out')`);
}
