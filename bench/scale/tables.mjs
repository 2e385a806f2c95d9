// The tables of docs/SCALE.md, as Markdown.

import { bounds, loadOf } from "./load.mjs";

/** Answers `{ name: Markdown }`: what stands between the markers of that name. */
export function tables(figures) {
  return { measured: measured(figures), bounds: boundsTable(figures), costs: costs(figures), loads: loads(figures) };
}

function measured(figures) {
  return markdown(
    ["", ""],
    [
      ["CPU of workerd", `${figures.workerCpuMs} ms`],
      ["CPU of PostgreSQL", `${figures.databaseCpuMs} ms`],
      ["CPU of PostgREST", `${figures.restCpuMs} ms`],
      ["calls of the database, in batches of 10", `${figures.databaseCallsInBatchesOf10}`],
      ["calls of the database, in batches of 50", `${figures.databaseCallsInBatchesOf50}`],
      ["from the database to the Worker, bodies", `${amount(figures.bytesFromDatabase)} bytes`],
      ["from the Worker to the database, bodies", `${amount(figures.bytesToDatabase)} bytes`],
      ["write-ahead log, without full pages", `${amount(figures.logBytes)} bytes`],
      ["a session on disk, its index entries included", `${amount(figures.bytesOfASession)} bytes`],
      ["an attempt in the history, its index entries included", `${amount(figures.bytesOfAnAttempt)} bytes`],
      ["claiming 50 of 100,000, in the database", `${figures.claimMs} ms`],
      ["finishing 50 of 100,000, in the database", `${figures.finishMs} ms`],
      ["of which the upstream's row is locked", `${figures.accountMs} ms`],
      ["sessions of a run that may make 50 fetches", `${figures.sessionsInARunOf50Fetches}`],
    ],
  );
}

function boundsTable(figures) {
  const rows = bounds(figures).map(({ what, sessions, remedy }) => [amount(sessions), what, remedy]);
  return markdown(["sessions", "what ends there", "what to do"], rows);
}

const COSTS = [
  { sessions: 1_000, days: 30 },
  { sessions: 10_000, days: 30 },
  { sessions: 10_000, days: 7 },
  { sessions: 100_000, days: 7 },
  { sessions: 1_000_000, days: 1 },
  { sessions: 100_000_000, days: 1, projects: 50 },
];

function costs(figures) {
  const rows = COSTS.map((asked) => {
    const { size, projects, costs: parts } = loadOf(figures, asked);
    const each = Object.values(parts).map((cost) => cost / (asked.sessions / 1000));
    const sum = each.reduce((total, cost) => total + cost, 0);
    const sizes = projects > 1 ? `${projects} × ${size.name}` : size.name;
    return [amount(asked.sessions), asked.days, sizes, ...[...each, sum].map(dollars)];
  });
  const heads = [
    "sessions",
    "days of history",
    "compute",
    "Cloudflare",
    "plan and compute",
    "disk",
    "egress",
    "per thousand",
  ];
  return markdown(heads, rows);
}

function loads(figures) {
  const all = [
    { sessions: 10_000, days: 30 },
    { sessions: 1_000_000, days: 1 },
    { sessions: 100_000_000, days: 1, projects: 50 },
  ].map((asked) => loadOf(figures, asked));
  const row = (what, of) => [what, ...all.map(of)];
  return markdown(
    ["", ...all.map(({ sessions }) => amount(sessions))],
    [
      row("calls to the site a second", ({ refreshes }) => amount(refreshes)),
      row("Workers at once", ({ runs }) => amount(runs)),
      row("projects", ({ projects }) => projects),
      row("compute of each", ({ size }) => size.name),
      row("calls of each database a second", ({ databaseCalls, projects }) => amount(databaseCalls / projects)),
      row("cores in use, of each", ({ databaseCores }) => amount(databaseCores)),
      row("upstream's row locked", ({ lock }) => `${amount(lock * 100)} %`),
      row("write-ahead log of each, a second", ({ log }) => `${amount(log / 1e6)} MB`),
      row("pages written by checkpoints, of each, a second", ({ pages }) => amount(pages)),
      row("days of history", ({ days }) => days),
      row("disk in all", ({ disk }) => `${amount(disk / 1e9)} GB`),
      row("egress of the databases a month", ({ egress }) => `${amount(egress / 1e9)} GB`),
      row("dollars a month", ({ costs: parts }) => amount(Object.values(parts).reduce((sum, cost) => sum + cost, 0))),
    ],
  );
}

/** Two significant digits say all that such reckoning knows. */
function amount(number) {
  return number.toLocaleString("en", { maximumSignificantDigits: number >= 1000 ? 3 : 2 });
}

const dollars = (number) => `$${number.toFixed(number < 1 ? 3 : 2)}`;

function markdown(heads, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}
