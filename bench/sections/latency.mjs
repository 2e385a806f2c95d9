// What a Worker adds to upstream's own time when a user asks for a refresh.

import { as, startWorld } from "../../tests/support/world.mjs";
import { startLoad } from "../contestants/load.mjs";
import { startContestant, WORKERS } from "../contestants/workers.mjs";
import { digits, spread, table } from "../report/page.mjs";
import { bars } from "../report/plot.mjs";
import { alternate, median, percentile, ratio, summary } from "../statistics.mjs";

const NAMES = Object.keys(WORKERS);
const DIRECT = "upstream";
const UPSTREAM_MS = 20;

/** So many at once, and so many in a round. */
const LOADS = [
  { atOnce: 1, requests: 100 },
  { atOnce: 16, requests: 480 },
  { atOnce: 64, requests: 960 },
];

/** Out of the way: limits and paces that would answer in a Worker's place. */
const SETTINGS = {
  REFRESH_MANUAL_INTERVAL_SECONDS: "5",
  UPSTREAM_CALLS_PER_SECOND: "100000",
  UPSTREAM_MAX_IN_FLIGHT: "100000",
  REFRESH_TIMEOUT_SECONDS: "10",
};

export const section = { name: "latency", title: "A user's refresh", measure, report };

async function measure({ say, loads = LOADS, rounds = 5, warmUps = 1 }) {
  const world = await startWorld({ site: { latencyMs: UPSTREAM_MS } });
  const load = startLoad();
  try {
    const workers = {};
    for (const name of NAMES) workers[name] = await startContestant(world, name, SETTINGS);
    const results = [];
    for (const { atOnce, requests } of loads) {
      const times = await alternate([DIRECT, ...NAMES], { warmUps, rounds }, (name) =>
        ask(world, load, workers[name], { atOnce, requests }),
      );
      results.push({ atOnce, requests, ...added(Object.fromEntries(times)) });
      say(
        `${atOnce} at once: ${NAMES.map((name) => `${name} ${digits(results.at(-1)[name][0].median)} ms`).join(", ")}`,
      );
    }
    return { upstreamMs: UPSTREAM_MS, results };
  } finally {
    await load.stop();
    await world.stop();
  }
}

/** A round: each request is another user's. Without a worker upstream is asked directly. Answers all times in ms. */
async function ask(world, load, worker, { atOnce, requests }) {
  await world.reset();
  const sessions = await world.signInMany(requests);
  const asked = sessions.map((session, index) => (worker ? refreshOf(world, worker, index) : direct(world, session)));
  const answers = await load.ask(asked, atOnce);
  const failed = answers.filter(({ status }) => status !== 200);
  const lost = worker ? await world.outOfStep(sessions) : [];
  const untouched = sessions.filter((session) => session.calls.length !== 1);
  if (failed.length + lost.length + untouched.length > 0) {
    throw new Error(
      `${worker?.name}: ${failed.length} failed, ${lost.length} lost, ${untouched.length} not called once`,
    );
  }
  world.check();
  return answers.map(({ ms }) => ms);
}

function refreshOf(world, worker, index) {
  const headers = as(`user${index}@example.com`, world.supabase.jwtSecret);
  return { url: `${worker.url}/api/auth/refresh`, method: "POST", headers };
}

/** As the Workers ask it. */
function direct(world, { token, fingerprint, cookies }) {
  const query = new URLSearchParams({ token, fingerprint });
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const headers = { cookie, "user-agent": "Mozilla/5.0 (X11; Linux x86_64)" };
  return { url: `${world.site.refreshUrl}?${query}`, method: "GET", headers };
}

/** Of each round: what upstream took by itself, and what each Worker added to that, in ms. */
function added(times) {
  const upstream = times[DIRECT].map(median);
  const above = (list, round) => {
    const over = list.map((ms) => ms - upstream[round]);
    return { median: median(over), p95: percentile(over, 0.95) };
  };
  return { upstream, ...Object.fromEntries(NAMES.map((name) => [name, times[name].map(above)])) };
}

const MEASURES = { median: "median", p95: "95 of 100" };

function report({ upstreamMs, results }) {
  const of = (result, name, measure) => result[name].map((round) => round[measure]);
  const compared = results.map((result) => ({
    ...result,
    ratios: Object.keys(MEASURES).map((measure) => ratio(of(result, "ours", measure), of(result, "rival", measure))),
  }));
  const rows = compared.flatMap(({ ratios, ...result }) =>
    Object.entries(MEASURES).map(([measure, words], index) => [
      result.atOnce,
      words,
      spread(summary(result.upstream)),
      ...NAMES.map((name) => spread(summary(of(result, name, measure)))),
      spread(ratios[index]),
    ]),
  );
  const values = results.flatMap((result) =>
    NAMES.map((name) => {
      const { median: value, low, high } = summary(of(result, name, "median"));
      return { name: WORKERS[name], value, low, high, group: `${result.atOnce} at once` };
    }),
  );
  return {
    text: text({ upstreamMs, results, rows }),
    plots: { "latency.svg": bars({ title: "Added to upstream's own time", unit: "milliseconds", values }) },
    goals: compared.map(goal),
  };
}

function goal({ atOnce, ratios: [medians], ours, rival }) {
  const [own, other] = [ours, rival].map((rounds) => median(rounds.map((round) => round.median)));
  const met = medians.median <= 1;
  return {
    measure: `added latency of \`POST /api/auth/refresh\` against the TypeScript Worker, ${atOnce} at once`,
    goal: "≤ 1.0",
    measured: `${spread(medians)}: ${digits(own)} ms against ${digits(other)} ms`,
    met,
    reason: met
      ? ""
      : `${medians.low <= 1 ? "the rounds' own ratios are on both sides of 1; " : ""}as with processor time: ours takes the page piece by piece over the border between JavaScript and wasm, the TypeScript Worker with one \`arrayBuffer()\`; see [TRIES.md](benchmarks/TRIES.md)`,
  };
}

function text({ upstreamMs, results, rows }) {
  const requests = results.map(({ atOnce, requests }) => `${requests} for ${atOnce} at once`).join(", ");
  const heads = ["at once", "", "upstream itself, ms", ...NAMES.map((name) => `${WORKERS[name]} adds`), "ratio"];
  return `
Signed-in users ask for a refresh, \`POST /api/auth/refresh\`: the token is checked, the session claimed, upstream asked, the
result written, the user answered. Each request is another user's, whose session is due; requests of a round: ${requests}. Upstream
answers after ${upstreamMs} ms, and is asked directly in its turn by the same load generator (a thread of its own, kept-alive
connections): a Worker's added latency is its time less the median of upstream's own in the same round. Two calls of the database
are in it, of the same functions for both. Limits on how often users may ask are wide open, and every round is believed only if all
were answered 200, upstream was asked once for each, and the database holds what it handed out.

${table(heads, rows)}

![Added to upstream's own time](benchmarks/latency.svg)

Everything shares this machine's processors: with 64 at once the load generator, the stand-in, PostgREST and PostgreSQL queue
behind each other, for both alike. Not measured: the network between a user, Cloudflare and Supabase, which outweighs all of this.`;
}
