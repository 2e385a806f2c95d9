// `npm test`: the whole suite. `npm test -- routes` runs tests/routes.test.mjs alone, `npm test -- rust` the Rust tests.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { build } from "./build.mjs";
import { chromium } from "./chromium.mjs";
import { buildExample } from "./example.mjs";
import { promtool } from "./promtool.mjs";
import { python } from "./python.mjs";
import { asProgram } from "./setup.mjs";
import { realCargo } from "./toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");

const started = Date.now();
const wanted = process.argv.slice(2);
const isWanted = (name) => wanted.length === 0 || wanted.some((text) => name.includes(text));
const files = readdirSync(path.join(ROOT, "tests"))
  .filter((file) => file.endsWith(".test.mjs") && isWanted(file.replace(".test.mjs", "")))
  .map((file) => path.join("tests", file));
const rust = isWanted("rust");

await asProgram(async () => {
  if (files.length === 0 && !rust) throw new Error(`No test is called ${wanted.join(" or ")}.`);
  if (rust) await step("Rust tests", realCargo(), ["test", "--workspace", "--locked", "--quiet"]);
  if (files.length > 0) {
    await build();
    const say = (text) => console.log(`[test] ${text}`);
    const use = (text) => files.some((file) => readFileSync(path.join(ROOT, file), "utf8").includes(text));
    if (use("startBrowser")) await chromium(say);
    if (use("local/python.mjs")) await python(say);
    if (use("local/promtool.mjs")) await promtool(say);
    await buildExample();
    // Two files at a time: most of what a test does is wait, and each file has a database and a workerd of its own.
    // A test that failed half way must not keep the rest waiting for what it started.
    const options = ["--test-concurrency=2", "--test-timeout=180000", "--test-force-exit"];
    await step("tests of the Worker", process.execPath, ["--test", ...options, ...files]);
  }
  console.log(`\nAll passed, in ${Math.round((Date.now() - started) / 1000)} s.`);
});

async function step(what, program, args) {
  console.log(`\n[test] ${what}`);
  const child = spawn(program, args, { cwd: ROOT, stdio: "inherit" });
  const end = (signal) => child.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.prependOnceListener(signal, end);
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject).once("exit", (...how) => resolve(how));
  });
  if (code !== 0) throw new Error(`[test] ${what}: failed${signal ? ` (${signal})` : ""}.`);
}
