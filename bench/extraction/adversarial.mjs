// Pages that are hard to read, with what is right for each.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { startBrowser } from "../../tests/support/browser.mjs";
import { agreedPage } from "../../tests/support/pages.mjs";
import { showAll } from "../../tests/support/storage.mjs";

const FOLDER = path.join(import.meta.dirname, "..", "..", "session-core", "tests", "pages");
const END_OF_HEAD = "\n---\n";

/**
 * The pages of session-core's tests and `count` generated ones, each with `name`, `contentType`, `page` and `right`, which is
 * `{ token, fingerprint }`: of the first what their files say, of the others what Chromium keeps. `fixture`: one of the first;
 * `confirmed`: Chromium agrees. It doesn't where a script names what isn't there, or is never run, or never ends.
 */
export async function adversarialPages(count) {
  const all = [...fixtures(), ...Array.from({ length: count }, (_, index) => agreedPage(index + 1))];
  const browser = await startBrowser();
  try {
    const kept = (await showAll(browser, all.map(asServed))).map(told);
    return all.map((page, index) => {
      const right = page.right ?? kept[index];
      return { ...page, right, confirmed: isSame(right, kept[index]) };
    });
  } finally {
    await browser.close();
  }
}

/** Whether two findings are the same. */
export const isSame = (one, other) => one.token === other.token && one.fingerprint === other.fingerprint;

const told = ({ refreshToken, fingerprint }) => ({ token: refreshToken, fingerprint });
const asServed = ({ contentType, page }) => ({ contentType: contentType ?? "text/html", page });

/** As session-core/tests/pages.rs reads them. */
function fixtures() {
  return readdirSync(FOLDER)
    .sort()
    .map((file) => {
      const bytes = readFileSync(path.join(FOLDER, file));
      const end = bytes.indexOf(END_OF_HEAD);
      const head = bytes.subarray(0, end).toString();
      const field = (name) => head.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1];
      const right = { token: value(field("token")), fingerprint: value(field("fingerprint")) };
      const page = bytes.subarray(end + END_OF_HEAD.length);
      return { name: path.basename(file, ".html"), contentType: field("content-type"), page, right, fixture: true };
    });
}

function value(text) {
  if (text === "-") return null;
  return text.replaceAll("\\n", "\n").replaceAll("\\t", "\t").replaceAll("\\0", "\0").replaceAll("\\\\", "\\");
}
