// `node bench/contestants/check.mjs`: the contestants in TypeScript, as its compiler sees them.

import path from "node:path";
import { run } from "../../local/run.mjs";
import { asProgram } from "../../local/setup.mjs";
import { installBenchPackages } from "../packages.mjs";

const TSC = path.join(import.meta.dirname, "..", "..", "node_modules", ".bin", "tsc");
const say = (text) => console.log(`[check] ${text}`);

await asProgram(async () => {
  await installBenchPackages();
  await run(TSC, ["--noEmit", "-p", path.join(import.meta.dirname, "worker")], {
    say,
    what: "check the rival's types",
  });
});
