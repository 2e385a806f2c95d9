// Bodies that are slow, or never come.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { as, INTERNAL_KEY, startWorld } from "./support/world.mjs";

let world;
before(async () => (world = await startWorld()));
afterEach(() => world.check());
after(() => world?.stop());

/** Sends the head of a POST. Answers the request, and a promise of what is answered. */
function open(route, headers) {
  const request = httpRequest(`${world.worker.url}${route}`, { method: "POST", headers });
  const answered = new Promise((resolve, reject) => {
    request.once("error", reject);
    request.once("response", async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode, code: JSON.parse(text).code });
    });
  });
  request.flushHeaders();
  return { request, answered };
}

test("a body has ten seconds, however it dawdles", async () => {
  const began = Date.now();
  const key = { "x-api-key": INTERNAL_KEY };
  const calls = [
    open("/api/auth/refresh", as("ana@example.com")),
    open("/api/internal/refresh-sessions", key),
    open("/api/internal/ensure-fresh", { ...key, "content-length": "1000" }),
  ];
  calls[1].request.write("{");
  const drip = setInterval(() => calls[2].request.write(" "), 500);
  const answers = await Promise.all(calls.map(({ answered }) => answered));
  clearInterval(drip);
  const seconds = (Date.now() - began) / 1000;
  for (const { request } of calls) request.destroy();
  assert.deepEqual(answers, Array(3).fill({ status: 408, code: "body_timeout" }));
  assert.ok(seconds > 9 && seconds < 30, `after ${seconds} s`);
  assert.equal(world.supabase.gateway.calls.length, 0);
});

test("a caller who hangs up amid a body is nobody's trouble", async () => {
  const { request, answered } = open("/api/auth/refresh", as("ana@example.com"));
  request.write('{"sessionId"');
  await sleep(300);
  request.socket.resetAndDestroy();
  await assert.rejects(answered);
  await sleep(300);
  assert.equal((await world.worker.call("/healthz")).status, 200);
  assert.equal(world.supabase.gateway.calls.length, 0, "half a body is none");
  assert.deepEqual(world.logs, []);
});
