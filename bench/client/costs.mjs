// What each client costs its page, in turns.

import { startBrowser } from "../../tests/support/browser.mjs";
import { alternate, summary } from "../statistics.mjs";
import { bundleApp } from "./bundle.mjs";
import { clients } from "./clients.mjs";
import { measureOnce } from "./meter.mjs";
import { ours } from "./peers/ours.mjs";
import { startServer } from "./serve.mjs";

/** What is measured of each: a first status, one after a reload, processor time, and memory. */
export const KINDS = ["first", "again", "task", "script", "heap", "wasm"];

const OURS_WITH_REACT = "this project's client, with React";
const EMPTY = { name: "an empty page", page: "empty.mjs" };
const REACT = { name: "React alone", page: "react.mjs" };

/** Each with a page of its own once, and the page that it is measured above. */
function contestants() {
  const all = [...clients(), { ...ours(), name: OURS_WITH_REACT, page: "ours-react.mjs", react: true }];
  const once = all.filter(({ page }, at) => all.findIndex((other) => other.page === page) === at);
  return once.map((client) => ({ ...client, base: usesReact(client) ? REACT.name : EMPTY.name }));
}

const usesReact = ({ react, loads }) => Boolean(react ?? loads?.react);

/** Answers `[{ name, base, first, …, above: { first, … } }]`, each figure with its spread. */
export async function measureCosts({ rounds, say }) {
  const server = await startServer();
  try {
    const browser = await startBrowser({ flags: server.flags });
    try {
      return await inTurns(browser, server, { rounds, say });
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

async function inTurns(browser, server, { rounds, say }) {
  const named = contestants();
  const bundles = new Map();
  for (const { name, page } of [EMPTY, REACT, ...named]) bundles.set(name, await bundleApp(page));
  const bases = new Map(named.map(({ name, base }) => [name, base]));
  let last;
  const results = await alternate([...bundles.keys()], { warmUps: 1, rounds }, (name, round) => {
    if (round !== last && round >= 0) say(`round ${round + 1} of ${rounds}`);
    last = round;
    // A server that knows nothing yet.
    const client = [EMPTY, REACT, ...contestants()].find((one) => one.name === name);
    return measureOnce(browser, server, { client, files: bundles.get(name) });
  });
  return [...results].map(([name, own]) => {
    const base = bases.get(name);
    const above = base && summed(own, (figures, kind, round) => figures[kind] - results.get(base)[round][kind]);
    return { name, base, ...summed(own, (figures, kind) => figures[kind]), above };
  });
}

const summed = (results, figure) =>
  Object.fromEntries(
    KINDS.map((kind) => [kind, summary(results.map((figures, round) => figure(figures, kind, round)))]),
  );
