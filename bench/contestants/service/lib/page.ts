import * as cheerio from "cheerio";

/** How a page is read: by "regex" over all of it, or by "cheerio". */
const READER = process.env.PAGE_READER ?? "regex";

const SET_ITEM = /localStorage\.setItem\(\s*["'](refreshToken|fingerprint)["']\s*,\s*["']([^"']+)["']\s*\)/g;

export type Tokens = { refreshToken?: string; fingerprint?: string };

/** The tokens that the page keeps. The last call counts: there are older ones in comments before it. */
export function readTokens(html: string): Tokens {
  const text = READER === "cheerio" ? scriptsOf(html) : html;
  return Object.fromEntries([...text.matchAll(SET_ITEM)].map(([, name, value]) => [name, value]));
}

function scriptsOf(html: string): string {
  const $ = cheerio.load(html);
  return $("script:not([src])")
    .map((_, script) => $(script).text())
    .get()
    .join("\n");
}
