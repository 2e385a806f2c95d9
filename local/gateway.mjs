// What stands before PostgREST at Supabase: the /rest/v1 path and the check of API keys. For tests it also breaks
// answers on demand and keeps a record of calls.

import http from "node:http";
import { createLastingServer } from "./server.mjs";

/**
 * `keys` maps each accepted API key to the token that PostgREST gets for it. `target()` is PostgREST's port.
 *
 * Faults: `gateway.fail((call) => fault)`, asked for each call (`{ method, path, body, count }`), answers undefined
 * or one of: `{ reset: true }`, `{ hang: true }`, `{ delay: ms }`, `{ status, html }`, `{ status, json, location }`,
 * `{ loseResponse: "reset" | "html" }` (PostgREST works and commits, its answer is lost).
 */
export async function startGateway({ port = 0, keys, target }) {
  const gateway = { calls: [], fail: (choose) => (gateway.choose = choose), choose: undefined };
  const server = createLastingServer((request, response) => serve(request, response, gateway, keys, target));
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  gateway.port = server.address().port;
  gateway.url = `http://127.0.0.1:${gateway.port}`;
  gateway.stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return gateway;
}

async function serve(request, response, gateway, keys, target) {
  const body = await read(request).catch(() => undefined);
  if (body === undefined) return;
  const call = {
    method: request.method,
    path: request.url,
    body,
    count: gateway.calls.length + 1,
    at: Date.now(),
    bytes: 0,
  };
  gateway.calls.push(call);
  response.on("close", () => Object.assign(call, { status: response.statusCode, ms: Date.now() - call.at }));
  const refusal = refuse(request, keys);
  if (refusal) return answerJson(response, ...refusal);
  const fault = gateway.choose?.(call);
  if (fault?.reset) return request.socket.destroy();
  if (fault?.hang) return;
  if (fault?.html) return answer(response, fault.status, "text/html", fault.html);
  if (fault?.location) response.setHeader("location", fault.location);
  if (fault?.json) return answerJson(response, fault.status, fault.json);
  if (fault?.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
  forward({
    request,
    response,
    call,
    token: keys.get(request.headers.apikey),
    target,
    lose: fault?.loseResponse,
  });
}

function refuse(request, keys) {
  if (!request.url.startsWith("/rest/v1/")) return [404, { message: "no Route matched with those values" }];
  const { apikey, authorization } = request.headers;
  if (!apikey) return [401, { message: "No API key found in request" }];
  if (!keys.has(apikey)) return [401, { message: "Invalid API key" }];
  if (!apikey.startsWith("sb_")) return undefined;
  if (authorization) return [401, { message: "Expected 3 parts in JWT; got 1", code: "PGRST301" }];
  if (request.headers["user-agent"]?.startsWith("Mozilla/")) {
    return [401, { message: "Forbidden use of secret API key in browser" }];
  }
  return undefined;
}

function forward({ request, response, call, token, target, lose }) {
  const headers = { ...request.headers, "content-length": Buffer.byteLength(call.body) };
  delete headers.apikey;
  delete headers.host;
  delete headers["transfer-encoding"];
  headers.authorization ??= `Bearer ${token}`;
  const path = request.url.slice("/rest/v1".length);
  const onward = http.request({ host: "127.0.0.1", port: target(), method: request.method, path, headers });
  onward.on("response", (reply) => {
    if (lose) {
      reply.resume();
      reply.on("end", () => {
        if (lose === "reset") return request.socket.destroy();
        return answer(response, 504, "text/html", "<html><body>Gateway time-out</body></html>");
      });
      return;
    }
    response.writeHead(reply.statusCode, reply.headers);
    reply.on("data", (chunk) => (call.bytes += chunk.length));
    reply.pipe(response);
  });
  onward.on("error", () => {
    if (response.headersSent) return response.destroy();
    return answer(response, 502, "text/html", "<html><body>Bad gateway</body></html>");
  });
  onward.end(call.body);
}

function answer(response, status, type, text) {
  response.writeHead(status, { "content-type": type });
  response.end(text);
}

function answerJson(response, status, json) {
  answer(response, status, "application/json", JSON.stringify(json));
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
