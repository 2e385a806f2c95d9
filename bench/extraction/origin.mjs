// Serves the pages that are measured, in chunks of 64 kB: a Worker beside the contestant's, bound to it as a service, so that
// a page comes as an answer's streamed body without any network. A page is made while it is sent, never held.

import { partsOf } from "./pages.mjs";

const CHUNK = 64 * 1024;

export default {
  fetch(request) {
    const { searchParams } = new URL(request.url);
    const chunks = chunksOf(Number(searchParams.get("bytes")), searchParams.get("place"));
    const body = new ReadableStream({
      pull(controller) {
        const { value, done } = chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    });
    return new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
};

const encoder = new TextEncoder();
const made = new Map();

/** What lies before, between and behind the filler, as bytes; made once. */
function bytesOf(bytes, place) {
  const key = `${bytes} ${place}`;
  if (!made.has(key)) {
    const { before, unit, units, behind } = partsOf(bytes, place);
    const perChunk = Math.min(units, Math.floor(CHUNK / unit.length));
    const whole = unit.repeat(perChunk);
    const rest = unit.repeat(perChunk ? units % perChunk : 0);
    const [chunk, begin, end] = [whole, before, rest + behind].map((text) => encoder.encode(text));
    made.set(key, { begin, chunk, chunks: perChunk ? Math.floor(units / perChunk) : 0, end });
  }
  return made.get(key);
}

function* chunksOf(bytes, place) {
  const { begin, chunk, chunks, end } = bytesOf(bytes, place);
  yield begin;
  for (let index = 0; index < chunks; index += 1) yield chunk;
  yield end;
}
