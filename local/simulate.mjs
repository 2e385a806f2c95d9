// `npm run simulate`: plays worlds of the simulation and tells which went wrong. `-- --seeds 1000 --from 5000` plays so
// many small ones from that seed on, `--medium 20` and `--large 3` larger ones; `--seed 7` plays one again.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { realCargo } from "./toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const USUAL = ["--seeds", "1000", "--medium", "10", "--large", "1"];
const wanted = process.argv.slice(2);

const build = ["run", "--quiet", "--locked", "-p", "simulation", "--bin", "simulate", "--"];
const { status } = spawnSync(realCargo(), [...build, ...(wanted.length > 0 ? wanted : USUAL)], {
  cwd: ROOT,
  stdio: "inherit",
});
process.exit(status ?? 1);
