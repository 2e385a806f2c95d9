// The page's part on batches. Pure.

import { digits, table } from "../report/page.mjs";
import { bars } from "../report/plot.mjs";
import { median, ratio, summary } from "../statistics.mjs";
import { CHUNKS_OF_6, CHUNKS_OF_10, CONSUMERS, OURS, PAUSED, QUEUE } from "./contestants.mjs";
import { WIDTH } from "./run.mjs";

/** Calls that each may have under way. */
const WIDTHS = { [QUEUE]: WIDTH * CONSUMERS, [CHUNKS_OF_10]: 10, [PAUSED]: 1 };

export function report(figures) {
  const cases = figures.cases.map((one) => ({ ...one, paused: pausedMs(figures.paused, one) }));
  return { text: text(cases), plots: plots(cases), goals: goals(cases) };
}

/** Measured once for 120 sessions; more of them take as much longer. */
function pausedMs(measured, { count, latencyMs }) {
  const found = measured.find((one) => one.latencyMs === latencyMs);
  return found && (found.ms / found.count) * count;
}

const limitMs = (name, { count, latencyMs }) => Math.ceil(count / (WIDTHS[name] ?? WIDTH)) * latencyMs;

const wall = (one, name) => one.runs[name].map(({ ms }) => ms);

/** Of each round's pair how often the second goes into the first, in the middle. */
const times = (one, name, other) => ratio(wall(one, name), wall(one, other)).median;

const ofLimit = (one, name) => median(wall(one, name)) / limitMs(name, one);

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

function text(cases) {
  const parts = [...new Set(cases.map(({ count }) => count))].map((count) => {
    const some = cases.filter((one) => one.count === count);
    return `![Seconds for ${count} sessions](benchmarks/batch-${count}.svg)\n\n${timesTable(some)}`;
  });
  return [HOW, ...parts, LEGEND, against(cases), calls(cases), whereItGoes(cases), harness(cases), NOT].join("\n\n");
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
    one.paused ? `${digits(one.paused / 1000)} s${one.count > 120 ? " *" : ""}` : "",
    "",
  ]);
  return table(heads, [...rows, [PAUSED, ...paused]]);
}

function seconds(numbers) {
  const { median: middle, low, high } = summary(numbers);
  const short = (ms) => (ms / 1000).toFixed(2);
  return numbers.length > 1 ? `${short(middle)} s (${short(low)} to ${short(high)})` : `${short(middle)} s`;
}

const hundredths = (number) => number.toFixed(2);

function against(cases) {
  const names = Object.keys(cases[0].runs).filter((name) => name !== OURS);
  const heads = [
    "times as long as ours in one invocation",
    ...cases.map(({ count, latencyMs }) => `${count} at ${latencyMs} ms`),
  ];
  const rows = names.map((name) => [name, ...cases.map((one) => hundredths(times(one, name, OURS)))]);
  const paused = cases.map((one) => (one.paused ? digits(one.paused / median(wall(one, OURS))) : ""));
  return table(heads, [...rows, [PAUSED, ...paused.map(String)]]);
}

function calls(cases) {
  const names = Object.keys(cases[0].runs);
  const heads = ["calls of the database", ...cases.map(({ count, latencyMs }) => `${count} at ${latencyMs} ms`)];
  const count = (one, name) => String(median(one.runs[name].map(({ databaseCalls }) => databaseCalls)));
  return `Calls of the database, all of them: claims, writes, the run's record, and of the tick its outlook and its watch. aimharder
was called once for each session by everybody.

${table(
  heads,
  names.map((name) => [name, ...cases.map((one) => count(one, name))]),
)}`;
}

/** Of ours: the parts of its time beyond the limit, in milliseconds. */
function whereItGoes(cases) {
  const of = (one, name, part) => median(one.runs[name].map((run) => run[part]));
  const rows = [OURS, QUEUE].flatMap((name) =>
    cases.map((one) => {
      const rounds = Math.ceil(one.count / (WIDTHS[name] ?? WIDTH));
      const total = median(wall(one, name)) - limitMs(name, one);
      const [before, after] = ["beforeFirstCallMs", "afterLastAnswerMs"].map((part) => of(one, name, part));
      const stand = of(one, name, "overLatencyMs");
      const between = (total - before - after) / rounds - stand;
      return [
        `${name}: ${one.count} at ${one.latencyMs} ms`,
        ...[total, before, after].map(Math.round),
        digits(stand, 2),
        digits(between, 2),
      ];
    }),
  );
  const heads = [
    "milliseconds beyond the limit",
    "in all",
    "before the first call",
    "after the last answer",
    "a call: the stand-in's",
    "a call: from answer to next",
  ];
  return `Where ours is slower than its limit, by what stand-in and gateway saw: until the first call (the request, the claim), after the
last answer (the last write, the run's record), and in each of the \`ceil(n/width)\` rounds what a call took beyond the latency
at the stand-in, and between a call's answer and the next one's arrival (the Worker's work on six answers, one after the other;
claims; hands that are idle at the end).

${table(heads, rows)}`;
}

