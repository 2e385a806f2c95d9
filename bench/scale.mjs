// `npm run bench:scale`: writes the tables of docs/SCALE.md from docs/scale-figures.json and published prices.
// `npm run bench:scale -- --measure` measures those figures first.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { asProgram } from "../local/setup.mjs";
import { tables } from "./scale/tables.mjs";

const DOCS = path.join(import.meta.dirname, "..", "docs");
const FIGURES = path.join(DOCS, "scale-figures.json");
const PAGE = path.join(DOCS, "SCALE.md");

/** The page with its tables as the figures make them. */
export function filledIn(page, figures) {
  return Object.entries(tables(figures)).reduce((text, [name, table]) => {
    const [begin, end] = [`<!-- ${name} -->\n`, "\n<!-- end -->"];
    const from = text.indexOf(begin);
    if (from < 0) throw new Error(`docs/SCALE.md has no place for the table ${name}.`);
    const to = text.indexOf(end, from);
    return text.slice(0, from + begin.length) + table + text.slice(to);
  }, page);
}

export const readPage = () => readFileSync(PAGE, "utf8");
export const readFigures = () => JSON.parse(readFileSync(FIGURES, "utf8"));

async function main() {
  if (process.argv.includes("--measure")) {
    const { build } = await import("../local/build.mjs");
    await build();
    const { measure } = await import("./scale/measure.mjs");
    writeFileSync(FIGURES, `${JSON.stringify(await measure(), null, 2)}\n`);
  }
  writeFileSync(PAGE, filledIn(readPage(), readFigures()));
  console.log("[bench] docs/SCALE.md is up to date");
}

if (import.meta.main) await asProgram(main);
