// `npm start`, as a newcomer sees it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { startAimharder } from "../local/aimharder.mjs";
import { freePort, processes, until } from "../local/processes.mjs";
import { startSupabase } from "../local/stack.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const WIDE = { timeout: 120_000 };
const PORTS = ["WORKER_PORT", "SUPABASE_PORT", "DATABASE_PORT", "AIMHARDER_PORT", "APP_PORT"];
const programs = [];
let folder;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "keepalive-start-"));
  // As root, PostgreSQL runs as somebody else, who has to get at it.
  chmodSync(folder, 0o755);
});
after(async () => {
  for (const { child } of programs) child.kill("SIGTERM");
  await Promise.all(programs.map(({ ended }) => ended));
  rmSync(folder, { recursive: true, force: true });
});

async function places() {
  const ports = {};
  for (const name of PORTS) ports[name] = await freePort();
  const state = mkdtempSync(path.join(folder, "state-"));
  chmodSync(state, 0o755);
  return { ...ports, LOCAL_STATE_DIR: state };
}

/** Starts `npm start`'s program with ports and a folder of its own, or those of an earlier one. */
async function start(environment = {}, { command = [process.execPath, "local/start.mjs"], at } = {}) {
  const { PATH, HOME, TMPDIR, CARGO_HOME, RUSTUP_HOME, POSTGREST_BIN } = process.env;
  const own = { PATH, HOME, TMPDIR, CARGO_HOME, RUSTUP_HOME, POSTGREST_BIN, DEV_VARS_FILE: "/dev/null" };
  const program = { at: at ?? (await places()), output: "" };
  const [file, ...args] = command;
  program.child = spawn(file, args, { cwd: ROOT, env: { ...own, ...program.at, ...environment } });
  programs.push(program);
  for (const stream of [program.child.stdout, program.child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (program.output += text));
  }
  program.ended = new Promise((resolve) => program.child.once("exit", (code) => resolve(code)));
  program.ready = () =>
    until(
      () => {
        if (program.child.exitCode !== null) throw new Error(`it ended:\n${program.output}`);
        return program.output.match(/^ready worker=(\S+) supabase=(\S+)$/m);
      },
      { seconds: 90, problem: () => `not ready:\n${program.output}` },
    );
  return program;
}

/** Ends a program by a signal; answers its exit code, and checks that nothing is left of it. */
async function end(program, signal = "SIGINT") {
  const family = descendants(program.child.pid);
  assert.ok(family.length >= 5, "database, PostgREST, wrangler and two of workerd");
  program.child.kill(signal);
  const code = await program.ended;
  await until(() => left(family).length === 0, {
    seconds: 5,
    problem: () =>
      `left running:\n${left(family)
        .map(({ command }) => command)
        .join("\n")}`,
  });
  for (const name of PORTS) assert.equal(await listens(program.at[name]), false, name);
  return code;
}

function descendants(pid) {
  const all = processes();
  const below = (parents) => {
    const children = all.filter(({ parent }) => parents.includes(parent)).map((child) => child.pid);
    return children.length > 0 ? [...children, ...below(children)] : [];
  };
  return below([pid]);
}

const left = (family) => processes().filter(({ pid }) => family.includes(pid));

const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });

