// What a browser's localStorage holds after it has shown a page.

import { createServer } from "node:http";

/** Without a charset, since its frames would inherit that. */
const FRAME = { contentType: "text/html", page: "<!doctype html><title>pages</title><body>" };

/** Shows `[{ contentType, page }]`, each in a frame with an empty storage. Answers `{ refreshToken, fingerprint }` of each. */
export async function showAll(browser, pages) {
  const server = createServer((request, response) => {
    const { contentType, page } = pages[Number(request.url.slice(1))] ?? FRAME;
    response.writeHead(200, { "content-type": contentType }).end(page);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const context = await browser.newContext();
  const outer = await context.newPage();
  await outer.goto(`http://127.0.0.1:${server.address().port}/outer`);
  const kept = await outer.evaluate(keepEach, pages.length);
  await context.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return kept;
}

/** Runs in the browser. Half a surrogate pair becomes U+FFFD, as on the way to a server. */
async function keepEach(count) {
  const item = (key) => localStorage.getItem(key)?.toWellFormed() ?? null;
  const kept = [];
  for (let index = 0; index < count; index++) {
    localStorage.clear();
    const frame = document.createElement("iframe");
    frame.src = `/${index}`;
    await new Promise((resolve) => {
      frame.onload = resolve;
      document.body.append(frame);
    });
    kept.push({ refreshToken: item("refreshToken"), fingerprint: item("fingerprint") });
    frame.remove();
  }
  return kept;
}
