// Python's tools for the tests, in a folder of their own: schemathesis, a validator of OpenAPI, a parser of OpenMetrics.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { run } from "./run.mjs";
import { once, TOOLS } from "./setup.mjs";
import { output } from "./toolchain.mjs";

const HOME = path.join(TOOLS, "python");
const REQUIREMENTS = path.join(import.meta.dirname, "..", "tests", "contract", "requirements.txt");

/** What schemathesis wants. */
const OLDEST = "3, 10";

const works = () =>
  output("python3", ["-c", `import ensurepip, sys; print(sys.version_info >= (${OLDEST}))`]).trim() === "True";

/** A function that tells where a tool is; installs them where that is possible. */
export async function python(say) {
  const tool = (name) => path.join(HOME, "bin", name);
  const pinned = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex");
  await once(
    "python",
    pinned,
    () => existsSync(tool("schemathesis")),
    async () => {
      await findPython(say);
      await run("python3", ["-m", "venv", "--clear", HOME], { say, what: "make a folder for Python's packages" });
      const options = ["--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS];
      await run(tool("pip"), ["install", ...options], { say, what: "install Python's packages" });
    },
  );
  return tool;
}

async function findPython(say) {
  if (!works() && process.getuid?.() === 0 && output("apt-get", ["--version"])) {
    await run("apt-get", ["update", "-qq"], { say, what: "apt-get update" });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "python3", "python3-venv"], {
      say,
      what: "install Python",
      environment: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  if (!works()) {
    throw new Error(
      'The tests of the contract and of the rules need Python 3.10 or newer with venv: install it (on Debian "apt-get install python3-venv"), then run this again.',
    );
  }
}
