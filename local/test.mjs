// `npm test`: the whole suite. `npm test -- routes` runs tests/routes.test.mjs alone, `npm test -- rust` the Rust tests.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { build } from "./build.mjs";
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
  if (rust) step("Rust tests", realCargo(), ["test", "--workspace", "--quiet"]);
  if (files.length > 0) {
    await build();
    // One file after the other: each has a database and a workerd of its own, and two cores are soon full.
    step("tests of the Worker", process.execPath, ["--test", "--test-concurrency=1", ...files]);
  }
  console.log(`\nAll passed, in ${Math.round((Date.now() - started) / 1000)} s.`);
});

function step(what, program, args) {
  console.log(`\n[test] ${what}`);
  const { status, signal } = spawnSync(program, args, { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) throw new Error(`[test] ${what}: failed${signal ? ` (${signal})` : ""}.`);
}
