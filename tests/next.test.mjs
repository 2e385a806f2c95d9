// The package's tarball in a Next.js app that is not of this repository: both bundlers, in development and as a static
// export below a base path, with nothing configured for the package's sake.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { freePort, start, stop, until } from "../local/processes.mjs";
import { run } from "../local/run.mjs";
import { serveFolder, startBrowser } from "./support/browser.mjs";
import { as, startWorld } from "./support/world.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const WIDE = { timeout: 600_000 };
const ANA = "ana@example.com";
const QUIET = { NEXT_TELEMETRY_DISABLED: "1" };
const say = () => {};
let folder;
let port;
let world;
let browser;

before(async () => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), "keepalive-stranger-")));
  port = await freePort();
  world = await startWorld({ settings: { ALLOWED_ORIGINS: `http://127.0.0.1:${port}` } });
  browser = await startBrowser();
  await install();
}, WIDE);
beforeEach(() => world.reset());
after(async () => {
  await browser?.close();
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** As a stranger would: `npm pack` here, `npm install` there. */
async function install() {
  cpSync(path.join(import.meta.dirname, "fixtures", "next-app"), folder, { recursive: true });
  const pack = ["pack", "--workspace", "client-wasm", "--pack-destination", folder];
  await run("npm", pack, { say, what: "npm pack", cwd: ROOT });
  const tarball = "./aimharder-keepalive-client-0.1.0.tgz";
  const options = ["--no-audit", "--no-fund", "--prefer-offline", "--no-package-lock"];
  await run("npm", ["install", ...options, tarball], { say, what: "npm install", cwd: folder });
}

const next = path.join("node_modules", "next", "dist", "bin", "next");

async function open(address) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  page.calls = [];
  page.problems = [];
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("request", (request) => {
    if (request.url().includes("/api/auth/") && request.method() !== "OPTIONS") page.calls.push(request.method());
  });
  const options = { url: world.worker.url, token: as(ANA).authorization.slice(7), user: "ana" };
  await page.goto(`${address}#${encodeURIComponent(JSON.stringify(options))}`);
  page.shown = async (id = "shown") => JSON.parse((await page.textContent(`#${id}`, { timeout: 30_000 })) ?? "{}");
  return page;
}

async function refreshesOnce(page, session) {
  // First the page has to come to life, which in development takes its time.
  await page.shown();
  await world.until(async () => (await page.shown()).refreshCount === 1, "it shows no refresh");
  const shown = await page.shown();
  assert.deepEqual([shown.state, shown.health, shown.error], ["active", "healthy", null]);
  assert.deepEqual(await page.shown("twin"), shown, "the hook and the provider show the same");
  assert.deepEqual(page.calls, ["GET", "POST"], "mounting twice, or using it twice, makes no further call");
  assert.equal(session.calls.length, 1);
  const status = page.getByRole("status");
  assert.match(await status.textContent(), /\w/);
  await page.click("#toggle");
  await page.click("#toggle");
  await world.until(async () => (await page.shown()).refreshCount === 1, "it has forgotten");
  assert.deepEqual(page.calls, ["GET", "POST"], "coming back to a fresh session makes no call");
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

for (const bundler of ["turbopack", "webpack"]) {
  test(`a static export below a base path, built by ${bundler}`, WIDE, async () => {
    const session = await world.signIn({ due: true });
    const environment = { ...QUIET, EXPORT: "1", BASE_PATH: "/below/here" };
    const options = { say, what: "next build", cwd: folder, environment };
    await run(process.execPath, [next, "build", `--${bundler}`], options);
    const site = await serveFolder(path.join(folder, "out"), "/below/here", port);
    try {
      await refreshesOnce(await open(`${site.url}/below/here`), session);
    } finally {
      await site.close();
      for (const made of ["out", ".next"]) rmSync(path.join(folder, made), { recursive: true, force: true });
    }
  });

  test(`in development, by ${bundler}, where React mounts twice`, WIDE, async () => {
    const session = await world.signIn({ due: true });
    const args = [next, "dev", `--${bundler}`, "--hostname", "127.0.0.1", "--port", String(port)];
    const lines = [];
    const env = { ...process.env, ...QUIET };
    const server = start(process.execPath, args, { cwd: folder, env, group: true, log: (line) => lines.push(line) });
    const address = `http://127.0.0.1:${port}`;
    try {
      const problem = () => `next dev is not ready:\n${lines.join("\n")}`;
      await until(async () => (await fetch(address).catch(() => undefined))?.ok, { seconds: 300, every: 300, problem });
      await refreshesOnce(await open(address), session);
    } finally {
      await stop(server);
      rmSync(path.join(folder, ".next"), { recursive: true, force: true });
    }
  });
}
