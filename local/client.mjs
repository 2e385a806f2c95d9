// Builds the client's npm package into client-wasm/dist: the wasm core, its glue, and the TypeScript around it. Fails
// where what a page loads has grown beyond its bound. Nothing is done if no source is newer.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { fingerprint, WASM_FEATURES } from "./build.mjs";
import { run } from "./run.mjs";
import { asProgram, setup } from "./setup.mjs";
import { realCargo } from "./toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const HOME = path.join(ROOT, "client-wasm");
const DIST = path.join(HOME, "dist");
const WASM = path.join(HOME, "js", "wasm");
const SOURCES = [
  "Cargo.toml",
  "Cargo.lock",
  "session-core/src",
  "client-wasm/Cargo.toml",
  "client-wasm/src",
  "client-wasm/js",
  "client-wasm/package.json",
  "client-wasm/tsconfig.json",
  "local/client.mjs",
];

/** What rustc is told of the linker: the stack would be a megabyte of each page's memory; the core uses some hundred bytes. */
export const STACK = ["--", "-C", "link-arg=-zstack-size=16384"];

/** All that a page with the React hook and provider loads, with brotli, in bytes. */
const MOST_BYTES = 15_000;

/** Builds the package. */
export async function buildClient() {
  const stamp = path.join(HOME, "dist", "made-from");
  const key = fingerprint(SOURCES, (file) => !file.startsWith("client-wasm/js/wasm"));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key) return;
  rmSync(DIST, { recursive: true, force: true });
  const { environment, toolchain } = await setup();
  const say = (text) => console.log(`[client] ${text}`);
  const target = path.join(ROOT, "target", `worker-${toolchain}`);
  // A cdylib alone: beside an rlib, link-time optimisation is left out, some 600 bytes.
  const kind = ["--package", "client-wasm", "--crate-type", "cdylib", "--release"];
  const args = ["rustc", ...kind, "--locked", "--target", "wasm32-unknown-unknown", ...STACK];
  // As for the Worker, so that both share what is compiled.
  const shared = { CARGO_TARGET_DIR: target, WASM_BINDGEN_USE_JS_SYS: "1" };
  await run(realCargo(), args, { say, what: "build the core", cwd: ROOT, environment: { ...environment, ...shared } });
  await makeGlue(environment, path.join(target, "wasm32-unknown-unknown", "release", "client_wasm.wasm"), say);
  const tsc = path.join(ROOT, "node_modules", ".bin", "tsc");
  await run(tsc, ["--project", HOME], { say, what: "compile the TypeScript", cwd: ROOT });
  cpSync(WASM, path.join(DIST, "wasm"), { recursive: true });
  cpSync(path.join(HOME, "js", "indicator.css"), path.join(DIST, "indicator.css"));
  const sizes = await weigh();
  for (const { what, bytes } of sizes) say(`${what.padEnd(34)} ${bytes.toLocaleString("en")} bytes with brotli`);
  const total = sizes.at(-1).bytes;
  if (total > MOST_BYTES) throw new Error(`What a page loads has ${total} bytes, more than ${MOST_BYTES}.`);
  writeFileSync(stamp, key);
}

async function makeGlue(environment, wasm, say) {
  rmSync(WASM, { recursive: true, force: true });
  mkdirSync(WASM, { recursive: true });
  const glue = ["--target", "web", "--out-dir", WASM, "--out-name", "core", wasm];
  await run(environment.WASM_BINDGEN_BIN, glue, { say, what: "make the glue" });
  const core = path.join(WASM, "core_bg.wasm");
  const strip = ["--strip-debug", "--strip-producers", "--strip-target-features"];
  const args = ["-Oz", ...strip, ...WASM_FEATURES, core, "-o", core];
  await run(environment.WASM_OPT_BIN, args, { say, what: "shrink the core" });
}

/** What a page loads, part by part and in all: minified as a bundler does it, with brotli. */
export async function weigh() {
  const { build: bundle } = await import("esbuild");
  const bundled = async (contents) => {
    const stdin = { contents, resolveDir: DIST, loader: "js" };
    const external = ["react", "react/jsx-runtime", "*.wasm"];
    const options = { bundle: true, minify: true, format: "esm", write: false, treeShaking: true, logLevel: "error" };
    const { outputFiles } = await bundle({ ...options, stdin, external });
    return brotli(outputFiles[0].contents);
  };
  const wasm = brotli(readFileSync(path.join(DIST, "wasm", "core_bg.wasm")));
  const glue = await bundled('export { default, Core } from "./wasm/core.js"');
  const client = await bundled('export * from "./index.js"');
  const hook = await bundled('export { useRefreshToken, RefreshProvider, useRefresh } from "./react.js"');
  const all = await bundled('export * from "./react.js"');
  return [
    { what: "wasm core", bytes: wasm },
    { what: "its glue", bytes: glue },
    { what: "client without a framework", bytes: client - glue },
    { what: "hook and provider", bytes: hook - client },
    { what: "indicator, where it is used", bytes: all - hook },
    { what: "all with hook and provider", bytes: wasm + hook },
  ];
}

const brotli = (bytes) => brotliCompressSync(bytes).length;

if (import.meta.url === pathToFileURL(process.argv[1]).href) await asProgram(buildClient);
