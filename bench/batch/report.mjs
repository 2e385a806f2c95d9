// The page's part on batches. Pure.

import { digits, table } from "../report/page.mjs";
import { bars } from "../report/plot.mjs";
import { median, summary } from "../statistics.mjs";
import { goals } from "./goals.mjs";
import { OURS, PAUSED, QUEUE, RIVAL, WIDTH, widthOf } from "./names.mjs";
import { caseOf, hundredths, limitMs, ofLimit, pausedMs, times, wall } from "./times.mjs";

export function report(figures) {
  const cases = figures.cases.map((one) => ({ ...one, paused: pausedMs(figures.paused, one) }));
  return { text: text(cases, figures), plots: plots(cases), goals: goals(cases) };
}

function plots(cases) {
  const counts = [...new Set(cases.map(({ count }) => count))];
  return Object.fromEntries(
    counts.map((count) => {
      const values = cases.filter((one) => one.count === count).flatMap(valuesOf);
      const title = `${count.toLocaleString("en")} sessions`;
      return [`batch-${count}.svg`, bars({ title, unit: "seconds", values, log: true })];
    }),
  );
}

function valuesOf(one) {
  const group = `upstream at ${one.latencyMs} ms`;
  const timed = Object.keys(one.runs).map((name) => {
    const { median: value, low, high } = summary(wall(one, name));
    return { name, group, value: value / 1000, low: low / 1000, high: high / 1000 };
  });
  return one.paused ? [...timed, { name: PAUSED, group, value: one.paused / 1000 }] : timed;
}

function text(cases, { readers }) {
  const parts = [...new Set(cases.map(({ count }) => count))].map((count) => {
    const some = cases.filter((one) => one.count === count);
    return `![Seconds for ${count} sessions](benchmarks/batch-${count}.svg)\n\n${timesTable(some)}`;
  });
  return [
    HOW,
    ...parts,
    LEGEND,
    against(cases),
    calls(cases),
    whereItGoes(cases),
    harness(cases),
    reading(readers),
    NOT,
  ].join("\n\n");
}

function timesTable(cases) {
  const names = Object.keys(cases[0].runs);
  const heads = [
    `${cases[0].count.toLocaleString("en")} sessions`,
    ...cases.flatMap(({ latencyMs, runs }) => [`${latencyMs} ms (${runs[names[0]].length}×)`, "of its limit"]),
  ];
  const rows = names.map((name) => [
    name,
    ...cases.flatMap((one) => [seconds(wall(one, name)), hundredths(ofLimit(one, name))]),
  ]);
  const paused = cases.flatMap((one) => [
    one.paused ? `${digits(one.paused / 1000).toLocaleString("en")} s${one.count > 120 ? " *" : ""}` : "",
    "",
  ]);
  return table(heads, [...rows, [PAUSED, ...paused]]);
}

function seconds(numbers) {
  const { median: middle, low, high } = summary(numbers);
  const short = (ms) => (ms / 1000).toFixed(2);
  return numbers.length > 1 ? `${short(middle)} s (${short(low)} to ${short(high)})` : `${short(middle)} s`;
}

function against(cases) {
  const names = Object.keys(cases[0].runs).filter((name) => name !== OURS);
  const heads = ["times as long as ours in one invocation", ...cases.map(caseOf)];
  const rows = names.map((name) => [name, ...cases.map((one) => hundredths(times(one, name, OURS)))]);
  const paused = cases.map((one) => (one.paused ? digits(one.paused / median(wall(one, OURS))) : ""));
  return table(heads, [...rows, [PAUSED, ...paused.map(String)]]);
}

function calls(cases) {
  const names = Object.keys(cases[0].runs);
  const heads = ["calls of the database", ...cases.map(caseOf)];
  const count = (one, name) => String(median(one.runs[name].map(({ databaseCalls }) => databaseCalls)));
  return `Calls of the database, all of them: claims, writes, the run's record, and of the tick its outlook and its watch. aimharder
was called once for each session by everybody.

${table(
  heads,
  names.map((name) => [name, ...cases.map((one) => count(one, name))]),
)}`;
}

const BEYOND = [
  "milliseconds beyond the limit",
  "in all",
  "before the first call",
  "after the last answer",
  "of that after the last write",
  "a call: at the stand-in",
  "a call: from answer to next",
];

/** Of those that claim: the parts of their time beyond the limit, in milliseconds. */
function whereItGoes(cases) {
  const rows = [OURS, QUEUE, RIVAL].flatMap((name) => cases.map((one) => beyondLimit(one, name)));
  return `Where a Worker is slower than its limit, by what stand-in and gateway saw: until the first call (the request, the claim); after the
last answer (the last write; after that the run's record and the answer); and in each of the \`ceil(n / width)\` rounds what a
call took at the stand-in beyond the latency, and what passed between a call's answer and the next one's arrival (the Worker's
work on as many answers as came at once, one after the other; claims; hands that are idle at the end).

${table(BEYOND, rows)}`;
}

