// What the client's core weighs with one package more at the border: built, shrunk and bundled as the core itself is.

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { brotliCompressSync } from "node:zlib";
import { WASM_FEATURES } from "../local/build.mjs";
import { STACK } from "../local/client.mjs";
import { run } from "../local/run.mjs";
import { setup } from "../local/setup.mjs";
import { realCargo } from "../local/toolchain.mjs";

const HOME = path.join(import.meta.dirname, "border");
const TARGET = path.join(import.meta.dirname, "..", "target", "border");
const say = (text) => console.log(`[border] ${text}`);

/** The first is the core as it is. */
const VARIANTS = [
  { name: "the core: wasm-bindgen, talc", features: ["talc"] },
  { name: "Rust's allocator in talc's place", features: [] },
  { name: "with js-sys (Array, Date)", features: ["talc", "js-sys"] },
  { name: "with gloo-timers", features: ["talc", "timers"] },
  { name: "with serde-wasm-bindgen", features: ["talc", "serde"] },
  { name: "with all three", features: ["talc", "js-sys", "timers", "serde"] },
];

/** Answers heads and rows of a table: bytes with brotli. */
export async function weighBorder() {
  const { environment } = await setup();
  const rows = [];
  let plain;
  for (const { name, features } of VARIANTS) {
    const { wasm, glue } = await weighVariant(environment, features);
    plain ??= wasm + glue;
    rows.push([name, wasm, glue, wasm + glue, wasm + glue - plain]);
  }
  return [["variant", "wasm", "glue", "sum", "difference"], rows];
}

async function weighVariant(environment, features) {
  const what = `the core with ${features.join(", ") || "nothing more"}`;
  // As the core itself is built.
  const target = ["--release", "--locked", "--target", "wasm32-unknown-unknown"];
  const args = ["rustc", ...target, "--features", features.join(), ...STACK];
  const shared = { CARGO_TARGET_DIR: TARGET, WASM_BINDGEN_USE_JS_SYS: "1" };
  await run(realCargo(), args, { say, what, cwd: HOME, environment: { ...environment, ...shared } });
  const out = path.join(TARGET, "glue");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const wasm = path.join(TARGET, "wasm32-unknown-unknown", "release", "border.wasm");
  const glue = ["--target", "web", "--out-dir", out, "--out-name", "core", wasm];
  await run(environment.WASM_BINDGEN_BIN, glue, { say, what: "its glue" });
  return weighFiles(environment, out, features.includes("timers") ? "Core, Timer" : "Core");
}

async function weighFiles(environment, out, names) {
  const core = path.join(out, "core_bg.wasm");
  const strip = ["--strip-debug", "--strip-producers", "--strip-target-features"];
  const shrink = ["-Oz", ...strip, ...WASM_FEATURES, core, "-o", core];
  await run(environment.WASM_OPT_BIN, shrink, { say, what: "shrink it" });
  const { build } = await import("esbuild");
  const stdin = { contents: `export { default, ${names} } from "./core.js"`, resolveDir: out };
  const options = { bundle: true, minify: true, format: "esm", write: false, external: ["*.wasm"] };
  const { outputFiles } = await build({ ...options, stdin });
  return { wasm: brotli(readFileSync(core)), glue: brotli(outputFiles[0].contents) };
}

const brotli = (bytes) => brotliCompressSync(bytes).length;
