// Each contestant in a workerd of its own, with the Worker that serves the pages beside it.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpuTime, processes } from "../../local/processes.mjs";

const require = createRequire(import.meta.url);
// wrangler's own: npm's newest is of another line.
const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = createRequire(require.resolve("wrangler/package.json"))(
  "miniflare",
);

const PAGE_TYPE = "text/html; charset=utf-8";

/** Starts a contestant's Worker. */
export async function startContestant({ name, modules, origin }) {
  const before = new Set(workerds());
  const shared = { modulesRoot: "/", compatibilityDate: "2026-11-01" };
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers: [
        { name: "contestant", modules, ...shared, serviceBindings: { ORIGIN: "origin" } },
        { name: "origin", modules: origin, ...shared },
      ],
      cf: false,
      log: new Log(LogLevel.NONE),
    }),
  );
  const url = String(await miniflare.ready);
  const [pid] = workerds().filter((pid) => !before.has(pid));
  return new Contestant(name, miniflare, url, pid);
}

const workerds = () =>
  processes()
    .filter(({ parent, command }) => parent === process.pid && command.includes("workerd"))
    .map(({ pid }) => pid);

class Contestant {
  constructor(name, miniflare, url, pid) {
    Object.assign(this, { name, miniflare, url, pid });
  }

  /** Lets it read a page so many times; answers what it found, and what it took: `{ found, wall, cpu }` in ms for all. */
  async read({ bytes, place }, times) {
    const [began, used] = [performance.now(), cpuTime(this.pid)];
    const found = await this.#ask(`run?bytes=${bytes}&place=${place}&times=${times}`);
    return { found, wall: performance.now() - began, cpu: cpuTime(this.pid) - used };
  }

  /** What it finds in a page of somebody's: `{ token, fingerprint }`. */
  async find({ contentType = PAGE_TYPE, page }) {
    return this.#ask("once", { method: "POST", body: page, headers: { "content-type": contentType } });
  }

  async #ask(route, options) {
    const response = await fetch(`${this.url}${route}`, options);
    if (!response.ok) throw new Error(`${this.name}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Bytes of memory that reading a page once takes, beyond what the process had before. Linux only. */
  async peak(page) {
    writeFileSync(`/proc/${this.pid}/clear_refs`, "5");
    const before = this.#memory("VmRSS");
    const { found } = await this.read(page, 1);
    return { bytes: this.#memory("VmHWM") - before, found };
  }

  #memory(field) {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(status.match(new RegExp(`^${field}:\\s+(\\d+) kB`, "m"))[1]) * 1024;
  }

  stop() {
    return this.miniflare.dispose();
  }
}