function harness(cases) {
  const all = cases.flatMap(({ runs }) => Object.values(runs).flat());
  const most = Math.max(...all.map(({ harnessBusy }) => harnessBusy));
  const over = Math.max(...all.map(({ overLatencyMs }) => overLatencyMs));
  return `Stand-in and gateway share the harness's process. Its event loop was busy for ${Math.round(most * 100)} % of the time at the most, and a
call took ${digits(over, 2)} ms longer than its latency there on average at the worst: it is not what bounds anybody.`;
}

function goals(cases) {
  const worst = (of) => Math.max(...cases.map(of));
  const least = (of) => Math.min(...cases.map(of));
  const one = worst((case_) => ofLimit(case_, OURS));
  const queue = worst((case_) => ofLimit(case_, QUEUE));
  const timed = cases.filter(({ paused }) => paused);
  const pause = (case_, name) => case_.paused / median(wall(case_, name));
  const pauses = Math.min(...timed.map((case_) => pause(case_, OURS)));
  const pausesQueue = Math.min(...timed.map((case_) => pause(case_, QUEUE)));
  const six = least((case_) => times(case_, CHUNKS_OF_6, OURS));
  const ten = least((case_) => times(case_, CHUNKS_OF_10, OURS));
  const tenQueue = least((case_) => times(case_, CHUNKS_OF_10, QUEUE));
  const most = Math.min(...timed.map(({ latencyMs }) => (WIDTH * (1000 + latencyMs)) / latencyMs));
  return [
    goal(
      "a batch in one invocation, of its limit",
      "within 1.1",
      `${hundredths(one)} at worst`,
      one <= 1.1,
      beyond(cases, OURS, 1.1),
    ),
    goal(
      "a batch with four invocations, of their limit",
      "within 1.2",
      `${hundredths(queue)} at worst`,
      queue <= 1.2,
      beyond(cases, QUEUE, 1.2),
    ),
    goal(
      "against the service with its pause",
      "at least 20 times faster",
      `${digits(pauses)} times in one invocation, ${digits(pausesQueue)} with four, at least`,
      pauses >= 20,
      `six calls at once can't be more than 6 × (1 s + latency) / latency times as fast: ${digits(most)} at the slowest upstream`,
    ),
    goal(
      "against the service in chunks of 6",
      "never slower",
      `${hundredths(six)} times faster at least`,
      six >= 1,
      "",
    ),
    goal(
      "against the service in chunks of 10",
      "never slower",
      `${hundredths(ten)} times as fast in one invocation, ${hundredths(tenQueue)} with four, at least`,
      ten >= 1,
      "it has ten calls under way, where Cloudflare lets an invocation have six",
    ),
  ];
}

const goal = (measure, wanted, measured, met, reason) => ({
  measure,
  goal: wanted,
  measured,
  met,
  reason: met ? "" : reason,
});

/** Where the goal is missed. */
function beyond(cases, name, bound) {
  const missed = cases.filter((one) => ofLimit(one, name) > bound);
  return missed.map((one) => `${one.count} at ${one.latencyMs} ms: ${hundredths(ofLimit(one, name))}`).join("; ");
}

const HOW = `So many sessions are due, all at once; the time ends with the answer that tells that the last row is written. Each contestant
did an empty run just before. After each run it is checked that every session was presented once and refreshed, and that its row
holds what the stand-in would accept next.

Contestants:

- **ours** in one invocation: \`POST /api/internal/refresh-sessions\`. A run starts refreshes for 45 seconds only; where that is
  not enough, the next follows at once, and all are timed together.
- **ours** with four invocations: a tick, and three messages of the queue delivered at the same time, since Miniflare's queue
  delivers one after the other and Cloudflare's doesn't. On its own a tick wakes helpers from 541 due sessions on.
- **the service**: the usual way, as on Next.js with supabase-js: one \`select\` of all that is due, then for each session a
  \`fetch\`, a regular expression over the whole page, an update of token and cookies, and an update of the tracking columns.
  Either one by one with a second's pause, or \`Promise.all\` over chunks of 6 (as wide as one of our invocations) or of 10. Its
  route runs in Node without Next.js, nothing bounds its time, and the table's triggers are off for it, which favours it. It
  reads beyond PostgREST's 1,000 rows, which many such services forget.

Politeness is out of the way: \`UPSTREAM_CALLS_PER_SECOND=10000\`, \`UPSTREAM_MAX_IN_FLIGHT=1000\`, \`SUBREQUEST_LIMIT=10000\`. With the
defaults 20 calls a second bind, and 1,200 sessions take a minute however fast anybody is. Claims take up to 100 sessions
(\`REFRESH_BATCH_SIZE=100\`); with four invocations and 120 sessions up to 30, or two of them would have nothing to do.`;

const LEGEND = `The limit is \`ceil(n / width) × latency\`, where the width is 6, 24 with four invocations, and 10 for chunks of 10. In brackets:
rounds, and their extremes. \\* reckoned from 120 sessions.`;

const NOT = `Not measured: a network. Database and upstream are on loopback, so that a call of the database takes some milliseconds; with
Supabase far away the service's two calls a session cost it more, ours a few per run. Nor Cloudflare's own scheduling: how soon
queue messages are delivered, and whether all four run at once.`;
