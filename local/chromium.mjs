// A Chromium for the browser tests: the one given, one that is installed, or Debian's.

import { existsSync } from "node:fs";
import { run } from "./run.mjs";
import { output } from "./toolchain.mjs";

const PLACES = [
  process.env.CHROMIUM_BIN,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

const find = () => PLACES.find((place) => place && existsSync(place));

/** Its path; installs it where that is possible. */
export async function chromium(say) {
  if (!find() && process.getuid?.() === 0 && output("apt-get", ["--version"])) {
    await run("apt-get", ["update", "-qq"], { say, what: "apt-get update" });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], {
      say,
      what: "install Chromium",
      environment: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  const found = find();
  if (!found) {
    throw new Error(
      "The browser tests need Chromium or Chrome: install one, or name it in CHROMIUM_BIN, then run this again.",
    );
  }
  return found;
}
