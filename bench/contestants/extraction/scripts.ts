// An HTMLRewriter that gathers each script's text, and searches it at the script's end.

import { type Found, findCalls } from "./calls";

export function searchingScripts(found: Found) {
  let script = "";
  return new HTMLRewriter().on("script:not([src])", {
    text({ text, lastInTextNode }) {
      script += text;
      if (!lastInTextNode) return;
      findCalls(script, found);
      script = "";
    },
  });
}
