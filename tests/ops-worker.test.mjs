// The operators' command line against the built Worker and the real database: both mean the same by what they say.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { ops, start } from "./support/ops.mjs";
import { INTERNAL_KEY, startWorld } from "./support/world.mjs";

let world;
before(async () => (world = await startWorld()));
beforeEach(() => world.reset());
afterEach(() => world.check());
after(() => world?.stop());

const asked = (line, environment) =>
  ops([...line.split(" "), "--url", world.worker.url], { INTERNAL_API_KEY: INTERNAL_KEY, ...environment });

test("due counts what run then refreshes", async () => {
  const sessions = await world.signInMany(25);
  assert.match((await asked("due")).stdout, /Due +25\nHeld back by +nothing/);
  const { code, stdout, stderr } = await asked("run --json");
  const { success, refreshed, failed, remaining } = JSON.parse(stdout);
  assert.deepEqual([code, success, refreshed, failed, remaining], [0, true, 25, 0, 0], stderr);
  assert.deepEqual(await world.outOfStep(sessions), []);
  assert.match((await asked("due")).stdout, /Due +0\n/);
});

test("run is 1 where aimharder fails, and names the outcome", async () => {
  const session = await world.signIn({ due: true });
  session.fail("server_error");
  const { code, stdout, stderr } = await asked("run --once");
  assert.equal(code, 1, stderr);
  assert.match(stdout, /Failed +1; upstream fault 1/);
});

test("a session is taken out of the batch's care by its id, and given back", async () => {
  const session = await world.signIn({ due: true });
  assert.match((await asked(`disable ${session.id}`)).stdout, /State +disabled/);
  assert.match((await asked("due")).stdout, /Due +0\n/);
  assert.match((await asked(`enable ${session.id}`)).stdout, /State +active/);
  assert.equal((await world.row(session)).auto_refresh_enabled, true);
});

test("a key that is not the Worker's is told as such", async () => {
  const { code, stderr } = await asked("run", { INTERNAL_API_KEY: "another-key-0123456789" });
  assert.equal(code, 2);
  assert.match(stderr, /^The key is not taken: .*\(request [0-9a-f-]{36}\)\n$/);
});

test("status says whether all is well, and what is not", async () => {
  await world.signIn();
  const before = await asked("status");
  assert.equal(before.code, 1, before.stderr);
  assert.match(before.stdout, /NOT READY: [^\n]* 1 check failed/);
  assert.match(before.stdout, /FAILED +cron +It was never heard of/);
  await world.worker.tick();
  const { code, stdout, stderr } = await asked("status");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Ready: /);
  assert.match(stdout, /Sessions +1 looked after/);
  const told = JSON.parse((await asked("status --json")).stdout);
  assert.deepEqual([told.ready, told.overview.stock.active], [true, 1]);
});

test("a session is found by its e-mail, or a part of it, and tells its history", async () => {
  const session = await world.signIn({ email: "ana@example.com", due: true });
  await world.signIn({ email: "banana@example.com" });
  session.fail("server_error");
  await world.worker.tick();
  for (const text of ["ana@example.com", session.id]) {
    const { code, stdout, stderr } = await asked(`session ${text}`);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`Id +${session.id}`));
    assert.match(stdout, /Trouble +upstream fault: 1 failure in a row/);
    assert.match(stdout, /cron +upstream fault +500/);
  }
  assert.match((await asked("session banan")).stdout, /banana@example\.com\n/);
  const several = await asked("session ana");
  assert.equal(several.code, 2);
  assert.match(several.stdout, /banana@example\.com/);
  assert.equal((await asked("session nobody@example.com")).code, 1);
});

test("a session is disabled and enabled by the whole e-mail, never by a part; its history says so", async () => {
  const session = await world.signIn({ email: "ana@example.com", due: true });
  assert.equal((await asked("disable ana")).code, 2);
  assert.equal((await world.row(session)).auto_refresh_enabled, true);
  assert.match((await asked("disable ana@example.com")).stdout, /State +disabled/);
  assert.equal((await world.row(session)).auto_refresh_enabled, false);
  assert.match((await asked("enable ana@example.com")).stdout, /State +active/);
  const { actions } = JSON.parse((await asked(`session ${session.id} --json`)).stdout);
  assert.deepEqual(
    actions.map(({ action }) => action),
    ["enable", "disable"],
  );
});

test("tail shows runs as they end, until it is interrupted", async () => {
  const sessions = await world.signInMany(3);
  const arguments_ = ["tail", "--json", "--last", "1", "--url", world.worker.url];
  await world.worker.tick();
  const program = start(arguments_, { INTERNAL_API_KEY: INTERNAL_KEY });
  const runs = () => program.stdout.split("\n").filter(Boolean);
  await world.until(() => runs().length === 1, "the last run is not shown");
  await world.set(sessions[0], { next_refresh_at: new Date(Date.now() - 1000) });
  await world.worker.tick();
  await world.until(() => runs().length === 2, "the next run is not shown");
  program.child.kill("SIGINT");
  await program.ended;
  assert.deepEqual(
    runs().map((line) => JSON.parse(line).refreshed),
    [3, 1],
  );
});
