// What so many sessions ask of each part, reckoned from measured figures and published prices. Pure.

import { CLOUDFLARE, SUPABASE } from "./prices.mjs";

/** The defaults of this project's settings, and what a call to the site is taken to last. */
const SETTINGS = {
  intervalSeconds: 1200,
  callSeconds: 0.5,
  startForSeconds: 45,
  callsPerSecond: 20,
  maxInFlight: 24,
  maxConsumers: 10,
  fetches: 50,
  /** What REFRESH_SESSIONS_PER_RUN is with so few fetches. */
  sessionsARun: 12,
  batch: 50,
  historyDays: 30,
};

const MINUTES_OF_A_MONTH = 30 * 24 * 60;

/** A session is due after 80 to 95 % of the interval, and waits half a minute for the tick. */
const PERIOD = SETTINGS.intervalSeconds * 0.875 + 30;
const REFRESHES_A_DAY = (24 * 3600) / PERIOD;

/** Refreshes a second while a run goes on, and over the minute that a run is woken for. */
const RUN_RATE = CLOUDFLARE.width / SETTINGS.callSeconds;
const RUN_A_SECOND = RUN_RATE * (SETTINGS.startForSeconds / 60);

/** A pace that is kept while runs start refreshes, over the minute. */
const paced = (aSecond) => aSecond * (SETTINGS.startForSeconds / 60);

/** A run writes its results once a second. */
const TOLD_TOGETHER = RUN_RATE;

/** Sessions that so many refreshes a second keep alive. */
const kept = (refreshesASecond) => refreshesASecond * PERIOD;

/** How long one session's refresh keeps all others from the upstream's row, in milliseconds. */
const lockMs = (figures) => figures.claimMs / SETTINGS.batch + figures.accountMs / TOLD_TOGETHER;

const databaseCpuMs = (figures) => figures.databaseCpuMs + figures.restCpuMs;

function bytesOnDisk(figures, days) {
  return figures.bytesOfASession + REFRESHES_A_DAY * days * figures.bytesOfAnAttempt;
}

/** The load of `sessions`, over `projects` databases. */
export function loadOf(figures, { sessions, days, projects = 1 }) {
  const refreshes = sessions / PERIOD;
  const month = refreshes * 60 * MINUTES_OF_A_MONTH;
  const runs = Math.ceil(refreshes / RUN_A_SECOND);
  const size = sizeFor(figures, sessions / projects);
  const load = {
    sessions,
    days,
    projects,
    refreshes,
    runs,
    databaseCalls: refreshes * (1 / SETTINGS.batch + 1 / TOLD_TOGETHER),
    databaseCores: (refreshes * databaseCpuMs(figures)) / 1000 / projects,
    lock: (refreshes * lockMs(figures)) / 1000 / projects,
    pages: pagesASecond(figures, sessions / projects),
    // After a checkpoint a page's first change logs all of it.
    log: (refreshes / projects) * figures.logBytes + pagesASecond(figures, sessions / projects) * 8192,
    disk: sessions * bytesOnDisk(figures, days),
    egress: month * figures.bytesFromDatabase,
    size,
  };
  const cloudflare = cloudflareCost(figures, { runs, refreshes: month });
  return { ...load, costs: { cloudflare, ...supabaseCosts(load) } };
}

/** Pages that checkpoints write: every five minutes nearly all, since each session's are changed every eighteen. */
const pagesASecond = (figures, sessions) => (sessions * figures.bytesOfASession) / 8192 / 300;

/** The smallest that is asked for half of its cores, of its memory and of its disk's operations at the most. */
function sizeFor(figures, sessions) {
  const cores = (sessions / PERIOD) * (databaseCpuMs(figures) / 1000);
  const memory = sessions * figures.bytesOfASession;
  const pages = pagesASecond(figures, sessions);
  return SUPABASE.sizes.find(
    (size) => size.cores / 2 >= cores && size.memoryBytes / 2 >= memory && size.iops / 2 >= pages,
  );
}

function cloudflareCost(figures, { runs, refreshes }) {
  const { paid, operationsOfAMessage } = CLOUDFLARE;
  const over = (used, { included, perMillion }) => (Math.max(0, used - included) / 1e6) * perMillion;
  return (
    paid.month +
    over(runs * MINUTES_OF_A_MONTH, paid.requests) +
    over(refreshes * figures.workerCpuMs, paid.cpuMs) +
    over((runs - 1) * MINUTES_OF_A_MONTH * operationsOfAMessage, paid.operations)
  );
}

