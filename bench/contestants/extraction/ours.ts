// This project's reader of pages, as its Worker drives it.

import { initSync, Reader } from "#reader";
import module from "./reader.wasm";

const exports = initSync({ module });

export const memory = () => exports.memory.buffer.byteLength;

export const extract = (response: Response) => readWith(new Reader(contentType(response)), response);

export const contentType = (response: Response) => response.headers.get("content-type") ?? undefined;

/** Feeds a reader until it has enough. */
export async function readWith(reader: Reader, response: Response) {
  const chunks = response.body?.getReader();
  for (;;) {
    const next = await chunks?.read();
    if (!next || next.done) break;
    if (!reader.push(next.value)) {
      await chunks?.cancel();
      break;
    }
  }
  const found = reader.finish();
  const { token, fingerprint } = found;
  found.free();
  return { token, fingerprint };
}
