// Somebody to tell of alerts, events and ticks: an HTTP server on loopback that keeps what it is sent, and misbehaves on
// demand.

import { createLastingServer } from "../../local/server.mjs";

/**
 * Starts one. `behave((message, request) => answer)` says how it answers: a status, or `{ status, headers, wait }`, with
 * `wait` in milliseconds. `requests` is all that came, `taken` the messages that it said yes to.
 */
export async function startReceiver() {
  const receiver = { requests: [], taken: [] };
  receiver.behave = (choose = () => 204) => (receiver.choose = choose);
  receiver.behave();
  const server = createLastingServer((request, response) => serve(receiver, request, response));
  const listen = (port) =>
    new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address();
  receiver.url = `http://127.0.0.1:${port}`;
  receiver.close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  /** After `close()`: there again, at the same address. */
  receiver.comeBack = () => listen(port);
  receiver.reset = () => {
    receiver.behave();
    receiver.requests.length = receiver.taken.length = 0;
  };
  return receiver;
}

async function serve(receiver, request, response) {
  let text = "";
  for await (const chunk of request) text += chunk;
  const kept = { method: request.method, path: request.url, headers: request.headers, text, at: Date.now() };
  receiver.requests.push(kept);
  const message = text.startsWith("{") ? JSON.parse(text) : undefined;
  const answer = receiver.choose(message, kept);
  const { status, headers: sent, wait } = typeof answer === "number" ? { status: answer } : answer;
  if (wait) await new Promise((resolve) => setTimeout(resolve, wait));
  // Who left meanwhile doesn't know.
  if (response.destroyed) return;
  if (status < 300) receiver.taken.push(message);
  response.writeHead(status, sent).end();
}
