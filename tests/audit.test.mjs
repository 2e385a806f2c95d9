// `npm run audit`: what makes it fail, and what doesn't.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readNpmAudit, shippedPackages } from "../local/audit.mjs";

test("a grave weakness is told from a lesser one, and from a registry that tells nothing", () => {
  const weak = (severity) => JSON.stringify({ vulnerabilities: { x: { name: "x", severity, range: "<2" } } });
  for (const severity of ["high", "critical"]) assert.equal(readNpmAudit(weak(severity)).grave, 1);
  assert.deepEqual(readNpmAudit(weak("moderate")), { found: ["moderate: x <2"], grave: 0 });
  assert.deepEqual(readNpmAudit('{"vulnerabilities": {}}'), { found: [], grave: 0 });
  for (const text of ["", "<html>", "{}", '{"message": "405 Method Not Allowed", "error": {"summary": ""}}']) {
    assert.ok(readNpmAudit(text).skipped, text);
  }
});

test("what our package brings along or asks for has to be permissive", () => {
  const mistakes = (manifest, licence) => shippedPackages({ name: "client", ...manifest }, () => licence);
  assert.deepEqual(mistakes({ peerDependencies: { react: ">=18" } }, "MIT"), []);
  assert.match(mistakes({ peerDependencies: { other: "1" } }, "GPL-3.0")[0], /other, whose licence is GPL-3.0/);
  assert.match(mistakes({ peerDependencies: { other: "1" } }, undefined)[0], /undefined/);
  assert.match(mistakes({ dependencies: { left: "1" } }, "MIT")[0], /dependencies/);
});
