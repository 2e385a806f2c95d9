// The contract: what /openapi.json says is what the Worker does. schemathesis makes up requests that fit it and ones
// that don't, and looks at every answer.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { start } from "../local/processes.mjs";
import { python } from "../local/python.mjs";
import { signToken } from "../local/stack.mjs";
import { claims, INTERNAL_KEY, startWorld } from "./support/world.mjs";

const HERE = path.join(import.meta.dirname, "contract");
/** Answers of an upstream on a bad day. None that pauses all calls for long, or takes long. */
const FAULTS = ["forbidden", "server_error", "reset_before_headers", "expired_short_page"];

const WIDE = { timeout: 600_000 };

let world;
let tool;
let folder;
before(async () => {
  tool = await python(console.log);
  folder = mkdtempSync(path.join(tmpdir(), "contract-"));
  // Answers that were lost leave a token behind that the site takes once more.
  world = await startWorld({ site: { rotation: "grace" } });
});
after(async () => {
  await world?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

test("anybody may read the contract, and keep it for some minutes", async () => {
  const { status, headers, body } = await world.worker.call("/openapi.json");
  assert.deepEqual([status, body.openapi], [200, "3.1.0"]);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.equal(headers.get("cache-control"), "public, max-age=300");
  assert.match(headers.get("x-request-id"), /^[0-9a-f-]{36}$/);
  const head = await world.worker.call("/openapi.json", { method: "HEAD" });
  assert.deepEqual([head.status, head.text], [200, ""]);
  const misconfigured = await world.startWorker({ SUPABASE_URL: "x" });
  assert.equal((await misconfigured.call("/openapi.json")).status, 200);
});

test("the contract is valid OpenAPI", async () => {
  const { code, lines } = await runTool("openapi-spec-validator", ["--errors", "all", await contract()]);
  assert.equal(code, 0, lines.join("\n"));
});

test("schemathesis finds nothing", WIDE, async () => {
  const sessions = await signInSome();
  const report = path.join(folder, "report.ndjson");
  world.site.badDay(0.4, FAULTS);
  const stopWaiting = makeDueAgain();
  const options = ["--config-file", path.join(HERE, "schemathesis.toml"), "run", await contract({ closed: true })];
  options.push("--url", world.worker.url, "--checks", "all", "--max-examples", "100", "--seed", "6");
  // Where the breaker is open, ensure-fresh waits for the bound of a call and eight seconds, and calls then.
  options.push(
    "--generation-database",
    "none",
    "--request-timeout",
    "60",
    "--report-ndjson-path",
    report,
    "--no-color",
  );
  const { code, lines } = await runTool("schemathesis", options, {
    SCHEMATHESIS_HOOKS: path.join(HERE, "hooks.py"),
    PYTHONDONTWRITEBYTECODE: "1",
    SESSION_IDS: sessions.map(({ id }) => id).join(),
    USER_TOKEN: signToken(claims()),
    INTERNAL_KEY,
  });
  await stopWaiting();
  assert.equal(code, 0, lines.join("\n"));
  const seen = answersIn(readFileSync(report, "utf8"));
  // The dashboard is signed in to by a browser's form, and on a day as bad as this not all is well.
  for (const operation of [...seen.keys()].filter((name) => !/\/(dashboard|internal\/health)$/.test(name)))
    assert.ok([...seen.get(operation)].some(isSuccess), `${operation}: no success`);
  const all = new Set([...seen.values()].flatMap((statuses) => [...statuses]));
  for (const status of [200, 204, 400, 401, 404, 405, 502]) assert.ok(all.has(status), `no ${status} was seen`);
});

/** The contract in a file. `closed`: holding answers to what it names, while callers have to expect more. */
async function contract({ closed = false } = {}) {
  const { body } = await world.worker.call("/openapi.json");
  const file = path.join(folder, closed ? "closed.json" : "openapi.json");
  if (closed) {
    body.components.schemas.NamedSession.additionalProperties = false;
    for (const { schema } of answersWithBodies(body)) schema.unevaluatedProperties = false;
    delete body.paths["/openapi.json"].get.responses[200].content;
  }
  writeFileSync(file, JSON.stringify(body));
  return file;
}

function answersWithBodies({ paths }) {
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const responses = operations.flatMap((operation) => Object.values(operation.responses));
  return responses.flatMap(({ content }) => Object.values(content ?? {}));
}

const isSuccess = (status) => status < 300;

/** What schemathesis was answered: each operation's statuses. */
function answersIn(report) {
  const seen = new Map();
  for (const line of report.trim().split("\n")) {
    const { label, interactions = {} } = JSON.parse(line).ScenarioFinished?.recorder ?? {};
    if (!/^[A-Z]+ \//.test(label)) continue;
    if (!seen.has(label)) seen.set(label, new Set());
    for (const { response } of Object.values(interactions)) seen.get(label).add(response?.status_code);
  }
  return seen;
}

/** Sessions of several users, one of whom asks; among them some that are over, or given up. */
async function signInSome() {
  const sessions = [];
  for (const email of ["ana", "ana", "bruno", "carla", "diego", "elena"]) {
    sessions.push(await world.signIn({ email: `${email}@example.com`, due: true }));
  }
  const [over, givenUp] = sessions.slice(-2);
  await world.set(over, { refresh_state: "expired" });
  await world.set(givenUp, { refresh_state: "exhausted" });
  return sessions;
}

/** Makes what was refreshed due again, and refreshable by hand, time and again. Answers a function that ends it. */
function makeDueAgain() {
  // Without waiting for a row: whoever else locks some does so in another order.
  const statement = `with chosen as materialized (
      select id from auth_sessions where lease_holder is null and random() < 0.5 for update skip locked
    )
    update auth_sessions session set next_refresh_at = now() - interval '1 minute', last_attempt_at = null,
      last_refresh_date = session.last_refresh_date - interval '1 minute'
    from chosen where session.id = chosen.id`;
  let last = Promise.resolve();
  const timer = setInterval(() => (last = world.sql.query(statement)), 250);
  return () => {
    clearInterval(timer);
    return last;
  };
}

/** Runs one of Python's tools, in a folder that takes whatever it leaves behind. */
async function runTool(name, options, variables = {}) {
  const lines = [];
  const env = { ...process.env, ...variables };
  const child = start(tool(name), options, { cwd: folder, env, group: true, log: (line) => lines.push(line) });
  const { code } = await child.ended;
  return { code, lines };
}
