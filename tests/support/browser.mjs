// Chromium, and a server of pages that use the client as built.

import { existsSync, readFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import path from "node:path";
import { chromium as engine } from "playwright-core";
import { chromium } from "../../local/chromium.mjs";

const DIST = path.join(import.meta.dirname, "..", "..", "client-wasm", "dist");
const TYPES = {
  ".js": "text/javascript",
  ".wasm": "application/wasm",
  ".css": "text/css",
  ".html": "text/html",
};
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function startBrowser({ flags = [] } = {}) {
  const executablePath = await chromium(console.log);
  // With the back-forward cache, as users have it.
  return engine.launch({
    executablePath,
    args: [...FLAGS, ...flags],
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
}

const PAGE = `<!doctype html><html lang="en"><title>client</title><script type="module">
import { createRefreshClient } from "/pkg/index.js";
const options = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
if (options.token) options.getToken = ({ refused }) => (refused && options.other) || options.token;
const client = createRefreshClient(options);
window.shown = [];
window.client = client;
window.leave = client.subscribe(() => window.shown.push(client.getSnapshot()));
</script><p>A page that keeps a session fresh.`;

/**
 * Serves a page at `/` (with a CSP, if it is given) and another at `/other`, and the package at `/pkg/`. With `worker()`,
 * its address, it hands `/api/` on to it, as a route of Cloudflare's does on the app's own origin.
 */
export async function startPages({ worker } = {}) {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    if (pathname.startsWith("/api/")) return handOn(request, response, new URL(request.url, worker()));
    if (pathname.startsWith("/pkg/")) {
      const file = path.join(DIST, path.normalize(pathname.slice(4)));
      response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "text/plain" });
      return response.end(readFileSync(file));
    }
    if (pathname === "/favicon.ico") return response.writeHead(204).end();
    const headers = { "content-type": "text/html" };
    const policy = searchParams.get("csp");
    if (policy) headers["content-security-policy"] = policy;
    response.writeHead(200, headers);
    return response.end(pathname === "/" ? PAGE : "<!doctype html><title>other</title>Elsewhere");
  });
  return listen(server, 0);
}

function handOn(request, response, target) {
  const { method, headers } = request;
  // No agent, which would use a connection again that workerd is about to end.
  const options = { method, headers: { ...headers, host: target.host }, agent: false };
  const onward = httpRequest(target, options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

/** Serves a folder's files below a path, as a plain web server does. */
export function serveFolder(folder, base, port) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    if (pathname === "/favicon.ico") return response.writeHead(204).end();
    const below = pathname.startsWith(base) ? path.normalize(pathname.slice(base.length) || "/index.html") : undefined;
    const file = below && path.join(folder, below);
    if (!file || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "text/plain" });
    return response.end(readFileSync(file));
  });
  return listen(server, port);
}

async function listen(server, port) {
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