test("it keeps the demo's sessions alive, says so, and leaves nothing behind", WIDE, async () => {
  const program = await start();
  const [, worker, supabase] = await program.ready();
  assert.equal(worker, `http://127.0.0.1:${program.at.WORKER_PORT}`);
  assert.equal(supabase, `http://127.0.0.1:${program.at.SUPABASE_PORT}`);
  assert.match(program.output, /^\S+ cron run: claimed 6, refreshed 3, expired 1, failed 2, remaining 0, \d+ ms$/m);
  assert.match(program.output, /\nready worker=\S+ supabase=\S+\n$/, "the last line");
  for (const [email, outcome] of [
    ["ana", "refreshed"],
    ["bruno", "refreshed"],
    ["carla", "refreshed"],
    ["diego", "throttled"],
    ["elena", "upstream_fault"],
    ["fermin", "expired"],
  ]) {
    assert.match(program.output, new RegExp(`${email}@example\\.com +${outcome}`));
  }
  const token = program.output.match(/TOKEN=(\S+)/)[1];
  const status = await fetch(`${worker}/api/auth/refresh`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await status.json()).refreshCount, 1);
  const key = program.output.match(/x-api-key: ([^"]+)/)[1];
  const run = await fetch(`${worker}/api/internal/refresh-sessions`, { method: "POST", headers: { "x-api-key": key } });
  assert.ok([200, 502].includes(run.status));
  const asked = await (await fetch(`http://127.0.0.1:${program.at.AIMHARDER_PORT}/`)).json();
  assert.deepEqual([asked.unexpected, asked.violations], [[], []]);
  assert.equal(await end(program), 0);
});

test("npm start itself ends everything when it is told to terminate", WIDE, async () => {
  const program = await start({}, { command: ["npm", "start"] });
  await program.ready();
  await end(program, "SIGTERM");
});

test("a second start in the same folder is refused; after a kill it mends what was left", WIDE, async () => {
  const first = await start();
  await first.ready();
  const second = await start({}, { at: { ...(await places()), LOCAL_STATE_DIR: first.at.LOCAL_STATE_DIR } });
  assert.equal(await second.ended, 1);
  assert.match(second.output, /"npm start" runs already with .*LOCAL_STATE_DIR\./);
  const orphans = descendants(first.child.pid);
  first.child.kill("SIGKILL");
  await first.ended;
  assert.ok(left(orphans).length > 0, "a kill leaves something behind");
  const heir = await start({}, { at: first.at });
  await heir.ready();
  assert.match(heir.output, /ana@example\.com +refreshed .* refreshed 2 times/);
  assert.deepEqual(left(orphans), []);
  assert.equal(await end(heir), 0);
});

test("what is given takes the place of the local stack, and is not touched otherwise", WIDE, async () => {
  const supabase = await startSupabase();
  const site = await startAimharder();
  try {
    const program = await start({
      SUPABASE_URL: supabase.url,
      SUPABASE_SERVICE_ROLE_KEY: supabase.secretKey,
      SUPABASE_JWT_SECRET: supabase.jwtSecret,
      AIMHARDER_REFRESH_URL: site.refreshUrl,
      AIMHARDER_FINGERPRINT: "givenfingerprint",
      INTERNAL_API_KEY: "given key with 'quotes' and $signs #",
    });
    const [, worker, url] = await program.ready();
    assert.equal(url, supabase.url);
    const { rows } = await supabase.sql.query("select count(*)::int as count from auth_sessions");
    assert.equal(rows[0].count, 0, "no demo sessions in a database that isn't ours");
    assert.deepEqual(site.requests, []);
    const headers = { "x-api-key": "given key with 'quotes' and $signs #" };
    const run = await fetch(`${worker}/api/internal/refresh-sessions`, { method: "POST", headers });
    assert.equal(run.status, 200);
    assert.doesNotMatch(program.output, /given key|sb_secret|TOKEN=/);
    assert.deepEqual(filesHolding("given key", program.at.LOCAL_STATE_DIR), ["worker.env"]);
    program.child.kill("SIGINT");
    assert.equal(await program.ended, 0);
    assert.deepEqual(filesHolding("given key", program.at.LOCAL_STATE_DIR), []);
  } finally {
    await site.close();
    await supabase.stop();
  }
});

function filesHolding(text, home) {
  const files = readdirSync(home, { recursive: true }).filter((file) => statSync(path.join(home, file)).isFile());
  return files.filter((file) => readFileSync(path.join(home, file)).includes(text));
}

test("sessions of the demo never meet an aimharder that was given", WIDE, async () => {
  const demo = await start();
  await demo.ready();
  demo.child.kill("SIGINT");
  await demo.ended;
  const site = await startAimharder();
  try {
    const program = await start({ AIMHARDER_REFRESH_URL: site.refreshUrl }, { at: demo.at });
    await program.ready();
    assert.deepEqual(site.requests, []);
    program.child.kill("SIGINT");
    await program.ended;
  } finally {
    await site.close();
  }
});

test("wrangler deploy --dry-run takes wrangler.toml as it is", WIDE, () => {
  const out = path.join(folder, "out");
  const wrangler = path.join(ROOT, "node_modules", ".bin", "wrangler");
  const environment = { ...process.env, CI: "true", WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true" };
  // As a user's shell finds it: whatever Node comes first.
  const text = execFileSync(wrangler, ["deploy", "--dry-run", "--outdir", out], {
    cwd: ROOT,
    env: environment,
    encoding: "utf8",
  });
  assert.match(text, /--dry-run: exiting now/);
  assert.doesNotMatch(text, /warning/i);
  const kilobytes = Number(text.match(/gzip: ([\d.]+) KiB/)[1]);
  assert.ok(kilobytes < 900, `${kilobytes} kB: Cloudflare's free plan takes 3 MB, and start-up takes longer with size`);
});

test("mistakes get one clear sentence", WIDE, async () => {
  const busy = createServer();
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  const mistakes = [
    [{ WORKER_PORT: "80a" }, /WORKER_PORT must be a port from 1 to 65535, not "80a"\./],
    [{ WORKER_PORT: String(busy.address().port) }, /Port \d+ for the Worker is in use.*WORKER_PORT\./],
    [{ SUPABASE_PORT: String(busy.address().port) }, /Port \d+ for Supabase is in use.*SUPABASE_PORT\./],
    [
      { SUPABASE_URL: "https://x.supabase.co" },
      /SUPABASE_SERVICE_ROLE_KEY and SUPABASE_JWT_SECRET \(or JWKS_URL\) must be, too\./,
    ],
    [{ SUPABASE_JWT_SECRET: "x".repeat(32) }, /without SUPABASE_URL/],
    [
      {
        SUPABASE_URL: "https://x.supabase.co",
        SUPABASE_SERVICE_ROLE_KEY: "sb_secret_x",
        SUPABASE_JWT_SECRET: "x".repeat(32),
      },
      /so AIMHARDER_REFRESH_URL must be, too/,
    ],
  ];
  try {
    for (const [environment, said] of mistakes) {
      const program = await start(environment);
      assert.equal(await program.ended, 1, JSON.stringify(environment));
      assert.match(program.output, said);
      assert.doesNotMatch(program.output, / {4}at /, "a stack trace");
    }
  } finally {
    busy.close();
  }
});
