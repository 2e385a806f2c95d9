// What can still panic in the built Worker: lints keep the sources of panics out of our code, but not out of the crates
// that it is made of. Each place that can says where it is, in the module's data; here each is explained. What a panic does
// is shown at the end.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { as, startWorld } from "./support/world.mjs";

const ROOT = path.join(import.meta.dirname, "..");

/** Why no request gets there, or what it would take: by crate, as all of a crate's places are of a kind. */
const CRATES = [
  [
    "checks of indices, sizes and allocations that its callers keep to; of calls that are not nested; no memory left",
    ["the standard library"],
  ],
  [
    "the platform's own objects: they would have to refuse what they take from every request; and futures polled too often",
    ["worker", "worker-sys", "js-sys", "serde-wasm-bindgen", "wasm-streams"],
  ],
  [
    "futures polled after their end, which nobody does: each is awaited once, or polled by these crates themselves",
    ["futures-channel", "futures-core", "futures-util"],
  ],
  [
    "positions in a page that the parser found itself; it is fed through body.rs, which is bounded and fuzzed",
    ["lol_html", "encoding_rs", "mime"],
  ],
  [
    "the parser of our own, fixed selectors: each page of each test parses them all",
    ["cssparser", "selectors", "servo_arc", "smallvec", "phf_shared", "hashbrown"],
  ],
  [
    "positions within a text that it split itself; upstream's headers go through it, and are fuzzed",
    ["cookie", "httpdate"],
  ],
  [
    "positions within an address that it parsed itself; most are of changes to addresses that we don't make",
    ["url", "idna", "icu_collections", "icu_normalizer", "form_urlencoded", "percent-encoding"],
  ],
  [
    "positions within a text that it read itself; maps whose keys are no strings, of which we have none",
    ["serde", "serde_core", "serde_json"],
  ],
  ["algorithms that nobody installed; ours are there before the first token is looked at", ["jsonwebtoken"]],
  ["lengths that were looked up before; tokens are fuzzed", ["base64"]],
  [
    "texts that it writes itself: names and labels are ours and fixed, and a test writes them all",
    ["prometheus-client"],
  ],
  ["the platform has no random numbers", ["uuid"]],
  [
    "sizes of blocks, digests and numbers that follow from their types",
    ["block-buffer", "const-oid", "ctutils", "digest", "hmac", "sha2", "subtle", "primefield", "sec1", "wnaf"],
  ],
  [
    "lengths of keys and signatures, which are looked at before; keys are the project's own, signatures anybody's and fuzzed",
    ["crypto-bigint", "curve25519-dalek", "ed25519", "ed25519-dalek", "rsa"],
  ],
];

