// `npm start`: the local stack, the Worker under `wrangler dev`, a few sessions, and a cron tick each minute.

import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { startAimharder } from "./aimharder.mjs";
import { build } from "./build.mjs";
import { buildExample, startExample } from "./example.mjs";
import { assertFree, until } from "./processes.mjs";
import { seed } from "./seed.mjs";
import { DEVELOPMENT, readSettings } from "./settings.mjs";
import { asProgram } from "./setup.mjs";
import { postgrestBinary, signToken, startSupabase } from "./stack.mjs";
import { takeState } from "./state.mjs";
import { startWrangler } from "./wrangler.mjs";

const TICK_MS = 60_000;
const LONGEST_TICK_MS = 90_000;

const say = (text = "") => console.log(text);
const started = [];

/** Ends what was started, the last first. */
async function stopAll() {
  while (started.length > 0)
    await started
      .pop()()
      .catch(() => {});
}

async function main() {
  const { given, ports, state } = readSettings();
  checkTogether(given);
  if (!given.SUPABASE_URL) postgrestBinary();
  const release = await takeState(state);
  started.push(async () => release());
  await assertFree(ports.WORKER_PORT, "the Worker", "WORKER_PORT");
  const isDemo = !given.SUPABASE_URL && !given.AIMHARDER_REFRESH_URL;
  if (isDemo) await assertFree(ports.APP_PORT, "the example app", "APP_PORT");
  await build();
  if (isDemo) await buildExample();
  const origins = [`http://127.0.0.1:${ports.APP_PORT}`, `http://localhost:${ports.APP_PORT}`];
  const settings = { ...DEVELOPMENT, ALLOWED_ORIGINS: origins.join(","), ...given };
  // The demo's sessions were invented here: they never meet a real aimharder.
  const data = path.join(state, isDemo ? "postgres" : "postgres-without-demo");
  const supabase = given.SUPABASE_URL ? undefined : await startLocalSupabase(ports, data, settings);
  const site = given.AIMHARDER_REFRESH_URL ? undefined : await startLocalAimharder(ports, settings);
  if (isDemo) await seed(supabase.sql, site);
  const worker = await startWrangler({ port: ports.WORKER_PORT, settings, state, log: showWorkerLine });
  started.push(worker.stop);
  worker.ended.then(({ code, signal }) => {
    if (!ending) end(1, `wrangler dev ended by itself (${signal ?? code}):\n${worker.lastLines()}`);
  });
  await tickOnce(worker, supabase);
  const app = isDemo ? await startApp(ports, worker, settings) : undefined;
  showWhatToTry({ worker, supabase, site, app, settings, own: given });
  setInterval(() => tickOnce(worker, supabase).catch((error) => say(`cron tick: ${error.message}`)), TICK_MS);
  say(`ready worker=${worker.url} supabase=${settings.SUPABASE_URL}`);
}

/** Refuses what would hurt: a database's own sessions must not meet the stand-in, which knows none of them. */
function checkTogether(given) {
  const names = ["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_JWT_SECRET", "JWKS_URL"];
  const missing = [];
  if (!given.SUPABASE_SERVICE_ROLE_KEY) missing.push("SUPABASE_SERVICE_ROLE_KEY");
  if (!given.SUPABASE_JWT_SECRET && !given.JWKS_URL) missing.push("SUPABASE_JWT_SECRET (or JWKS_URL)");
  if (given.SUPABASE_URL && missing.length > 0) {
    throw new Error(`SUPABASE_URL is given, so ${missing.join(" and ")} must be, too.`);
  }
  if (given.SUPABASE_URL && !given.AIMHARDER_REFRESH_URL) {
    throw new Error(
      "SUPABASE_URL is given, so AIMHARDER_REFRESH_URL must be, too: the stand-in would tell that your sessions are over.",
    );
  }
  if (!given.SUPABASE_URL && names.some((name) => given[name])) {
    throw new Error("A Supabase key or secret is given without SUPABASE_URL: the local stack has its own.");
  }
}

async function startLocalSupabase(ports, dataDir, settings) {
  const supabase = await startSupabase({ port: ports.SUPABASE_PORT, databasePort: ports.DATABASE_PORT, dataDir });
  started.push(supabase.stop);
  Object.assign(settings, {
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    SUPABASE_JWT_SECRET: supabase.jwtSecret,
  });
  settings.JWT_ISSUER ??= `${supabase.url}/auth/v1`;
  return supabase;
}

async function startLocalAimharder(ports, settings) {
  await assertFree(ports.AIMHARDER_PORT, "the stand-in for aimharder.com", "AIMHARDER_PORT");
  const site = await startAimharder({ port: ports.AIMHARDER_PORT, latencyMs: 120 });
  started.push(site.close);
  settings.AIMHARDER_REFRESH_URL = site.refreshUrl;
  return site;
}

let ticking;

function tickOnce(...world) {
  ticking = tick(...world);
  return ticking;
}

