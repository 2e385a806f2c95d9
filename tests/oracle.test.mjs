// The reader of pages beside a browser: the same pages through both, and what the browser's localStorage holds
// afterwards is what the reader must have found. `PAGES=5000 SEED=1000` shows it others, and more of them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import { realCargo } from "../local/toolchain.mjs";
import { startBrowser } from "./support/browser.mjs";
import { DISAGREEMENTS } from "./support/disagreements.mjs";
import { agreedPage, utf8 } from "./support/pages.mjs";
import { showAll } from "./support/storage.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const PAGES = Number(process.env.PAGES ?? 400);
const FROM = Number(process.env.SEED ?? 1);

/** The reader may have to be compiled first. */
const WIDE = { timeout: 600_000 };

const ONE = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";
const TWO = "69232|1766731602|93485f300f1a53a7e34143a0af9d2593";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

test("what the reader finds is what a browser keeps", WIDE, async () => {
  const pages = Array.from({ length: PAGES }, (_, index) => agreedPage(FROM + index));
  const wrong = [];
  let tokens = 0;
  for (const { page, found, kept } of await readAndShow(pages)) {
    tokens += kept.refreshToken === null ? 0 : 1;
    const same = found.refreshToken === kept.refreshToken && found.fingerprint === kept.fingerprint;
    if (!same) wrong.push({ name: page.name, page: page.page.toString(), found, kept });
  }
  assert.deepEqual(wrong.slice(0, 3), [], `${wrong.length} pages are read otherwise`);
  assert.ok(tokens > PAGES / 2 && tokens < PAGES, `${tokens} of ${PAGES} pages keep a token`);
});

test("they disagree where that is known, and as it is known", WIDE, async () => {
  const pages = DISAGREEMENTS.flatMap(([kind, , expected, variants]) =>
    variants.map((make) => {
      const made = make(ONE, TWO);
      return { kind, expected, ...(typeof made === "string" ? utf8(`<!doctype html>${made}`) : made) };
    }),
  );
  for (const { page, found, kept } of await readAndShow(pages)) {
    const what = `${page.kind}: ${page.page.toString().slice(0, 300)}`;
    assert.deepEqual([told(found), told(kept)], page.expected, what);
    assert.notEqual(found.refreshToken, kept.refreshToken, what);
  }
});

function told({ refreshToken, maySetToken }) {
  if (refreshToken === null) return maySetToken ? "nothing, but warned" : "nothing";
  return { [ONE]: "one", [TWO]: "two" }[refreshToken] ?? "some text";
}

/** `{ page, found, kept }` of each page: by the reader, and by the browser. */
async function readAndShow(pages) {
  const [found, kept] = [readAll(pages), await showAll(browser, pages)];
  return pages.map((page, index) => ({ page, found: found[index], kept: kept[index] }));
}

function readAll(pages) {
  const asked = pages.map(({ contentType, page }) => JSON.stringify({ contentType, page: [...page] }));
  const cargo = ["run", "--quiet", "--locked", "-p", "session-core", "--example", "read_pages"];
  const answers = execFileSync(realCargo(), cargo, { cwd: ROOT, input: asked.join("\n"), maxBuffer: 1 << 26 });
  return answers
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}
