// This project's client beside its peers: what they load, what they cost a page, and what they do in trouble.

import { buildClient } from "../../local/client.mjs";
import { startBrowser } from "../../tests/support/browser.mjs";
import { weighBorder } from "../border.mjs";
import { bundleApp, weighClients, weighReact } from "../client/bundle.mjs";
import { clients } from "../client/clients.mjs";
import { measureCosts } from "../client/costs.mjs";
import { REST } from "../client/meter.mjs";
import { report } from "../client/report.mjs";
import { play, SCRIPTS } from "../client/scripts.mjs";
import { LATENCY } from "../client/serve.mjs";

const ROUNDS = 5;

export const section = { name: "client", title: "In the browser", measure, report };

async function measure({ say, rounds = ROUNDS, words = [] }) {
  await buildClient();
  const [heads, rows] = await weighBorder();
  const weights = { clients: await weighClients(), react: await weighReact() };
  const remarks = clients(words).map(({ name, remark }) => ({ name, remark }));
  const scripts = await playAll({ say, words });
  const costs = await measureCosts({ rounds, say });
  return { latency: LATENCY, rest: REST, weights, remarks, scripts, costs, border: { heads, rows } };
}

/** Answers `[{ name, title, results: [{ name, requests, … }] }]`. */
async function playAll({ say, words }) {
  const browser = await startBrowser();
  try {
    const played = [];
    for (const script of SCRIPTS) {
      const results = [];
      // New ones for each script, whose servers know nothing yet.
      for (const client of clients(words)) {
        say(`${script.name}: ${client.name}`);
        const files = await bundleApp(client.page);
        results.push({ name: client.name, ...(await play(browser, { client, script, files })) });
      }
      played.push({ name: script.name, title: script.title, results });
    }
    return played;
  } finally {
    await browser.close();
  }
}
