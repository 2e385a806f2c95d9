// `npm start`, as a newcomer sees it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { startAimharder } from "../local/aimharder.mjs";
import { freePort, until } from "../local/processes.mjs";
import { startSupabase } from "../local/stack.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const WIDE = { timeout: 120_000 };
let folder;
before(() => (folder = mkdtempSync(path.join(tmpdir(), "keepalive-start-"))));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Starts `npm start`'s program with ports and a folder of its own. */
async function start(environment = {}) {
  const ports = {};
  for (const name of ["WORKER_PORT", "SUPABASE_PORT", "DATABASE_PORT", "AIMHARDER_PORT"])
    ports[name] = await freePort();
  const state = mkdtempSync(path.join(folder, "state-"));
  const { PATH, HOME, TMPDIR, CARGO_HOME, RUSTUP_HOME, POSTGREST_BIN } = process.env;
  const own = { PATH, HOME, TMPDIR, CARGO_HOME, RUSTUP_HOME, POSTGREST_BIN };
  const program = { ports, state, output: "" };
  program.child = spawn(process.execPath, ["local/start.mjs"], {
    cwd: ROOT,
    env: { ...own, ...ports, LOCAL_STATE_DIR: state, ...environment },
  });
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

async function interrupt(program) {
  program.child.kill("SIGINT");
  return program.ended;
}

const processesWith = (text) =>
  execFileSync("ps", ["-A", "-ww", "-o", "pid=,stat=,args="], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(text) && !line.includes(" Z"));

test("it keeps the demo's sessions alive, says so, and leaves nothing behind", WIDE, async () => {
  const program = await start();
  const [, worker, supabase] = await program.ready();
  assert.equal(worker, `http://127.0.0.1:${program.ports.WORKER_PORT}`);
  assert.equal(supabase, `http://127.0.0.1:${program.ports.SUPABASE_PORT}`);
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
  assert.equal(await interrupt(program), 0);
  await until(() => processesWith(program.state).length === 0, { seconds: 5, problem: "something is left running" });
  for (const port of Object.values(program.ports)) {
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), `port ${port}`);
  }
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
    await interrupt(program);
  } finally {
    await site.close();
    await supabase.stop();
  }
});

test("mistakes get one clear sentence", WIDE, async () => {
  const busy = createServer();
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  const mistakes = [
    [{ WORKER_PORT: "80a" }, /WORKER_PORT must be a port from 1 to 65535, not "80a"\./],
    [{ WORKER_PORT: String(busy.address().port) }, /Port \d+ for the Worker is in use.*WORKER_PORT\./],
    [{ SUPABASE_PORT: String(busy.address().port) }, /Port \d+ for Supabase is in use.*SUPABASE_PORT\./],
    [{ SUPABASE_URL: "https://x.supabase.co" }, /SUPABASE_SERVICE_ROLE_KEY and SUPABASE_JWT_SECRET must be, too\./],
    [{ SUPABASE_JWT_SECRET: "x".repeat(32) }, /without SUPABASE_URL/],
    [
      {
        SUPABASE_URL: "https://x.supabase.co",
        SUPABASE_SERVICE_ROLE_KEY: "sb_secret_x",
        SUPABASE_JWT_SECRET: "x".repeat(32),
      },
      /AIMHARDER_REFRESH_URL must be given, too/,
    ],
  ];
  try {
    for (const [environment, said] of mistakes) {
      const program = await start(environment);
      assert.equal(await program.ended, 1, JSON.stringify(environment));
      assert.match(program.output, said);
      assert.doesNotMatch(program.output, / {4}at /, "a stack trace");
      assert.deepEqual(processesWith(program.state), []);
    }
  } finally {
    busy.close();
  }
});