function supabaseCosts({ size, projects, disk, egress }) {
  const { pro } = SUPABASE;
  const over = (bytes, { includedBytes, perGigabyte }) => (Math.max(0, bytes - includedBytes) / 1e9) * perGigabyte;
  return {
    compute: pro.month - pro.computeCredit + size.month * projects,
    disk: projects * over(disk / projects, pro.disk),
    egress: over(egress, pro.egress),
  };
}

/** What bounds the number of sessions, the tightest first: `[{ what, sessions, remedy }]`. */
export function bounds(figures) {
  const { free } = CLOUDFLARE;
  const runs = SETTINGS.maxConsumers + 1;
  const freeRuns = 1 + free.operationsADay / CLOUDFLARE.operationsOfAMessage / (24 * 60);
  const byCpu = Math.floor(free.cpuMs / figures.workerCpuMs);
  const inBatches = SETTINGS.maxInFlight - Math.floor(SETTINGS.maxInFlight / 8);
  const largest = SUPABASE.sizes.at(-1);
  const history = bytesOnDisk(figures, SETTINGS.historyDays);
  const list = [
    {
      what: `Workers Free: ${free.cpuMs} ms of CPU are ${byCpu} sessions, of which a run takes ${SETTINGS.sessionsARun}, one run a minute`,
      sessions: kept(SETTINGS.sessionsARun / 60),
      remedy: "the queue",
    },
    {
      what: `Workers Free: the same with as many helpers as ${free.operationsADay.toLocaleString("en")} queue operations a day wake`,
      sessions: kept((SETTINGS.sessionsARun * freeRuns) / 60),
      remedy: "Workers Paid",
    },
    {
      what: `Supabase Free: ${SUPABASE.free.databaseBytes / 1e6} MB with ${SETTINGS.historyDays} days of history`,
      sessions: SUPABASE.free.databaseBytes / history,
      remedy: "`HISTORY_RETENTION_DAYS=1`, then Pro",
    },
    {
      what: `Supabase Free: ${SUPABASE.free.egressBytes / 1e9} GB of egress a month`,
      sessions: SUPABASE.free.egressBytes / (REFRESHES_A_DAY * 30 * figures.bytesFromDatabase),
      remedy: "Pro",
    },
    {
      what: `\`SUBREQUEST_LIMIT=${SETTINGS.fetches}\`, and with it ${SETTINGS.sessionsARun} sessions a run, ${runs} runs a minute`,
      sessions: kept((SETTINGS.sessionsARun * runs) / 60),
      remedy: "`SUBREQUEST_LIMIT=10000` (Workers Paid)",
    },
    {
      what: `Supabase Pro: the ${SUPABASE.pro.disk.includedBytes / 1e9} GB of disk that are included, with ${SETTINGS.historyDays} days of history`,
      sessions: SUPABASE.pro.disk.includedBytes / history,
      remedy: "fewer days, or pay for disk",
    },
    {
      what: `\`UPSTREAM_CALLS_PER_SECOND=${SETTINGS.callsPerSecond}\``,
      sessions: kept(paced(SETTINGS.callsPerSecond)),
      remedy: "raise it, if the site agrees",
    },
    {
      what: `\`UPSTREAM_MAX_IN_FLIGHT=${SETTINGS.maxInFlight}\`, of which batches get ${inBatches}`,
      sessions: kept(paced(inBatches / SETTINGS.callSeconds)),
      remedy: "raise it, if the site agrees",
    },
    {
      what: `\`REFRESH_MAX_CONSUMERS=${SETTINGS.maxConsumers}\``,
      sessions: kept(runs * RUN_A_SECOND),
      remedy: "up to 250, with `max_concurrency`",
    },
    {
      what: `${CLOUDFLARE.consumers} consumers of one queue`,
      sessions: kept((CLOUDFLARE.consumers + 1) * RUN_A_SECOND),
      remedy: "a queue and a Worker for each project",
    },
    {
      what: "the upstream's row, locked half of the time",
      sessions: kept(500 / lockMs(figures)),
      remedy: "several projects, each with its share of the pace",
    },
    {
      what: `${largest.name}: half of ${largest.cores} cores`,
      sessions: kept((largest.cores / 2) * (1000 / databaseCpuMs(figures))),
      remedy: "several projects",
    },
    {
      what: `${largest.name}: sessions in half of ${largest.memoryBytes / 1e9} GB of memory`,
      sessions: largest.memoryBytes / 2 / figures.bytesOfASession,
      remedy: "several projects",
    },
  ];
  return list.sort((a, b) => a.sessions - b.sessions);
}