/** The same of our own crates: what stands at the place that can panic. */
const OURS = [
  [
    "a future polled after its end: each is awaited once, or polled by futures-util",
    /^\{|^async (move )?\{|^\|[^|]*\| async/,
  ],
  ["the same, within the macro", /^#\[event\(/],
  ["what can't be JSON: maps whose keys are no strings. Ours are texts, numbers, and structs of them", /^json!\(/],
  [
    "a cell that is borrowed already: each borrow ends within its statement or function, and none awaits",
    /^borrow(_mut)?\(\)/,
  ],
  ["a selector that is none: they are fixed, and each page of each test parses them all", /^element!\(/],
  ["a first call that panicked: it only installs a table of functions", /^call_once\(/],
];

/** Memory as the module fills it: `wasm-opt` cuts it into pieces where it is zero. */
function memoryOf(module) {
  let at = 8;
  const number = () => {
    let [value, shift, byte] = [0, 0, 128];
    for (; byte & 128; shift += 7) {
      byte = module[at++];
      value += (byte & 127) * 2 ** shift;
    }
    return value;
  };
  const memory = Buffer.alloc(16 * 1024 * 1024);
  while (at < module.length) {
    const section = module[at++];
    const end = number() + at;
    if (section === 11) {
      for (let left = number(); left > 0; left -= 1) {
        // Of the first memory, at a constant address.
        assert.deepEqual([module[at++], module[at++]], [0, 0x41]);
        const address = number();
        assert.equal(module[at++], 0x0b);
        const length = number();
        module.copy(memory, address, at, at + length);
        at += length;
      }
    }
    at = end;
  }
  return memory;
}

/** Everything in memory that is a `core::panic::Location`: address and length of a file's name, line, column. */
function locationsIn(memory) {
  const found = [];
  for (let at = 0; at + 16 <= memory.length; at += 4) {
    const [address, length, line, column] = [0, 4, 8, 12].map((offset) => memory.readUInt32LE(at + offset));
    if (length < 4 || length > 300 || !line || line > 100_000 || !column || column > 1000) continue;
    if (address < 1024 || address + length > memory.length) continue;
    const file = memory.toString("latin1", address, address + length);
    if (/^[!-~]+\.rs$/.test(file)) found.push({ file, line, column });
  }
  return found;
}

const locations = locationsIn(memoryOf(readFileSync(path.join(ROOT, "edge-worker", "build", "index_bg.wasm"))));

function crateOf({ file }) {
  const crate = file.match(/\/registry\/src\/[^/]+\/([\w-]+?)-\d+\.\d+[^/]*\//)?.[1];
  // As rustup's toolchain names its files, or Debian's.
  return crate ?? (/library\/|\/rust\/deps\/|\/vendor\//.test(file) ? "the standard library" : undefined);
}

const isOurs = ({ file }) => /^(access-token|edge-worker|operations|session-core)\/src\//.test(file);

test("every crate that can panic is explained, and no explanation is out of date", () => {
  const theirs = locations.filter((location) => !isOurs(location));
  assert.ok(theirs.length > 100, "the places are found");
  const unknown = theirs.filter((location) => !crateOf(location)).map(({ file }) => file);
  assert.deepEqual(unknown, []);
  const explained = CRATES.flatMap(([, crates]) => crates);
  assert.deepEqual([...new Set(theirs.map(crateOf))].sort(), explained.sort());
});

test("every place in our own crates that can panic is explained", () => {
  const used = new Set();
  const unexplained = [];
  for (const { file, line, column } of locations.filter(isOurs)) {
    const place =
      readFileSync(path.join(ROOT, file), "utf8")
        .split("\n")
        [line - 1]?.slice(column - 1) ?? "";
    const reason = OURS.find(([, pattern]) => pattern.test(place));
    if (reason) used.add(reason);
    else unexplained.push(`${file}:${line}:${column} ${place}`);
  }
  assert.deepEqual(unexplained, []);
  assert.deepEqual(
    OURS.filter((reason) => !used.has(reason)).map(([reason]) => reason),
    [],
    "out of date",
  );
});

/** Lets the platform fail the Worker at the next occasion after a call of session_status, as no platform does. */
const FAULT = `
const RunningHeaders = globalThis.Headers;
const runningFetch = globalThis.fetch;
let faulty = false;
globalThis.Headers = class extends RunningHeaders {
  constructor(...given) {
    if (faulty) {
      faulty = false;
      throw new Error("no headers");
    }
    super(...given);
  }
};
globalThis.fetch = async (address, ...rest) => {
  const response = await runningFetch(address, ...rest);
  faulty ||= String(address).endsWith("/session_status");
  return response;
};`;

test("a panic costs the requests in flight, and no other: a new instance answers, and leases tell what was lost", async (t) => {
  const world = await startWorld();
  t.after(() => world.stop());
  const worker = await world.startWorker({ REFRESH_TIMEOUT_SECONDS: "5" }, { prelude: FAULT });
  const [ana, bruno] = [await world.signIn(), await world.signIn({ email: "bruno@example.com" })];
  // Not by worker.call: what the platform answers in the Worker's place is in no contract.
  const call = (method, email) => fetch(`${worker.url}/api/auth/refresh`, { method, headers: as(email) });
  const release = ana.hold();
  const underWay = call("POST", "ana@example.com");
  await world.until(() => ana.calls.length > 0, "upstream was not asked");
  assert.equal((await call("GET", "bruno@example.com")).status, 500, "the one that panicked");
  release();
  assert.equal((await underWay).status, 500, "one that waited in the same instance");
  assert.equal((await call("POST", "bruno@example.com")).status, 200);
  assert.equal(bruno.calls.length, 1);

  // As after any Worker's death: whoever finds the lease knows that a token may be lost.
  const row = await world.row(ana);
  assert.deepEqual([row.refresh_count, row.lease_expires_at > new Date()], [0, true]);
  await world.set(ana, { lease_expires_at: new Date(), next_refresh_at: new Date() });
  await worker.tick();
  assert.deepEqual(
    (await world.attempts(ana)).map(({ outcome }) => outcome),
    ["abandoned", "unrecognised"],
  );
  const told = world.logs.map(({ message }) => message).join("\n");
  assert.match(told, /Rust panic: panicked at/);
  for (const secret of [ana.token, row.aimharder_token, world.supabase.serviceRoleKey]) {
    assert.ok(!told.includes(secret));
  }
});
