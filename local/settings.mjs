// Settings for `npm start`: an environment variable goes before a line of .dev.vars, that before the local default.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";

const WORKER_SETTINGS = [
  "AIMHARDER_REFRESH_URL",
  "REFRESH_METHOD",
  "AIMHARDER_FINGERPRINT",
  "SUPABASE_URL",
  "SUPABASE_SERVICE_ROLE_KEY",
  "SUPABASE_JWT_SECRET",
  "JWKS_URL",
  "JWT_ISSUER",
  "INTERNAL_API_KEY",
  "INTERNAL_API_KEY_PREVIOUS",
  "REFRESH_CRON_ENABLED",
  "REFRESH_BATCH_SIZE",
  "REFRESH_INTERVAL_MINUTES",
  "REFRESH_TIMEOUT_SECONDS",
  "REFRESH_MANUAL_INTERVAL_SECONDS",
  "REFRESH_EXHAUST_AFTER",
  "REFRESH_SESSIONS_PER_RUN",
  "REFRESH_QUEUE_ENABLED",
  "REFRESH_MAX_CONSUMERS",
  "UPSTREAM_MAX_IN_FLIGHT",
  "UPSTREAM_CALLS_PER_SECOND",
  "SUBREQUEST_LIMIT",
  "HISTORY_RETENTION_DAYS",
  "HISTORY_ATTEMPTS_KEPT",
  "ALERT_WEBHOOK_URL",
  "ALERT_WEBHOOK_FORMAT",
  "EVENT_WEBHOOK_URL",
  "WEBHOOK_SECRET",
  "ALERT_REPEAT_MINUTES",
  "ALERT_FAILURE_PERCENT",
  "CRON_PING_URL",
  "ALLOWED_ORIGINS",
];

/** For local development only: published here. */
export const DEVELOPMENT = {
  INTERNAL_API_KEY: "local-development-internal-key",
  AIMHARDER_FINGERPRINT: "localdevelopmentfingerprint",
};

const DEFAULT_PORTS = {
  WORKER_PORT: 8787,
  SUPABASE_PORT: 54321,
  DATABASE_PORT: 54322,
  AIMHARDER_PORT: 8799,
  APP_PORT: 3000,
};

/** Reads everything that the user gave: `{ given: {name: text}, ports: {name: number}, state: folder }`. */
export function readSettings(environment = process.env) {
  const file = environment.DEV_VARS_FILE || path.join(import.meta.dirname, "..", ".dev.vars");
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const lookup = (name) => environment[name] || fromFile[name] || undefined;
  const given = Object.fromEntries(WORKER_SETTINGS.map((name) => [name, lookup(name)]).filter(([, text]) => text));
  const ports = Object.fromEntries(
    Object.entries(DEFAULT_PORTS).map(([name, port]) => [name, toPort(name, lookup(name) ?? String(port))]),
  );
  const state = path.resolve(lookup("LOCAL_STATE_DIR") ?? path.join(import.meta.dirname, "..", ".local"));
  return { given, ports, state };
}

function toPort(name, text) {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
    throw new Error(`${name} must be a port from 1 to 65535, not "${text}".`);
  }
  return port;
}
