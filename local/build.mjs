// Builds the Worker: what wrangler runs before `dev` and `deploy`. Nothing is done if no source is newer.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { run } from "./run.mjs";
import { asProgram, setup } from "./setup.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const OUTPUT = path.join(ROOT, "edge-worker", "build");
const SOURCES = [
  "Cargo.toml",
  "Cargo.lock",
  "session-core",
  "access-token",
  "operations/Cargo.toml",
  "operations/src",
  "edge-worker/Cargo.toml",
  "edge-worker/src",
  "edge-worker/openapi.json",
  "local/build.mjs",
];

/** What Rust's compiler and wasm-bindgen use. Not all that wasm-opt knows: engines don't yet. */
export const WASM_FEATURES = [
  "bulk-memory",
  "multivalue",
  "mutable-globals",
  "nontrapping-float-to-int",
  "reference-types",
  "sign-ext",
].map((feature) => `--enable-${feature}`);

/** Builds the Worker into edge-worker/build. `packages: false`: see setup. */
export async function build(options) {
  const stamp = path.join(OUTPUT, "made-from");
  const key = fingerprint(SOURCES);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key) return;
  rmSync(stamp, { force: true });
  const { environment, workerBuild, toolchain } = await setup(options);
  const say = (text) => console.log(`[build] ${text}`);
  await run(workerBuild, ["--release"], {
    say,
    what: "build the Worker",
    cwd: path.join(ROOT, "edge-worker"),
    // Two compilers never share a folder: each would take the other's work for stale.
    environment: { ...environment, CARGO_TARGET_DIR: path.join(ROOT, "target", `worker-${toolchain}`) },
  });
  const wasm = path.join(OUTPUT, "index_bg.wasm");
  // worker-build keeps the names of functions, a tenth of the upload.
  const strip = ["--strip-debug", "--strip-producers", ...WASM_FEATURES, wasm, "-o", wasm];
  await run(environment.WASM_OPT_BIN, strip, { say, what: "strip names" });
  writeFileSync(stamp, key);
}

/** A digest of sources: folders, or files by name. */
export function fingerprint(sources, wanted = () => true) {
  const hash = createHash("sha256");
  for (const file of sources.flatMap(filesOf).filter(wanted))
    hash.update(file).update(readFileSync(path.join(ROOT, file)));
  return hash.digest("hex");
}

function filesOf(source) {
  const all = readdirSync(path.join(ROOT, path.dirname(source)), { withFileTypes: true });
  const entry = all.find((candidate) => candidate.name === path.basename(source));
  if (!entry?.isDirectory()) return [source];
  if (entry.name === "tests" || entry.name.startsWith("proptest")) return [];
  return readdirSync(path.join(ROOT, source))
    .sort()
    .flatMap((name) => filesOf(`${source}/${name}`));
}

// As a program it is wrangler's build step.
if (import.meta.url === pathToFileURL(process.argv[1]).href) await asProgram(() => build({ packages: false }));
