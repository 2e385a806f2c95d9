// The page's part on the client, of the figures alone.

import { digits, spread, table } from "../report/page.mjs";
import { bars } from "../report/plot.mjs";
import { LEFT_OF_AUTH_JS, SECOND } from "./times.mjs";

const OURS = "this project's client";
const OURS_WHOLE = "this project's client, with React hook and provider";
const MOST_BYTES = 11_000;

export function report(figures) {
  return { text: text(figures), plots: plots(figures), goals: goals(figures) };
}

const isOurs = ({ name }) => name.startsWith(OURS);

function text({ weights, costs, scripts, remarks, border, latency, rest }) {
  return [
    INTRO,
    "### Bytes",
    "What a page loads at once, minified, with brotli; React apart, which an app with React has anyway.",
    table(["client", "bytes", "React needed"], [...weights.clients, ...weights.react].map(weightRow)),
    "![Bytes with brotli](benchmarks/client-bytes.svg)",
    "### Time, main thread and memory",
    costsHow(latency, rest),
    table(COST_HEADS, costs.map(costRow)),
    "### Requests",
    SCRIPTS_HOW,
    ...scripts.flatMap(({ name, title, results }) => [`**${name}**: ${title}.`, scriptTable(results)]),
    "![Requests by script](benchmarks/client-requests.svg)",
    "What they do, and why:",
    remarks
      .filter(({ remark }) => remark)
      .map(({ name, remark }) => `- ${name}: ${remark}.`)
      .join("\n"),
    "### At the border between Rust and JavaScript",
    "What the core weighs with one package more: built, shrunk and bundled as it is itself, bytes with brotli.",
    table(border.heads, border.rows),
    NOT_MEASURED,
  ].join("\n\n");
}

const weightRow = ({ name, bytes, needs }) => [name, bytes, needs === "react" ? "yes" : ""];

const COST_HEADS = [
  "client",
  "first status, ms",
  "after a reload, ms",
  "main thread, ms",
  "of it script, ms",
  "memory, kB",
  "and WebAssembly's, kB",
];

function costRow({ name, base, above, ...own }) {
  if (!base) return [`*${name}*`, ...costCells(own)];
  return [base === "React alone" ? `${name} (above React)` : withoutPhase(name), ...costCells(above)];
}

/** auth-js is measured once here, with a token that has expired whatever the scripts call it. */
const withoutPhase = (name) => name.replace(/, token .*/, "");

const costCells = ({ first, again, task, script, heap, wasm }) => [
  spread(first),
  spread(again),
  spread(task),
  spread(script),
  digits(heap.median / 1000),
  wasm.median ? digits(wasm.median / 1000) : "",
];

function scriptTable(results) {
  const early = results.some(({ tooEarly }) => tooEarly !== undefined);
  const heads = ["client", "requests", ...(early ? ["too early"] : []), "told the app", "its session", "well again"];
  return table(
    heads,
    results.map(({ name, requests, tooEarly, worst, worstAfter, session, back }) => [
      name,
      requests,
      ...(early ? [tooEarly] : []),
      worstAfter > 0 ? `${worst} (after ${worstAfter.toLocaleString("en")} s)` : worst,
      session,
      back === null ? ({ lost: "by a new sign-in only" }[session] ?? "by a reload only") : `after ${back} s`,
    ]),
  );
}

function plots({ weights, scripts }) {
  const bytes = weights.clients.map(({ name, bytes: value }) => ({ name: short(name), value }));
  const requests = scripts.flatMap(({ name: group, results }) =>
    results.map(({ name, requests: count }) => ({ name: short(name), group, value: Math.max(count, 0.5) })),
  );
  return {
    "client-bytes.svg": bars({ title: "What a page loads", unit: "bytes with brotli", values: bytes, log: true }),
    "client-requests.svg": bars({
      title: "Requests, also of those that lose the session (none: shown as a half)",
      unit: "requests",
      values: requests,
      log: true,
    }),
  };
}

