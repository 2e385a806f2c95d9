// Asks many things, so many at once, and takes the time of each: on a thread of its own, so that the stand-in and the
// gateway, which live in the process that starts it, don't make its clock late.

import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

/** Starts the thread. `ask(requests, atOnce)` answers `[{ ms, status }]`; requests are `{ url, method, headers, body }`. */
export function startLoad() {
  const thread = new Worker(new URL(import.meta.url), { execArgv: [] });
  const ask = (requests, atOnce) =>
    new Promise((resolve, reject) => {
      thread.once("error", reject);
      thread.once("message", (answers) => {
        thread.off("error", reject);
        resolve(answers);
      });
      thread.postMessage({ requests, atOnce });
    });
  return { ask, stop: () => thread.terminate() };
}

if (!isMainThread) {
  // Connections are kept over rounds, as a browser's or a server's are.
  const agent = new Agent({ keepAlive: true });
  parentPort.on("message", async ({ requests, atOnce }) => {
    const answers = new Array(requests.length);
    let next = 0;
    const lane = async () => {
      while (next < requests.length) {
        const index = next;
        next += 1;
        answers[index] = await time(requests[index], agent);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    parentPort.postMessage(answers);
  });
}

function time({ url, method, headers, body }, agent) {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent }, (response) => {
      response.resume();
      response.once("error", reject);
      response.once("end", () => resolve({ ms: performance.now() - started, status: response.statusCode }));
    });
    asked.once("error", reject);
    asked.end(body);
  });
}
