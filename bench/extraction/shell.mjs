// The same around each contestant: `extract(response)` answers `{ token, fingerprint }`.

/** A Worker that lets `extract` read pages. */
export function shell({ extract, memory }) {
  return {
    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/once") return Response.json(await extract(asAnswer(request)));
      const page = `http://origin/?${searchParams}`;
      const times = Number(searchParams.get("times"));
      let found;
      for (let time = 0; time < times; time += 1) {
        found = await extract(await env.ORIGIN.fetch(page));
      }
      return Response.json({ ...found, wasmBytes: memory?.() });
    },
  };
}

/** A page that came as a request's body, as an answer. */
function asAnswer(request) {
  const contentType = request.headers.get("content-type");
  return new Response(request.body, { headers: contentType ? { "content-type": contentType } : {} });
}
