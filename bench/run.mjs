// `npm run bench`: measures this project beside what people would use instead, and writes docs/BENCHMARKS.md. See there.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { asProgram } from "../local/setup.mjs";
import { output } from "../local/toolchain.mjs";
import { installBenchPackages } from "./packages.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const DOCS = path.join(ROOT, "docs");
const KEPT = path.join(DOCS, "benchmarks");

/** In the order of the page. Each module exports `section`: see bench/README.md. */
const SECTIONS = ["batch", "processor", "latency", "extraction", "worker", "client", "rows", "sustained"];

async function load(name) {
  const { section } = await import(`./sections/${name}.mjs`);
  return section;
}

async function main() {
  const { names, report } = wanted(process.argv.slice(2));
  await installBenchPackages();
  if (!report) {
    const { build } = await import("../local/build.mjs");
    await build();
    for (const name of names) await measure(await load(name));
  }
  await write();
}

function wanted(args) {
  const names = args.filter((arg) => !arg.startsWith("--"));
  const unknown = [
    ...names.filter((name) => !SECTIONS.includes(name)),
    ...args.filter((arg) => arg.startsWith("--") && arg !== "--report"),
  ];
  if (unknown.length > 0) throw new Error(`There is no ${unknown.join(", ")}: sections are ${SECTIONS.join(", ")}.`);
  return { names: names.length > 0 ? names : SECTIONS, report: args.includes("--report") };
}

async function measure(section) {
  const say = (text) => console.log(`[bench] ${section.name}: ${text}`);
  const started = Date.now();
  const figures = await section.measure({ say });
  const commit = output("git", ["-C", ROOT, "rev-parse", "--short", "HEAD"]);
  const kept = { measuredOn: new Date().toISOString().slice(0, 10), commit, machine: machine(), ...figures };
  mkdirSync(KEPT, { recursive: true });
  writeFileSync(path.join(KEPT, `${section.name}.json`), `${JSON.stringify(kept, null, 2)}\n`);
  say(`measured in ${Math.round((Date.now() - started) / 1000)} s`);
}

function machine() {
  const { version } = createRequire(createRequire(import.meta.url).resolve("wrangler/package.json"))(
    "workerd/package.json",
  );
  const cpus = os.cpus();
  return {
    cpu: cpus[0].model.replace(/\s+/g, " ").trim(),
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    node: process.versions.node,
    workerd: version,
  };
}

/** Writes the page and its plots from what was measured last of each section. */
async function write() {
  const parts = [];
  for (const name of SECTIONS) {
    const file = path.join(KEPT, `${name}.json`);
    if (existsSync(file)) parts.push({ section: await load(name), figures: JSON.parse(readFileSync(file, "utf8")) });
  }
  const { page, plots } = await import("./report/page.mjs");
  for (const [name, svg] of Object.entries(plots(parts))) writeFileSync(path.join(KEPT, name), await svg);
  writeFileSync(path.join(DOCS, "BENCHMARKS.md"), page(parts));
  console.log("[bench] docs/BENCHMARKS.md is up to date");
}

await asProgram(main);
