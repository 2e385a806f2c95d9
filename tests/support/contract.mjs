// The contract as the Worker serves it, held against every answer that a test gets.

import { readFileSync } from "node:fs";
import path from "node:path";

const FILE = path.join(import.meta.dirname, "..", "..", "edge-worker", "openapi.json");
const { paths } = JSON.parse(readFileSync(FILE, "utf8"));

const routes = Object.entries(paths).map(([template, methods]) => {
  const pattern = template.replaceAll(".", "\\.").replace("{id}", "[^/]*");
  return { pattern: new RegExp(`^${pattern}$`), methods };
});

/** What is told of every path and method that isn't served. */
const UNSERVED = ["404 not_found", "405 method_not_allowed", "503 misconfigured"];

/** Throws if the contract says nothing of such an answer: of its status, or of its code with that status. */
export function assertDocumented(method, route, { status, body }) {
  const { pathname } = new URL(route, "http://worker");
  // The dashboard's own pages, forms and files are for people.
  if (pathname.startsWith("/api/internal/dashboard/")) return;
  const operation = routes.find(({ pattern }) => pattern.test(pathname))?.methods[method.toLowerCase()];
  const told = body?.code === undefined ? String(status) : `${status} ${body.code}`;
  const documented = operation ? answersOf(operation) : UNSERVED;
  if (!documented.includes(told)) throw new Error(`${method} ${route}: the contract has no ${told}`);
}

/** Statuses of success, and of failure with each code. */
function answersOf({ responses }) {
  return Object.entries(responses).flatMap(([status, response]) => {
    const codes = codesIn(response.content?.["application/json"]?.schema);
    return codes.length === 0 ? [status] : codes.map((code) => `${status} ${code}`);
  });
}

/** The codes that a schema of a failure allows. */
function codesIn(schema) {
  const parts = [...(schema?.anyOf ?? []), ...(schema?.allOf ?? [])];
  return [...(schema?.properties?.code?.enum ?? []), ...parts.flatMap(codesIn)];
}