async function startApp(ports, worker, { SUPABASE_JWT_SECRET, JWT_ISSUER }) {
  const settings = { DEMO: "1", WORKER_URL: worker.url, SUPABASE_JWT_SECRET, JWT_ISSUER };
  const app = await startExample({ port: ports.APP_PORT, settings });
  started.push(app.stop);
  return app;
}

/** Fires the cron trigger and shows what it did to each session. */
async function tick(worker, supabase) {
  const before = new Date();
  const told = runsShown;
  const response = await worker.tick();
  if (!response.ok) return say(`cron tick: the Worker answered ${response.status}`);
  // Its log comes by another way than its answer.
  await until(() => runsShown > told, { seconds: 5 }).catch(() => {});
  if (!supabase) return undefined;
  const { rows } = await supabase.sql.query(
    `select session.user_email, attempt.outcome, attempt.upstream_status, attempt.tries, attempt.duration_ms,
            session.refresh_state, session.refresh_count, session.next_refresh_at
     from refresh_attempts attempt join auth_sessions session on session.id = attempt.session_id
     where attempt.finished_at >= $1 order by session.user_email`,
    [before],
  );
  for (const row of rows) {
    const calls = `${row.tries} ${row.tries === 1 ? "call" : "calls"}, last answer ${row.upstream_status ?? "none"}, ${row.duration_ms} ms`;
    const next = row.refresh_state === "active" ? `next at ${clock(row.next_refresh_at)}` : "waits for a sign-in";
    say(
      `  ${row.user_email.padEnd(24)} ${row.outcome.padEnd(14)} ${calls}; refreshed ${row.refresh_count} times, ${row.refresh_state}, ${next}`,
    );
  }
}

const clock = (date) => date.toTimeString().slice(0, 8);

let runsShown = 0;

/** Runs are worth a line of prose, failures their JSON; the rest is wrangler's talk. */
function showWorkerLine(line) {
  const text = stripVTControlCharacters(line);
  const json = text.slice(Math.max(0, text.indexOf("{")));
  const told = parse(json);
  if (told?.event === "run") {
    runsShown += 1;
    const { claimed, refreshed, expired, failed, remaining, durationMs } = told.summary;
    say(
      `${clock(new Date())} ${told.trigger} run: claimed ${claimed}, refreshed ${refreshed}, expired ${expired}, failed ${failed}, remaining ${remaining ?? "unknown"}, ${durationMs} ms`,
    );
  } else if (told?.event && told.event !== "attempt_failed") {
    say(`${clock(new Date())} worker: ${json}`);
  } else if (/\bERROR\b/.test(text)) {
    say(`wrangler: ${text.trim()}`);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function showWhatToTry({ worker, supabase, site, app, settings, own }) {
  say();
  if (app) {
    say(
      `Open ${app.url} in a browser. Sign in as ana@example.com, or as gala@example.com, whom the cron leaves alone.`,
    );
    say();
  }
  say(`The operators' dashboard is ${worker.url}/api/internal/dashboard, its key`);
  say(`${own.INTERNAL_API_KEY ? "your INTERNAL_API_KEY" : settings.INTERNAL_API_KEY}.`);
  say();
  say("Try:");
  say(`  curl ${worker.url}/healthz`);
  if (supabase) {
    const exp = Math.floor(Date.now() / 1000) + 24 * 60 * 60;
    const token = signToken(
      { iss: settings.JWT_ISSUER, aud: "authenticated", sub: "1", email: "ana@example.com", exp },
      settings.SUPABASE_JWT_SECRET,
    );
    say("  # as ana@example.com, with a token of the development secret, valid for a day:");
    say(`  TOKEN=${token}`);
    say(`  curl -H "Authorization: Bearer $TOKEN" ${worker.url}/api/auth/refresh`);
    say(`  curl -H "Authorization: Bearer $TOKEN" -X POST ${worker.url}/api/auth/refresh`);
    say(`  curl -H "Authorization: Bearer $TOKEN" ${worker.url}/api/auth/aimharder`);
  }
  const key = own.INTERNAL_API_KEY ? "$INTERNAL_API_KEY" : settings.INTERNAL_API_KEY;
  say(`  curl -H "x-api-key: ${key}" -X POST ${worker.url}/api/internal/refresh-sessions`);
  say("  npm run ops -- status");
  if (supabase)
    say(`  psql ${supabase.databaseUrl} -c 'select user_email, refresh_state, last_refresh_date from auth_sessions'`);
  if (site) say(`  curl ${site.url}/    # what the stand-in for aimharder.com was asked`);
  say();
  say("The cron trigger fires every minute. Ctrl-C ends everything.");
}

let ending = false;

/** Ends all, once the tick under way is over: a token that was handed out is to be written. A second call ends at once. */
async function end(code, why) {
  if (ending) process.exit(code);
  ending = true;
  if (why) say(`\n${why}`);
  await Promise.race([ticking?.catch(() => {}), sleep(LONGEST_TICK_MS)]);
  await stopAll();
  process.exit(code);
}

await asProgram(
  async () => {
    try {
      await main();
    } catch (error) {
      // What fails because it is being stopped needs no words.
      if (ending) return;
      ending = true;
      await stopAll();
      throw error;
    }
  },
  () => end(0, "Stopping …"),
);
