// cheerio over the whole text, with its default parser (parse5).

import { load } from "cheerio";
import { type Found, findCalls } from "./calls";

export async function extract(response: Response): Promise<Found> {
  const $ = load(await response.text());
  const found: Found = {};
  for (const script of $("script:not([src])")) findCalls($(script).text(), found);
  return found;
}
