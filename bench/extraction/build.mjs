// Makes the contestants' Workers: the Worker's reader of pages compiled as the Worker is, the others bundled by esbuild.

import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { build as bundle } from "esbuild";
import { WASM_FEATURES } from "../../local/build.mjs";
import { run } from "../../local/run.mjs";
import { setup } from "../../local/setup.mjs";
import { realCargo } from "../../local/toolchain.mjs";

const HOME = import.meta.dirname;
const TARGET = path.join(HOME, "..", "..", "target", "extraction");
const CONTESTANTS = path.join(HOME, "..", "contestants", "extraction");

/** Answers the modules of each contestant's Worker, as Miniflare takes them: `{ name: [{ type, path, contents }] }`. */
export async function buildContestants(names, { say }) {
  const wasm = await buildReader(say);
  const modules = names.map(async (name) => [name, [await bundled(name), ...(name.startsWith("ours") ? [wasm] : [])]]);
  return Object.fromEntries(await Promise.all(modules));
}

/** What serves the pages. */
export const buildOrigin = async () => [await bundled("origin", HOME)];

async function bundled(name, folder = CONTESTANTS) {
  const stdin = {
    contents: `import * as contestant from "./${name}"; import { shell } from "${HOME}/shell.mjs"; export default shell(contestant);`,
    resolveDir: folder,
  };
  const entry = name === "origin" ? { entryPoints: [path.join(HOME, "origin.mjs")] } : { stdin };
  const { outputFiles } = await bundle({
    ...entry,
    bundle: true,
    minify: true,
    format: "esm",
    target: "esnext",
    conditions: ["workerd", "worker", "browser"],
    alias: { "#reader": path.join(TARGET, "glue", "reader.js") },
    external: ["*.wasm"],
    write: false,
    logLevel: "error",
  });
  return { type: "ESModule", path: path.join(TARGET, `${name}.js`), contents: outputFiles[0].text };
}

/** As local/build.mjs and worker-build do it for the Worker. */
async function buildReader(say) {
  const { environment } = await setup();
  const args = ["build", "--release", "--locked", "--target", "wasm32-unknown-unknown"];
  const shared = { CARGO_TARGET_DIR: TARGET, WASM_BINDGEN_USE_JS_SYS: "1" };
  const cargo = { say, what: "build the reader", cwd: HOME, environment: { ...environment, ...shared } };
  await run(realCargo(), args, cargo);
  const out = path.join(TARGET, "glue");
  rmSync(out, { recursive: true, force: true });
  const built = path.join(TARGET, "wasm32-unknown-unknown", "release", "extraction.wasm");
  const glue = ["--target", "web", "--out-dir", out, "--out-name", "reader", built];
  await run(environment.WASM_BINDGEN_BIN, glue, { say, what: "make its glue" });
  const wasm = path.join(out, "reader_bg.wasm");
  const strip = ["--strip-debug", "--strip-producers"];
  await run(environment.WASM_OPT_BIN, ["-O", ...strip, ...WASM_FEATURES, wasm, "-o", wasm], {
    say,
    what: "optimise it",
  });
  return { type: "CompiledWasm", path: path.join(TARGET, "reader.wasm"), contents: readFileSync(wasm) };
}
