// A Rust that compiles for wasm32-unknown-unknown: rustup's, or Debian's where rustup can't download the target.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { run } from "./run.mjs";

const TARGET = "wasm32-unknown-unknown";

/** How long rustup may stay silent: it hangs, rather than fails, where it can't reach its server. */
const RUSTUP_PATIENCE_MS = 60_000;

/**
 * Makes sure that the target is there. Answers what has to be in the environment of a build for it:
 * `{ name, environment }`. `KEEPALIVE_WASM_TOOLCHAIN=debian` skips rustup.
 */
export async function wasmToolchain(tools, say) {
  const debian = path.join(tools, "debian-rust");
  const forced = process.env.KEEPALIVE_WASM_TOOLCHAIN;
  if (forced !== "debian" && (hasTarget() || (!existsSync(debian) && (await addByRustup(say))))) {
    return { name: "rustup", environment: {} };
  }
  if (forced === "rustup") throw new Error(`rustup could not add the target ${TARGET}.`);
  if (!existsSync(debian)) await assembleDebian(debian, say);
  const bin = path.join(debian, "bin");
  return {
    name: "debian",
    environment: { PATH: `${bin}${path.delimiter}${process.env.PATH}`, RUSTC: path.join(bin, "rustc") },
  };
}

function hasTarget() {
  const folder = output("rustc", ["--target", TARGET, "--print", "target-libdir"]);
  const files = folder && existsSync(folder) ? readdirSync(folder) : [];
  // Both: an interrupted download can leave one.
  return ["libcore-", "libstd-"].every((start) => files.some((file) => file.startsWith(start)));
}

async function addByRustup(say) {
  if (!output("rustup", ["--version"])) return false;
  try {
    await run("rustup", ["target", "add", TARGET], { say, what: `rustup adds ${TARGET}`, silence: RUSTUP_PATIENCE_MS });
  } catch {
    say("rustup can't add the target; trying Debian's packages");
    return false;
  }
  return hasTarget();
}

/** Unpacks Debian's compiler into a folder of our own, and builds the standard library for wasm with it. */
async function assembleDebian(home, say) {
  if (!output("apt-get", ["--version"])) {
    throw new Error(
      `The Rust target ${TARGET} is missing and could not be installed: run "rustup target add ${TARGET}", then this again.`,
    );
  }
  const half = `${home}-half`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true });
  // The wrappers name their own folder, so that the finished whole can be moved into its place.
  const root = path.join(half, "root");
  await unpack(half, root, say);
  writeWrappers(half);
  await checkCompiler(path.join(half, "bin", "rustc"), say);
  await buildStandardLibrary(half, root, say);
  for (const rest of ["seed", "packages"]) rmSync(path.join(half, rest), { recursive: true, force: true });
  renameSync(half, home);
}

async function unpack(half, root, say) {
  const packages = path.join(half, "packages");
  mkdirSync(packages);
  try {
    await download(packages, say);
  } catch {
    // No list of packages yet, or one that is old.
    if (process.getuid?.() === 0) await run("apt-get", ["update", "-qq"], { say, what: "apt-get update" });
    await download(packages, say);
  }
  for (const file of readdirSync(packages)) {
    await run("dpkg-deb", ["-x", path.join(packages, file), root], { say, what: `unpack ${file.split("_")[0]}` });
  }
}

async function download(folder, say) {
  const libstd = dependency("libstd-rust-web-dev", "libstd-rust-web-");
  const [, found] = output("apt-cache", ["policy", "rustc-web"]).match(/Candidate: (\d+\.\d+)/) ?? [];
  if (!libstd || !isAtLeast(found, wantedRust())) {
    throw new Error(
      `Debian's package rustc-web, ${wantedRust()} or newer, is not to be had: run "apt-get update" as root, then this again.`,
    );
  }
  const names = [
    "rustc-web",
    libstd,
    "libstd-rust-web-dev",
    "rust-web-src",
    "rust-web-clippy",
    dependency(libstd, "libllvm"),
  ];
  await run("apt-get", ["download", "-qq", ...names], { say, what: "download Debian's Rust", cwd: folder });
}

function dependency(name, prefix) {
  return output("apt-cache", ["depends", name]).match(new RegExp(`Depends: (${prefix}\\S+)`))?.[1];
}

