// The clients as a page loads them: bundled and minified, to run and to weigh.

import { readFileSync } from "node:fs";
import path from "node:path";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";
import { weigh } from "../../local/client.mjs";
import { versionOf } from "./clients.mjs";

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

/** The files of a client's app, as answers by path. */
export async function bundleApp(page) {
  const { outputFiles } = await build({ ...OPTIONS, entryPoints: [path.join(import.meta.dirname, page)] });
  return {
    "/app.js": { contentType: "text/javascript", body: Buffer.from(outputFiles[0].contents) },
    "/core_bg.wasm": { contentType: "application/wasm", body: readFileSync(WASM) },
  };
}

/** What each loads, in bytes with brotli. `alone`: without React, which `needs` says. */
export async function weighClients() {
  const parts = Object.fromEntries((await weigh()).map(({ what, bytes }) => [what, bytes]));
  const all = parts["all with hook and provider"];
  return [
    { name: "this project's client", bytes: all - parts["hook and provider"], needs: "none" },
    { name: "this project's client, with React hook and provider", bytes: all, needs: "react" },
    {
      name: versionOf("@supabase/auth-js"),
      bytes: await weighCode('export { GoTrueClient } from "@supabase/auth-js"'),
      needs: "none",
    },
    {
      name: `${versionOf("next-auth", "next-auth/react")}, provider and hook`,
      bytes: await weighCode('export { SessionProvider, useSession } from "next-auth/react"', REACT),
      needs: "react",
    },
  ];
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

async function weighCode(contents, external = []) {
  const stdin = { contents, resolveDir: import.meta.dirname, loader: "js" };
  const { outputFiles } = await build({ ...OPTIONS, stdin, external });
  return brotliCompressSync(outputFiles[0].contents).length;
}
