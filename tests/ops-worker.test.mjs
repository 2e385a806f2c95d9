// The operators' command line against the built Worker and the real database: both mean the same by what they say.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { ops } from "./support/ops.mjs";
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
