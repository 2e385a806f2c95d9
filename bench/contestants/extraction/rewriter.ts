// workerd's own HTMLRewriter, streaming: its output is read on, 64 KiB at a time and into one buffer, until both values are
// there. The plain loop over `getReader()` takes more than twice the time, for each small piece of output comes by itself.

import type { Found } from "./calls";
import { searchingScripts } from "./scripts";

const BLOCK = 64 * 1024;

export async function extract(response: Response): Promise<Found> {
  const found: Found = {};
  const reader = searchingScripts(found).transform(response).body?.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(BLOCK);
  for (;;) {
    const next = await reader?.read(new Uint8Array(buffer), { min: BLOCK });
    if (!next || next.done) return found;
    if (found.token && found.fingerprint) {
      await reader?.cancel();
      return found;
    }
    buffer = next.value.buffer;
  }
}