function writeWrappers(half) {
  const bin = path.join(half, "bin");
  mkdirSync(bin);
  for (const program of ["rustc", "clippy-driver"]) {
    const script = `#!/bin/sh
root=$(cd "$(dirname "$0")/../root/usr" && pwd)
LD_LIBRARY_PATH=$(echo "$root"/lib/*-linux-gnu) exec "$root/bin/${program}" "$@" --sysroot "$root"
`;
    writeFileSync(path.join(bin, program), script);
    chmodSync(path.join(bin, program), 0o755);
  }
  const rustup = output("rustc", ["--print", "sysroot"]);
  const host = output("rustc", ["-vV"]).match(/host: (\S+)/)?.[1];
  const linker = path.join(rustup, "lib/rustlib", host, "bin/rust-lld");
  if (!existsSync(linker)) throw new Error("rustup's toolchain has no rust-lld, which linking for wasm needs.");
  symlinkSync(linker, path.join(bin, "rust-lld"));
}

/** The compiler needs a few libraries that a bare machine may lack; apt knows which. */
async function checkCompiler(rustc, say) {
  if (output(rustc, ["--version"])) return;
  const llvm = dependency(dependency("libstd-rust-web-dev", "libstd-rust-web-"), "libllvm");
  if (process.getuid?.() !== 0) {
    throw new Error(`Debian's Rust lacks libraries: run "apt-get install ${llvm}" as root, then this again.`);
  }
  // An installation that was interrupted earlier has to be brought to its end first.
  await run("dpkg", ["--configure", "-a"], { say, what: "finish earlier installations" });
  await run("apt-get", ["install", "-y", "-qq", llvm], { say, what: "install what LLVM needs" });
  if (!output(rustc, ["--version"])) throw new Error("Debian's Rust does not start.");
}

async function buildStandardLibrary(half, root, say) {
  const seed = path.join(half, "seed");
  mkdirSync(path.join(seed, "src"), { recursive: true });
  writeFileSync(
    path.join(seed, "Cargo.toml"),
    '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n',
  );
  writeFileSync(path.join(seed, "src", "lib.rs"), "#![no_std]\n");
  const environment = {
    RUSTC_BOOTSTRAP: "1",
    RUSTC: path.join(half, "bin", "rustc"),
    // Without it a later `lto = "fat"` fails: "failed to get bitcode from object file".
    RUSTFLAGS: "-Cembed-bitcode=yes",
    CARGO_TARGET_DIR: path.join(seed, "target"),
  };
  const args = ["build", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort", "-Zbuild-std-features="];
  await run(realCargo(), args, { say, what: "build the standard library for wasm", cwd: seed, environment });
  const built = path.join(seed, "target", TARGET, "release", "deps");
  const home = path.join(root, "usr/lib/rustlib", TARGET, "lib");
  mkdirSync(home, { recursive: true });
  for (const file of readdirSync(built)) {
    if (file.endsWith(".rlib") && !file.startsWith("libseed-")) cpSync(path.join(built, file), path.join(home, file));
  }
}

/** The oldest Rust that the workspace takes, as `major.minor`. */
export function wantedRust() {
  const manifest = readFileSync(path.join(import.meta.dirname, "..", "Cargo.toml"), "utf8");
  return manifest.match(/^rust-version = "(\d+\.\d+)/m)[1];
}

/** Compares `major.minor`. */
export function isAtLeast(found, wanted) {
  const [[major, minor], [wantedMajor, wantedMinor]] = [found ?? "0.0", wanted].map((text) =>
    text.split(".").map(Number),
  );
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** rustup's proxy would set its own toolchain before ours. */
export function realCargo() {
  keepToolchain();
  return output("rustup", ["which", "cargo"]) || "cargo";
}

/** Some crates come with a rust-toolchain.toml, which rustup's rustc, started in their folders, would follow. */
function keepToolchain() {
  const [name] = process.env.RUSTUP_TOOLCHAIN ? [] : output("rustup", ["show", "active-toolchain"]).split(" ");
  if (name) process.env.RUSTUP_TOOLCHAIN = name;
}

/** What a program prints, or "" if it can't be run. */
export function output(program, args) {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "";
  }
}
