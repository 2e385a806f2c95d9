// The Worker under `wrangler dev`, in a process group of its own so that nothing of it outlives us.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { start, stop, until } from "./processes.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const CRON = encodeURIComponent("* * * * *");

/** Starts it. `settings` become the Worker's variables, `state` is where its files go; `log` gets each line that it prints. */
export async function startWrangler({ port, settings, state, log }) {
  const wrangler = path.join(ROOT, "node_modules", "wrangler", "bin", "wrangler.js");
  const args = ["dev", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0"];
  const settingsFile = writeSettings(settings, state);
  process.once("exit", () => rmSync(settingsFile, { force: true }));
  args.push("--env-file", settingsFile, "--persist-to", path.join(state, "wrangler"));
  const environment = {
    ...process.env,
    CI: "true",
    // Nothing is fetched from or sent to Cloudflare, nor is npm asked for a newer wrangler.
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_HIDE_BANNER: "true",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    // The Worker gets the settings file, all of it and nothing else.
    CLOUDFLARE_INCLUDE_PROCESS_ENV: "false",
    CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "true",
  };
  delete environment.CLOUDFLARE_ENV;
  const last = [];
  const keep = (line) => {
    last.push(line);
    last.splice(0, Math.max(0, last.length - 20));
    log(line);
  };
  const child = start(process.execPath, [wrangler, ...args], { cwd: ROOT, env: environment, group: true, log: keep });
  const url = `http://127.0.0.1:${port}`;
  let ended = false;
  child.ended.then(() => (ended = true));
  const ready = async () => {
    if (ended) throw new Error(`wrangler dev ended at once:\n${last.join("\n")}`);
    const response = await fetch(`${url}/healthz`).catch(() => undefined);
    return response?.ok;
  };
  await until(ready, {
    seconds: 60,
    every: 200,
    problem: () => `The Worker did not start in time:\n${last.join("\n")}`,
  });
  return {
    url,
    ended: child.ended,
    lastLines: () => last.join("\n"),
    async stop() {
      await stop(child, { patience: 8000 });
      rmSync(settingsFile, { force: true });
    },
    /** What Cloudflare's cron trigger does. By POST: wrangler's proxy repeats a GET that a crash cut off. */
    tick: () => fetch(`${url}/cdn-cgi/handler/scheduled?cron=${CRON}`, { method: "POST" }),
  };
}

/** Values go by a file that only its owner reads, not by arguments that everybody on the machine sees. */
function writeSettings(settings, state) {
  const file = path.join(state, "worker.env");
  mkdirSync(path.dirname(file), { recursive: true });
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${quote(name, value)}\n`);
  // Anew, since the mode of a file that is there would stay.
  rmSync(file, { force: true });
  writeFileSync(file, lines.join(""), { mode: 0o600 });
  return file;
}

/** wrangler expands `$NAME` whatever the quotes, and `\n` within double ones. */
function quote(name, value) {
  const mark = ["'", "`"].find((candidate) => !value.includes(candidate));
  if (!mark || /[\r\n]/.test(value)) throw new Error(`${name} holds characters that a settings file can't.`);
  return `${mark}${value.replaceAll("$", "\\$")}${mark}`;
}
