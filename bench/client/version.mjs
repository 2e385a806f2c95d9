// What is compared: a package by its name, as it is installed.

import { readFileSync } from "node:fs";
import path from "node:path";

const PACKAGES = path.join(import.meta.dirname, "..", "node_modules");

/** The name of a package with its installed version. */
export function versionOf(name) {
  return `${name} ${JSON.parse(readFileSync(path.join(PACKAGES, name, "package.json"), "utf8")).version}`;
}
