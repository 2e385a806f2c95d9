// A Worker in a workerd by itself, without Miniflare: to see how long it takes to start.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { freePort, start, stop } from "../../local/processes.mjs";

const require = createRequire(import.meta.url);
const WORKERD = createRequire(require.resolve("wrangler/package.json")).resolve("workerd/bin/workerd");

/** Writes a Worker's modules and its configuration into a folder: `[{ name, kind, contents }]`, the main one first. */
export function layOut({ modules, compatibility }) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "keepalive-start-"));
  for (const { name, contents } of modules) writeFileSync(path.join(folder, name), contents);
  const list = modules.map(({ name, kind }) => `(name = "${name}", ${kind} = embed "${name}")`);
  const flags = compatibility.flags.map((flag) => `"${flag}"`);
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [${list.join(", ")}],
  compatibilityDate = "${compatibility.date}",
  compatibilityFlags = [${flags.join(", ")}],
);
`;
  writeFileSync(path.join(folder, "worker.capnp"), config);
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** Milliseconds from the start of workerd to a Worker's first answer. */
export async function timeStart(folder) {
  const port = await freePort();
  const started = performance.now();
  const config = path.join(folder, "worker.capnp");
  const child = start(WORKERD, ["serve", config, "--socket-addr", `http=127.0.0.1:${port}`]);
  try {
    await firstAnswer(port, child);
    return performance.now() - started;
  } finally {
    await stop(child, { signal: "SIGKILL" });
  }
}

async function firstAnswer(port, child) {
  for (let tries = 0; ; tries += 1) {
    const status = await ask(port);
    if (status === 200) return;
    if (status || tries > 5_000 || child.exitCode !== null) throw new Error(`workerd did not start: ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The status; nothing as long as nobody listens. */
function ask(port) {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port, path: "/healthz", agent: false }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode));
    });
    asked.once("error", () => resolve(undefined));
    asked.end();
  });
}