/** Without a package's scope and version: a plot has no room for long names. */
const short = (name) =>
  name
    .replace(/^@[^/]+\//, "")
    .replace(/ \d[\w.]*/, "")
    .replace("with React hook and provider", "React");

function goals({ weights, costs, scripts, border, latency }) {
  return [
    ...weightGoals(weights.clients, border),
    ...costGoals(costs, latency),
    ...scripts.map(requestsGoal),
    sessionGoal(scripts),
  ];
}

function weightGoals(weights, border) {
  const own = weights.find(({ name }) => name === OURS_WHOLE).bytes;
  const peers = weights.filter((one) => !isOurs(one)).map(({ name, bytes: value }) => ({ name, value }));
  const why = `a wasm core and its glue alone are ${bytesOf(border.rows[0][border.heads.indexOf("sum")])}`;
  return [
    {
      measure: "client: bytes, with hook and provider",
      goal: "11 kB or less",
      measured: bytesOf(own),
      met: own <= MOST_BYTES,
      reason: own <= MOST_BYTES ? "" : why,
    },
    rankGoal("client: bytes", own, peers, { say: bytesOf, why }),
  ];
}

const bytesOf = (value) => `${value.toLocaleString("en")} bytes`;

function costGoals(costs, latency) {
  const { above: ours } = costs.find(({ name }) => name === OURS);
  const why = {
    first: `its core in wasm comes as one file more, ${latency} ms here, before it asks`,
    task: `of ours ${digits(ours.script.median)} ms are script; compiling and instantiating wasm, which the others don't have, was not timed apart`,
    memory: `WebAssembly's memory counts whole, used or not: ${digits(ours.wasm.median / 1000)} kB of ours`,
  };
  const kinds = [
    ["time from import to first status", ({ first }) => first.median, { say: milliseconds, why: why.first }],
    ["main-thread time", ({ task }) => task.median, { say: milliseconds, why: why.task }],
    // Of WebAssembly's memory most is never touched; it counts whole.
    ["memory", ({ heap, wasm }) => heap.median + wasm.median, { say: kilobytes, why: why.memory }],
  ];
  return kinds.map(([what, figure, words]) => {
    const peers = costs.filter((one) => one.base && !isOurs(one));
    const values = peers.map(({ name, above }) => ({ name: withoutPhase(name), value: figure(above) }));
    return rankGoal(`client: ${what}, above the page without it`, figure(ours), values, words);
  });
}

const milliseconds = (value) => `${digits(value)} ms`;
const kilobytes = (value) => `${digits(value / 1000)} kB`;

/** `why`: what is known of it, told where ours is neither first nor second. */
function rankGoal(measure, own, peers, { say, why }) {
  const better = peers.filter(({ value }) => value < own).sort((one, other) => one.value - other.value);
  const rank = better.length + 1;
  const measured = `${say(own)}, ${ordinal(rank)} of ${peers.length + 1}`;
  const less = `less: ${better.map(({ name, value }) => `${name} (${say(value)})`).join(", ")}`;
  const met = rank <= 2;
  const reason = [better.length > 0 ? less : "", met ? "" : why].filter(Boolean).join("; ");
  return { measure, goal: "first or second", measured, met, reason };
}

const ordinal = (rank) => `${rank}${{ 1: "st", 2: "nd", 3: "rd" }[rank] ?? "th"}`;

/** Judged by the goal's own words, though who loses the session asks no more: what became of it is told beside. */
function requestsGoal({ name, results }) {
  const own = results.find(isOurs).requests;
  const others = results.filter((one) => !isOurs(one));
  const keeping = others.filter(({ session }) => session === "kept");
  const asFew = others.filter(({ requests }) => requests <= own);
  const list = asFew.map(({ name: peer, requests, session }) => `${peer} (${requests}, session ${session})`);
  return {
    measure: `client: requests, ${name}`,
    goal: "fewer requests than each",
    measured: `${own}; against each of ${others.length}: ${verdict(own, others)}; among the ${keeping.length} of them that keep the session: ${verdict(own, keeping)}`,
    met: asFew.length === 0,
    reason: list.length > 0 ? `as few or fewer: ${list.join(", ")}` : "",
  };
}

function verdict(own, others) {
  if (others.length === 0) return "no other does";
  const least = Math.min(...others.map(({ requests }) => requests));
  const words = own < least ? "fewer" : own === least ? "as few as the best" : "more than the best";
  return `${words} (${least} at least)`;
}

function sessionGoal(scripts) {
  const lost = (isWanted) =>
    scripts.flatMap(({ name, results }) =>
      results.filter((one) => isWanted(one) && one.session !== "kept").map(() => name),
    );
  const own = lost(isOurs);
  const peers = scripts.flatMap(({ results }) => results.filter((one) => !isOurs(one))).length;
  return {
    measure: "client: sessions lost in the scripts, for a while or for good",
    goal: "none",
    measured: `${own.length} of ${scripts.length}; of the peers ${lost((one) => !isOurs(one)).length} of ${peers}`,
    met: own.length === 0,
    reason: own.join(", "),
  };
}

const INTRO = `This project's client beside what else keeps a user signed in in a browser. The peers do more than
refresh, signing in and out above all, and their bytes hold that. Their pages are in \`bench/client/pages\`, written as each
one's documentation does it; their servers in \`bench/client/peers\` answer as the real ones do: refresh tokens are good
once where the real ones' are, with their own allowance for tabs that ask at the same time.`;

const costsHow = (
  latency,
  rest,
) => `Chromium by the real clock, a new profile for each round, in turns; an HTTP/2 server on
loopback takes ${latency} ms for each answer. "First status": from where the page imports its app (the app's bytes still to
be loaded) until the app is first told of a good session. The first time the server has to be asked: what was stored has
expired, or nothing is stored. What it is asked for is not the same: this project's client and the hook written by
hand only ask how the session stands, since the Worker has kept it and nothing is due, and next-auth and better-auth, whose
session is a cookie, do likewise; the others' access tokens have expired or are in memory alone, and they get a new one.
After a reload nothing is due, and scripts are cached. "Main thread": processor time of all
tasks from navigation to ${rest / 1000} s after the first status. Memory is JavaScript's heap after garbage collection;
WebAssembly's is what its memory spans, used or not. All are given above the page without the client: an empty one, or for
clients that need React one with React alone; those two pages' own figures stand in italics. Memory's are medians only.`;

const SCRIPTS_HOW = `Chromium, the page's clock moved in steps of a second, answers given in each client's own shape, the
same random numbers in each run, others in each tab; each script was played once to each. In the first two scripts each page was opened while all was well and left alone for ten
minutes; the trouble began when its user came back, and requests are counted while it lasted. "Too early": after the first
429 and before its \`Retry-After\` had passed. In the others, requests are counted until all is well (of eight tabs: in
each), and for a minute more at least. "Told the app": the worst that the client's public API said. "Its session": whether
the user kept it, or was told to be signed out; lost is also what the server has ended because a token came twice. "Well
again": the first good state by itself after the trouble, within half an hour in which the user goes on switching windows.
auth-js is shown twice: much hangs on whether its access token is still valid (for ${LEFT_OF_AUTH_JS / SECOND} s) when the trouble begins. What
clients report of their failures isn't counted. This project's Worker would refresh a session by cron while nobody looks;
its stand-in here does not, so that each refresh is the client's own.`;

const NOT_MEASURED = `Not measured: calls for data (each of supabase-js asks auth-js for the session first, which may cause
more requests), next-auth 5 (a beta), other phases of the trouble, browsers' throttling of hidden tabs' timers, other
browsers, slow processors, real networks.`;
