// Before `npm pack` of the client: there is something to pack, and its licence goes with it.

import { copyFileSync } from "node:fs";
import path from "node:path";
import { buildClient } from "./client.mjs";
import { asProgram } from "./setup.mjs";

const ROOT = path.join(import.meta.dirname, "..");

await asProgram(async () => {
  await buildClient();
  copyFileSync(path.join(ROOT, "LICENSE"), path.join(ROOT, "client-wasm", "LICENSE"));
});
