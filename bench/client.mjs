// `npm run bench:client [-- NAME …]`: this project's client beside @supabase/auth-js and next-auth, in the same two kinds of
// trouble, and what each loads. Prints tables; judges nothing.

import { buildClient } from "../local/client.mjs";
import { asProgram } from "../local/setup.mjs";
import { startBrowser } from "../tests/support/browser.mjs";
import { weighBorder } from "./border.mjs";
import { bundleApp, weighClients, weighReact } from "./client/bundle.mjs";
import { clients } from "./client/clients.mjs";
import { play, SCRIPTS } from "./client/stage.mjs";
import { print } from "./table.mjs";

const HOW = `
Real Chromium, the page's clock moved in steps of a second, answers given in each client's own shape, the same random
numbers in each run. Each page was opened while all was well and left alone for ten minutes; the trouble began when
its user came back. "Too early": after the first 429 and before its Retry-After had passed. "Told the app": the worst
that the client's public API said. "Back": the first good state by itself after the server was well again, within half
an hour in which the user goes on switching windows.

The apps are written as each client's documentation does it: for auth-js getSession() once, then onAuthStateChange;
for next-auth SessionProvider with refetchInterval 300 and refetchOnWindowFocus. auth-js is shown twice: much hangs on
whether its access token is still valid (for 105 s) when the trouble begins. next-auth asks so little because it takes
the first failure for the session's end; what it posts to /api/auth/_log is not counted.

Not measured: several tabs, calls for data (each of supabase-js asks auth-js for the session first, which may cause
more requests), next-auth 5 (a beta), other phases of the trouble, real networks. The peers do more than refresh,
signing in and out above all, and their bytes hold that.`;

async function main() {
  await buildClient();
  const browser = await startBrowser();
  try {
    for (const script of SCRIPTS) await compare(browser, script);
  } finally {
    await browser.close();
  }
  console.log(HOW);
  print("What a page loads, minified, with brotli, React apart", ["client", "bytes", "needs"], await weights());
  print(
    "What each package costs the core at the border between Rust and JavaScript, with brotli",
    ...(await weighBorder()),
  );
}

async function compare(browser, script) {
  const rows = [];
  for (const client of clients(process.argv.slice(2))) {
    console.log(`[bench] ${client.name}: ${script.name.split(",")[0]} …`);
    rows.push(rowOf(client, await play(browser, { client, script, files: await bundleApp(client.page) })));
  }
  const retryAfter = script.hasRetryAfter ? ["too early"] : [];
  print(script.name, ["client", "requests", ...retryAfter, "told the app", "the app's session", "back"], rows);
}

function rowOf({ name }, { start, end, requests, tooEarly, signedOut, worst, back, reloaded }) {
  const told = signedOut ? `${worst.words} (after ${seconds(worst.at - start)})` : worst.words;
  const session = back ? (signedOut ? "gone for a while" : "kept") : reloaded ? "gone until a reload" : "lost";
  const recovery = back ? `after ${seconds(back.at - end)}` : reloaded ? "by a reload only" : "by a new sign-in only";
  const early = tooEarly === undefined ? [] : [tooEarly];
  return [name, requests, ...early, told, session, recovery];
}

const seconds = (time) => `${Math.round(time / 1000)} s`;

async function weights() {
  const own = (await weighClients()).map(({ name, bytes, needs }) => [name, bytes, needs]);
  return [
    ...own,
    ...(await weighReact()).map(({ name, bytes }) => [`${name}, which an app with React has anyway`, bytes, ""]),
  ];
}

await asProgram(main);
