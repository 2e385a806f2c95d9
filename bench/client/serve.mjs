// The app of one client after the other at https://app.example, as a real server on loopback with a fixed latency.

import { createSecureServer } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { certificate } from "./certificate.mjs";
import { Answer } from "./peers/server.mjs";

const HOST = "app.example";
export const ORIGIN = `https://${HOST}`;

/** How long each answer but the page itself takes, in milliseconds. */
export const LATENCY = 20;

const PAGE = `<!doctype html><html lang="en"><title>app</title><div id="root"></div>
<script type="module">window.bench.start(); import("/app.js");</script>`;
const FOREVER = { "cache-control": "public, max-age=31536000, immutable" };

/** `flags`: with which Chromium finds it. `show({ client, files })`: from now on it is this one's. */
export async function startServer() {
  const { key, cert, hash } = certificate(HOST);
  let shown;
  const faults = [];
  const server = createSecureServer({ key, cert, allowHTTP1: true }, async (incoming, outgoing) => {
    try {
      await send(outgoing, await answer(shown, await read(incoming)));
    } catch (error) {
      faults.push(error.message);
      outgoing.writeHead(501).end();
    }
  });
  const sessions = new Set();
  server.on("session", (session) => sessions.add(session.once("close", () => sessions.delete(session))));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    flags: [
      "--no-proxy-server",
      `--host-resolver-rules=MAP ${HOST} 127.0.0.1:${server.address().port}`,
      `--ignore-certificate-errors-spki-list=${hash}`,
    ],
    show: (next) => {
      shown = next;
    },
    check: () => {
      if (faults.length > 0) throw new Error(faults.join("; "));
    },
    close: () => {
      for (const session of sessions) session.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A request as the clients' servers read it. */
async function read(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  return {
    method: () => incoming.method,
    url: () => `${ORIGIN}${incoming.url}`,
    headers: () => incoming.headers,
    postData: () => body || null,
  };
}

async function answer({ client, files }, request) {
  const { pathname } = new URL(request.url());
  if (pathname === "/" || pathname === "/seed") {
    return { contentType: "text/html", body: pathname === "/" ? PAGE : "<!doctype html><title>seed</title>" };
  }
  if (pathname === "/favicon.ico") return { status: 204 };
  await sleep(LATENCY);
  const file = files[pathname] ?? client.files?.[pathname];
  if (file) return { ...file, headers: FOREVER };
  const { endpoint, serves, log, name } = client;
  if (log?.test(pathname)) return { json: {} };
  if (!endpoint?.test(pathname) && !serves?.test(pathname)) {
    throw new Error(`${name}: an unexpected request, ${request.method()} ${pathname}`);
  }
  const good = client.well(request, Date.now());
  return good instanceof Answer ? good.options : { json: good };
}

function send(outgoing, { status = 200, headers = {}, contentType = "application/json", json, body }) {
  outgoing.writeHead(status, { "cache-control": "no-store", "content-type": contentType, ...headers });
  outgoing.end(status === 204 ? undefined : (body ?? JSON.stringify(json)));
}
