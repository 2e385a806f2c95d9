// workerd's own HTMLRewriter, streaming: a script's text is gathered, and searched at its end.

import { type Found, findCalls } from "./calls";

export async function extract(response: Response): Promise<Found> {
  const found: Found = {};
  let script = "";
  const rewriter = new HTMLRewriter().on("script:not([src])", {
    text({ text, lastInTextNode }) {
      script += text;
      if (!lastInTextNode) return;
      findCalls(script, found);
      script = "";
    },
  });
  const chunks = rewriter.transform(response).body?.getReader();
  while (chunks && !(await chunks.read()).done) {
    if (found.token && found.fingerprint) {
      await chunks.cancel();
      break;
    }
  }
  return found;
}