function beyondLimit(one, name) {
  const of = (part) => median(one.runs[name].map((run) => run[part]));
  const beyond = median(wall(one, name)) - limitMs(name, one);
  const [before, after, record] = ["beforeFirstCallMs", "afterLastAnswerMs", "afterLastWriteMs"].map(of);
  const rounds = Math.ceil(one.count / widthOf(name));
  const between = (beyond - before - after) / rounds - of("overLatencyMs");
  const parts = [beyond, before, after, record].map(Math.round);
  return [`${name}: ${caseOf(one)}`, ...parts, digits(of("overLatencyMs"), 2), digits(between, 2)];
}

function harness(cases) {
  const all = cases.flatMap(({ runs }) => Object.values(runs).flat());
  const most = Math.max(...all.map(({ harnessBusy }) => harnessBusy));
  const over = Math.max(...all.map(({ overLatencyMs }) => overLatencyMs));
  const verdict = most < 0.6 ? "so it is not what bounds anybody" : "so it slowed down those who kept it busiest";
  return `Stand-in and gateway share the harness's process. Its event loop was busy for ${Math.round(most * 100)} % of the time at the most, and a
call took ${digits(over, 2)} ms longer than its latency there on average at the worst, ${verdict}.`;
}

function reading({ regex, cheerio }) {
  const [one, other] = [regex, cheerio].map((each) => digits(median(each), 2));
  return `The service reads pages by a regular expression. With cheerio in its place a session takes it ${other} ms of processor time, not
${one}; pages are 2 kB here, and the waiting is the same. The section on extraction has longer ones.`;
}

/** Helpers that a tick wakes for so many where nothing is known of upstream: see session-core/src/fanout.rs. */
const wakes = (count) => Math.ceil(count / ((WIDTH * 45) / 0.5)) - 1 || "none";

const HOW = `So many sessions are due, all at once; the time ends with the answer that tells that the last row is written. Each contestant
did an empty run just before. After each run it is checked that every session was presented once and refreshed, and that its row
holds what the stand-in would accept next.

A case's contestants take turns. The warm-up before the first case with as many sessions serves those that follow; the largest
cases, which take minutes, ran once.

Contestants:

- **ours** in one invocation: \`POST /api/internal/refresh-sessions\`. A run starts refreshes for 45 seconds only; where that is
  not enough, the next follows at once, and all are timed together.
- **ours** with four invocations: a tick, and three messages of the queue delivered at the same time, since Miniflare's queue
  delivers one after the other and Cloudflare's doesn't. All four share one thread of workerd here, and the machine with
  everything else. On its own a tick wakes as many as finish in 45 seconds at half a second a call: ${wakes(120)} for 120
  sessions, ${wakes(1_200)} for 1,200.
- the **TypeScript Worker** in one invocation: the same as ours over the same database functions, with \`HTMLRewriter\`.
- **the service**: the usual way, as on Next.js with supabase-js: one \`select\` of all that is due, then for each session a
  \`fetch\`, a regular expression over the whole page, an update of token and cookies, and an update of the tracking columns.
  Either one by one with a second's pause, or \`Promise.all\` over chunks of 6 (as wide as one of our invocations) or of 10. Its
  route runs in Node without Next.js, nothing bounds its time, and the table's triggers are off for it, which favours it. It
  reads beyond PostgREST's 1,000 rows, which many such services forget.

Politeness is out of the way: \`UPSTREAM_CALLS_PER_SECOND=10000\`, \`UPSTREAM_MAX_IN_FLIGHT=1000\`, \`SUBREQUEST_LIMIT=10000\`. With the
defaults 20 calls a second bind, and 1,200 sessions take a minute however fast anybody is. Claims take up to 100 sessions
(\`REFRESH_BATCH_SIZE=100\`); with four invocations and 120 sessions up to 30, or two of them would have nothing to do.`;

const LEGEND = `The limit is \`ceil(n / width) × latency\`, where the width is 6, 24 with four invocations, and 10 for chunks of 10. In brackets:
rounds, and their extremes: a case of one round has none. The service with its pause was measured once, with 120 sessions, at its
three latencies at the same time in a process and a database each: it waits nearly all of the time. \\* reckoned from that; so are
its ratios to ours, which are of the medians.`;

const NOT = `Not measured: a network. Database and upstream are on loopback, so that a call of the database takes some milliseconds; with
Supabase far away the service's two calls a session cost it more, ours a few per run. Nor Cloudflare's own scheduling: how soon
queue messages are delivered, and whether all four run at once.`;
