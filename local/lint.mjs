// `npm run lint`: formatting, and clippy for this machine and for wasm32, with warnings denied.

import path from "node:path";
import { run } from "./run.mjs";
import { asProgram, setup } from "./setup.mjs";
import { realCargo } from "./toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const TARGET = ["--target", "wasm32-unknown-unknown"];
const say = (text) => console.log(`[lint] ${text}`);

await asProgram(async () => {
  const { toolchain, environment } = await setup();
  const cargo = (what, args, extra) => run(realCargo(), args, { say, what, cwd: ROOT, environment: extra });
  await cargo("cargo fmt", ["fmt", "--all", "--check"]);
  await run(process.execPath, [path.join(ROOT, "node_modules/@biomejs/biome/bin/biome"), "ci", "--error-on-warnings"], {
    say,
    what: "biome",
    cwd: ROOT,
  });
  await cargo("clippy", ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
  if (toolchain === "rustup") {
    await cargo("clippy for wasm32", ["clippy", "--workspace", "--locked", ...TARGET, "--", "-D", "warnings"]);
  } else {
    await cargo("clippy for wasm32", ["check", "--workspace", "--locked", ...TARGET], clippyOfDebian(environment));
  }
});

/** What `cargo clippy` sets before it calls `cargo check`; rustup's can't be used with another compiler. */
function clippyOfDebian(environment) {
  return {
    ...environment,
    RUSTC_WORKSPACE_WRAPPER: path.join(path.dirname(environment.RUSTC), "clippy-driver"),
    CLIPPY_ARGS: "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
    CARGO_TARGET_DIR: path.join(ROOT, "target", "lint-debian"),
  };
}
