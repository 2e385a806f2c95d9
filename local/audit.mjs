// `npm run audit`: what we build on, by its licences, its sources and what is known against it. What has to be asked of
// others, and can't be, is told and skipped: an outage of theirs is no fault of ours.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { run } from "./run.mjs";
import { asProgram, installCargoDeny } from "./setup.mjs";
import { realCargo } from "./toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const say = (text) => console.log(`[audit] ${text}`);

/** Licences that ask for no more than their text. */
const PERMISSIVE = ["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause"];

async function crates() {
  const deny = await installCargoDeny();
  const check = (what, args) =>
    run(deny, args, { say, what, cwd: ROOT, environment: { CARGO: realCargo() }, silence: 60_000 });
  await check("licences, sources and duplicates of crates", [
    ...["check", "--deny", "unmatched-skip", "--deny", "unnecessary-skip"],
    ...["bans", "licenses", "sources"],
  ]);
  try {
    await check("the database of advisories", ["fetch", "db"]);
  } catch {
    // Without one of before, cargo-deny can't check: it says so in the same way as it reports a weakness.
    if (!hasAdvisories()) return say("advisories on crates: SKIPPED, as their database can't be had here");
    say("advisories on crates: their database can't be had anew, the one of before is used");
  }
  await check("advisories on crates", ["check", "--disable-fetch", "advisories"]);
}

/** Whether cargo-deny has a database of before, in its usual place. */
function hasAdvisories() {
  const home = process.env.CARGO_HOME ?? path.join(homedir(), ".cargo");
  const place = path.join(home, "advisory-dbs");
  const isDatabase = (name) => existsSync(path.join(place, name, "crates"));
  return existsSync(place) && readdirSync(place).some(isDatabase);
}

function packages() {
  const { stdout } = spawnSync("npm", ["audit", "--json"], { cwd: ROOT, encoding: "utf8", timeout: 60_000 });
  const { skipped, found, grave } = readNpmAudit(stdout ?? "");
  if (skipped) return say(`advisories on npm packages: SKIPPED, as the registry tells none (${skipped})`);
  for (const line of found) say(line);
  if (grave > 0) throw new Error(`npm knows ${grave} grave weaknesses in packages that we use.`);
  say(`advisories on npm packages: ${found.length}, none of them grave`);
}

/** What `npm audit --json` says: `{ skipped }`, or what it `found`, and how much of that is `grave`: high or critical. */
export function readNpmAudit(text) {
  let told;
  try {
    told = JSON.parse(text);
  } catch {
    return { skipped: "no answer" };
  }
  if (!told.vulnerabilities) return { skipped: told.message ?? told.error?.summary ?? "an answer of an unknown shape" };
  const weak = Object.values(told.vulnerabilities);
  return {
    found: weak.map(({ name, severity, range }) => `${severity}: ${name} ${range}`),
    grave: weak.filter(({ severity }) => severity === "high" || severity === "critical").length,
  };
}

/** What goes to users by npm is our package alone: nothing comes with it, and what it asks for is permissive. */
export function shippedPackages(manifest, licenceOf) {
  const mistakes = ["dependencies", "bundleDependencies", "bundledDependencies", "optionalDependencies"]
    .filter((kind) => manifest[kind] && Object.keys(manifest[kind]).length > 0)
    .map((kind) => `${manifest.name} has ${kind}: say here what their licences are`);
  for (const peer of Object.keys(manifest.peerDependencies ?? {})) {
    const licence = licenceOf(peer);
    if (!PERMISSIVE.includes(licence)) mistakes.push(`${manifest.name} asks for ${peer}, whose licence is ${licence}`);
  }
  return mistakes;
}

const readJson = (...place) => JSON.parse(readFileSync(path.join(ROOT, ...place), "utf8"));

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await asProgram(async () => {
    const mistakes = shippedPackages(
      readJson("client-wasm", "package.json"),
      (name) => readJson("node_modules", name, "package.json").license,
    );
    if (mistakes.length > 0) throw new Error(mistakes.join("\n"));
    say("licences of the npm package that we ship: fine");
    packages();
    await crates();
  });
}
