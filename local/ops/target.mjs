// Which Worker is talked to, and with which key.

import { DEVELOPMENT, readSettings } from "../settings.mjs";
import { misuse } from "./failure.mjs";

/** Answers `{ url, key }`. The key comes from the environment or from .dev.vars: an argument would show in `ps`. */
export function target(asked, environment = process.env) {
  const { given, ports } = settings(environment);
  const url = workerUrl(asked || environment.KEEPALIVE_URL || `http://127.0.0.1:${ports.WORKER_PORT}`);
  const isLocal = isLoopback(url.hostname);
  const key = given.INTERNAL_API_KEY ?? (isLocal ? DEVELOPMENT.INTERNAL_API_KEY : undefined);
  if (!key) throw misuse("There is no key: set INTERNAL_API_KEY in the environment or in .dev.vars.");
  // fetch() would refuse it with a message that shows it.
  if (!/^[\x21-\x7e]+$/.test(key)) throw misuse("INTERNAL_API_KEY has characters that no key can have.");
  return { url: url.origin, key };
}

function settings(environment) {
  try {
    return readSettings(environment);
  } catch (error) {
    throw misuse(error.message);
  }
}

function workerUrl(text) {
  const url = parsed(text);
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw misuse("The Worker's address must be like https://keepalive.example.com.");
  }
  if (url.username || url.password || url.search || url.hash || url.pathname !== "/") {
    throw misuse("The Worker's address must be a host alone, with no user, path or query.");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw misuse(`The key would travel in the open to ${url.host}: use https.`);
  }
  return url;
}

function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

const isLoopback = (host) => host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
