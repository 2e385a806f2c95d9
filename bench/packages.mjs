// Installs the contestants' packages: bench/package.json's, which nothing else needs.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { run } from "../local/run.mjs";
import { once, say } from "../local/setup.mjs";

const HOME = import.meta.dirname;

/** Does nothing where it is done. Call it before modules that need the packages are imported. */
export async function installBenchPackages() {
  const lock = createHash("sha256").update(readFileSync(path.join(HOME, "package-lock.json")));
  const isThere = () => existsSync(path.join(HOME, "node_modules", "vega"));
  await once("bench-npm", lock.digest("hex"), isThere, () =>
    run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { say, what: "npm ci in bench", cwd: HOME }),
  );
}
