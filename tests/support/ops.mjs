// The operators' command line as its user runs it, and a stand-in for the Worker that answers what a test wants.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import path from "node:path";

const PROGRAM = path.join(import.meta.dirname, "..", "..", "local", "ops.mjs");

/** Starts the program. `ended` answers `{ code, stdout, stderr }`; `environment` goes before what the tests have. */
export function start(args, environment = {}) {
  const { PATH } = process.env;
  const env = { PATH, TZ: "UTC", DEV_VARS_FILE: "/dev/null", ...environment };
  const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const program = { child, stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"])
    child[name].setEncoding("utf8").on("data", (text) => (program[name] += text));
  program.ended = once(child, "close").then(([code, signal]) => ({ ...program, code: code ?? signal }));
  return program;
}

export const ops = (args, environment) => start(args, environment).ended;

/** Answers by `"GET /path?query"`: `{ status?, headers?, json? | text? }`, or a function of the request that answers one. */
export class FakeWorker {
  asked = [];
  answers = {};

  async start() {
    this.server = createServer((request, response) => this.#answer(request, response));
    await once(this.server.listen(0, "127.0.0.1"), "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  async #answer(request, response) {
    let body = "";
    for await (const text of request.setEncoding("utf8")) body += text;
    const name = `${request.method} ${request.url.replace("/api/internal/", "")}`;
    this.asked.push({ name, body, key: request.headers["x-api-key"] });
    const known = this.answers[name] ?? { status: 501, text: `nobody expected ${name}` };
    const { status = 200, headers = {}, json, text } = await (typeof known === "function" ? known(body) : known);
    response.writeHead(status, headers).end(text ?? JSON.stringify({ success: status < 400, ...json }));
  }

  /** What a failure of the Worker looks like. */
  static failure(status, code, error, more = {}) {
    return { status, json: { error, code, requestId: "5d0c8f0e-0000-4000-8000-000000000001", ...more } };
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}
