// A promtool, which checks Prometheus's rules: the one given, one that is installed, or Debian's, in a folder of its own.

import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { run } from "./run.mjs";
import { once, TOOLS } from "./setup.mjs";
import { output } from "./toolchain.mjs";

const HOME = path.join(TOOLS, "promtool");
const UNPACKED = path.join(HOME, "usr", "bin", "promtool");

const works = (program) => output(program, ["--version"]).startsWith("promtool");

/** Its path; fetches it where that is possible. Installs no service: Debian's package is unpacked alone. */
export async function promtool(say) {
  const given = process.env.PROMTOOL_BIN;
  if (given && !works(given)) throw new Error(`PROMTOOL_BIN names no promtool that starts: ${given}.`);
  const found = [given, "promtool", UNPACKED].find((program) => program && works(program));
  if (found) return found;
  if (output("apt-get", ["--version"]) && output("dpkg-deb", ["--version"])) {
    await unpack(say).catch((error) => say(error.message));
  }
  if (!works(UNPACKED)) {
    throw new Error(
      "The test of the rules needs promtool, which comes with Prometheus: install it, or name it in PROMTOOL_BIN, then run this again.",
    );
  }
  return UNPACKED;
}

async function unpack(say) {
  await once(
    "promtool",
    "debian",
    () => existsSync(UNPACKED),
    async () => {
      rmSync(HOME, { recursive: true, force: true });
      mkdirSync(HOME, { recursive: true });
      await download(say);
      const packed = path.join(HOME, archive());
      await run("dpkg-deb", ["-x", packed, HOME], { say, what: "unpack Prometheus" });
      rmSync(packed);
    },
  );
}

const archive = () => readdirSync(HOME).find((file) => file.endsWith(".deb"));

/** With fresh lists of packages only where those at hand are missing or name a file that is gone: they want root. */
async function download(say) {
  const fetch = () =>
    run("apt-get", ["download", "-qq", "prometheus"], { say, what: "download Prometheus", cwd: HOME });
  try {
    await fetch();
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    await run("apt-get", ["update", "-qq"], { say, what: "apt-get update" });
    await fetch();
  }
}
