// The clients as a page loads them: bundled and minified, to run and to weigh.

import { readFileSync } from "node:fs";
import path from "node:path";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";
import { weigh } from "../../local/client.mjs";
import { clients } from "./clients.mjs";
import { versionOf } from "./version.mjs";

const WASM = path.join(import.meta.dirname, "..", "..", "client-wasm", "dist", "wasm", "core_bg.wasm");
const OPTIONS = {
  bundle: true,
  minify: true,
  treeShaking: true,
  format: "esm",
  write: false,
  logLevel: "error",
  // As Next.js does it for the browser.
  define: { "process.env.NODE_ENV": '"production"', "process.env": "{}" },
};

/** The package's React is the app's. Not for weighing: what has an alias is bundled, though it be external. */
const ALIAS = { react: path.join(import.meta.dirname, "..", "node_modules", "react") };

/** What is imported on demand is a file of its own, as bundlers do it. */
const CHUNKS = { splitting: true, outdir: path.resolve("/app"), chunkNames: "[name]-[hash]" };

/** The files of a client's app, as answers by path. */
export async function bundleApp(page) {
  const entry = path.join(import.meta.dirname, "pages", page);
  const { outputFiles } = await build({ ...OPTIONS, ...CHUNKS, alias: ALIAS, entryPoints: { app: entry } });
  const scripts = outputFiles.map(({ path: file, contents }) => [
    `/${path.relative(CHUNKS.outdir, file)}`,
    { contentType: "text/javascript", body: Buffer.from(contents) },
  ]);
  return {
    ...Object.fromEntries(scripts),
    "/core_bg.wasm": { contentType: "application/wasm", body: readFileSync(WASM) },
  };
}

/** What each loads, in bytes with brotli. `bytes`: without React, which `needs` says. */
export async function weighClients() {
  const parts = Object.fromEntries((await weigh()).map(({ what, bytes }) => [what, bytes]));
  const all = parts["all with hook and provider"];
  const peers = new Map(clients().flatMap(({ loads }) => (loads ? [[loads.name, loads]] : [])));
  return [
    { name: "this project's client", bytes: all - parts["hook and provider"], needs: "none" },
    { name: "this project's client, with React hook and provider", bytes: all, needs: "react" },
    ...(await Promise.all([...peers.values()].map(weighPeer))),
  ];
}

async function weighPeer({ name, code, files = [], react }) {
  const made = code ? await weighCode(code, react ? REACT : []) : 0;
  const given = files.map((file) => brotliCompressSync(readFileSync(file)).length);
  return { name, bytes: given.reduce((sum, bytes) => sum + bytes, made), needs: react ? "react" : "none" };
}

const REACT = ["react", "react/jsx-runtime"];

/** React itself, which an app that uses it has anyway. */
export async function weighReact() {
  const core = 'import * as a from "react"; import * as b from "react/jsx-runtime"; export { a, b }';
  return [
    { name: versionOf("react"), bytes: await weighCode(core) },
    { name: versionOf("react-dom"), bytes: await weighCode('export { createRoot } from "react-dom/client"', REACT) },
  ];
}

/** What is loaded at once: the parts that are loaded on demand aren't counted. */
async function weighCode(contents, external = []) {
  const stdin = { contents, resolveDir: import.meta.dirname, loader: "js" };
  const { outputFiles, metafile } = await build({ ...OPTIONS, ...CHUNKS, stdin, external, metafile: true });
  const { outputs } = metafile;
  const names = Object.keys(outputs);
  const atOnce = new Set([names.find((name) => outputs[name].entryPoint)]);
  for (const name of atOnce) {
    for (const { path: part, kind } of outputs[name].imports)
      if (outputs[part] && kind === "import-statement") atOnce.add(part);
  }
  const sizes = outputFiles.map(({ contents: file }, at) =>
    atOnce.has(names[at]) ? brotliCompressSync(file).length : 0,
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
