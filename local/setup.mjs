// Installs what is missing for building and running. A step that is done is skipped. Node's own modules only, since
// it runs before `npm ci`.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { run } from "./run.mjs";
import { isAtLeast, output, realCargo, wantedRust, wasmToolchain } from "./toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");
export const TOOLS = path.join(ROOT, ".local", "tools");
const WORKER_BUILD = "0.8.7";
const CARGO_FUZZ = "0.13.2";
const CARGO_DENY = "0.20.2";

export const say = (text) => console.log(`[setup] ${text}`);

/**
 * Does all that is missing. Answers what a build needs: `{ toolchain, environment }`. `packages: false` leaves npm's
 * alone: what is started by one of them must not replace it under its feet.
 */
export async function setup({ packages = true } = {}) {
  mkdirSync(TOOLS, { recursive: true });
  checkPrerequisites();
  if (packages) await installPackages();
  const toolchain = await wasmToolchain(TOOLS, say);
  const wasmBindgen = await buildWasmBindgen();
  const workerBuild = await installWorkerBuild();
  const bin = (name) => path.join(ROOT, "node_modules", ".bin", name);
  return {
    toolchain: toolchain.name,
    workerBuild,
    environment: {
      ...toolchain.environment,
      WASM_BINDGEN_BIN: wasmBindgen,
      WASM_OPT_BIN: bin("wasm-opt"),
      ESBUILD_BIN: bin("esbuild"),
    },
  };
}

function checkPrerequisites() {
  if (!isAtLeast(process.versions.node, "20.12")) {
    throw new Error(`Node 20.12 or newer is needed, this is ${process.versions.node}: see https://nodejs.org.`);
  }
  const wanted = wantedRust();
  const found = output("rustc", ["--version"]).match(/^rustc (\d+\.\d+)/)?.[1];
  if (!found || !output("cargo", ["--version"])) {
    throw new Error("Rust is missing: install it from https://rustup.rs, then run this again.");
  }
  if (!isAtLeast(found, wanted)) {
    throw new Error(`Rust ${wanted} or newer is needed, this is ${found}: run "rustup update stable".`);
  }
  if (!output("cc", ["--version"])) {
    throw new Error(
      'A C linker is missing: install one (on Debian "apt-get install gcc libc6-dev"), then run this again.',
    );
  }
  if (!output("ps", ["-p", String(process.pid)])) {
    throw new Error('The program ps is missing: install it (on Debian "apt-get install procps"), then run this again.');
  }
}

async function installPackages() {
  const lock = readFileSync(path.join(ROOT, "package-lock.json"));
  const node = path.join(ROOT, "node_modules", ".bin", "node");
  const works = () => output(node, ["--version"]).startsWith("v");
  await once("npm", createHash("sha256").update(lock).digest("hex"), works, () =>
    run("npm", ["ci", "--no-audit", "--no-fund"], { say, what: "npm ci", cwd: ROOT }),
  );
  if (!works()) {
    throw new Error(
      'npm installed no working Node: allow install scripts ("npm config get ignore-scripts"), then run this again.',
    );
  }
}

async function buildWasmBindgen() {
  const home = path.join(import.meta.dirname, "wasm-bindgen");
  const version = (file) =>
    readFileSync(file, "utf8").match(/name = "wasm-bindgen"\n(?:.*\n)*?version = "([\d.]+)"/)?.[1];
  const [tool, product] = [version(path.join(home, "Cargo.toml")), version(path.join(ROOT, "Cargo.lock"))];
  if (tool !== product) {
    throw new Error(`local/wasm-bindgen is for ${tool}, Cargo.lock has wasm-bindgen ${product}: make them equal.`);
  }
  const target = path.join(TOOLS, "target");
  const binary = path.join(TOOLS, `wasm-bindgen-${tool}`, "wasm-bindgen");
  const source = createHash("sha256")
    .update(readFileSync(path.join(home, "src", "main.rs")))
    .digest("hex");
  await once(
    "wasm-bindgen",
    `${tool} ${source}`,
    () => existsSync(binary),
    async () => {
      const environment = { CARGO_TARGET_DIR: target };
      await run(realCargo(), ["build", "--locked"], { say, what: "build wasm-bindgen", cwd: home, environment });
      mkdirSync(path.dirname(binary), { recursive: true });
      writeFileSync(binary, readFileSync(path.join(target, "debug", "wasm-bindgen")), { mode: 0o755 });
    },
  );
  return binary;
}

async function installWorkerBuild() {
  const stub = (name) => [
    "--config",
    `patch.crates-io.${name}.path="${path.join(import.meta.dirname, "stubs", name)}"`,
  ];
  return installTool("worker-build", WORKER_BUILD, [...stub("ureq"), ...stub("binary-install")]);
}

/** What checks the crates that we build on; only `npm run audit` needs it. Answers its program. */
export function installCargoDeny() {
  return installTool("cargo-deny", CARGO_DENY, ["--locked", "--no-default-features"]);
}

/** What builds the fuzz targets; only `npm run fuzz` needs it. Answers its program. */
export function installCargoFuzz() {
  return installTool("cargo-fuzz", CARGO_FUZZ, ["--locked"]);
}

async function installTool(name, version, options) {
  const home = path.join(TOOLS, `${name}-${version}`);
  const binary = path.join(home, "bin", name);
  await once(
    name,
    version,
    () => existsSync(binary),
    () =>
      // A debug build: compiling it takes a third of the time, and it does little itself.
      run(realCargo(), ["install", name, "--version", version, "--debug", "--force", "--root", home, ...options], {
        say,
        what: `build ${name}`,
        environment: {
          CARGO_TARGET_DIR: path.join(TOOLS, "target"),
          CARGO_PROFILE_DEV_DEBUG: "0",
          CARGO_INCREMENTAL: "0",
        },
      }),
  );
  return binary;
}

/** Runs a step unless its result `isThere` and was made from the same input, for this kind of machine. */
export async function once(name, input, isThere, step) {
  const stamp = path.join(TOOLS, `${name}.done`);
  const key = `${process.platform}-${process.arch} ${input}`;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key && isThere()) return;
  rmSync(stamp, { force: true });
  await step();
  writeFileSync(stamp, key);
}

/** Runs `main`, and turns a failure into one clear message. `interrupted`: what Ctrl-C and the like lead to. */
export async function asProgram(main, interrupted = () => process.exit(130)) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, interrupted);
  try {
    await main();
  } catch (error) {
    console.error(`\n${error.message}`);
    process.exit(1);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await asProgram(setup);
