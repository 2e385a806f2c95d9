// What is measured of the contestants: right answers, time, memory.

import { alternate, ratio, summary } from "../statistics.mjs";
import { isSame } from "./adversarial.mjs";
import { PLACES, TOKEN } from "./pages.mjs";
import { startContestant } from "./workers.mjs";

export const SIZES = [2_000, 100_000, 5_000_000];
const MEMORY_SIZES = [100_000, 1_000_000, 5_000_000, 20_000_000];

/** How long one contestant's turn lasts, in ms: hundredths of a second are what the system counts. */
const TURN_MS = 600;
const MOST_TIMES = 20_000;

/** Lets `work` have these contestants, each in a workerd of its own: a Map by name. */
async function withContestants(names, { modules, origin }, work) {
  const contestants = new Map();
  try {
    for (const name of names) {
      contestants.set(name, await startContestant({ name, modules: modules[name], origin }));
    }
    return await work(contestants);
  } finally {
    for (const contestant of contestants.values()) await contestant.stop().catch(() => {});
  }
}

/** Wrong answers of each to these pages, by where a page is from and by kind. */
export function measureAnswers(names, built, pages) {
  return withContestants(names, built, async (contestants) => {
    const answers = [];
    for (const [name, contestant] of contestants)
      answers.push({ contestant: name, ...(await judge(contestant, pages)) });
    return answers;
  });
}

async function judge(contestant, pages) {
  const count = { fixtures: 0, confirmed: 0, generated: 0 };
  const kinds = {};
  const examples = [];
  for (const page of pages) {
    const found = await contestant.find(page).catch(() => ({ threw: true }));
    const answer = { token: found.token ?? null, fingerprint: found.fingerprint ?? null };
    if (!found.threw && isSame(answer, page.right)) continue;
    const kind = found.threw ? "threw" : kindOf(answer, page.right);
    count[page.fixture ? "fixtures" : "generated"] += 1;
    if (page.fixture && page.confirmed) count.confirmed += 1;
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    if (page.fixture) examples.push({ page: page.name, kind });
  }
  return { wrong: count, kinds, examples };
}

function kindOf(answer, right) {
  if (answer.token === right.token) return "fingerprint";
  if (right.token === null) return "invented";
  return answer.token === null ? "missed" : "other";
}

/** Milliseconds for a page, of the processors and by the clock: `[{ contestant, bytes, place, cpu, wall, ratio }]`. */
export function measureTimes(names, built, { rounds, say, sizes = SIZES }) {
  return withContestants(names, built, async (contestants) => {
    const figures = [];
    for (const bytes of sizes) {
      for (const place of PLACES) {
        say(`${bytes.toLocaleString("en")} bytes, token ${place}`);
        figures.push(...(await timePage(contestants, { bytes, place }, rounds)));
      }
    }
    return figures;
  });
}

async function timePage(contestants, page, rounds) {
  const times = new Map();
  for (const [name, contestant] of contestants) times.set(name, await timesFor(contestant, page));
  const results = await alternate([...contestants.keys()], { warmUps: 1, rounds }, async (name) => {
    const { found, wall, cpu } = await contestants.get(name).read(page, times.get(name));
    check(name, found, page);
    return { wall: wall / times.get(name), cpu: cpu / times.get(name) };
  });
  const ours = results.get("ours").map(({ cpu }) => cpu);
  return [...results].map(([contestant, turns]) => {
    const cpu = turns.map((turn) => turn.cpu);
    const wall = summary(turns.map((turn) => turn.wall));
    return { contestant, ...page, times: times.get(contestant), cpu: summary(cpu), wall, ratio: ratio(cpu, ours) };
  });
}

/** How often it reads a page in a turn. */
async function timesFor(contestant, page) {
  await contestant.read(page, 1);
  const { wall } = await contestant.read(page, 2);
  return Math.min(MOST_TIMES, Math.max(1, Math.round((2 * TURN_MS) / wall)));
}

/** Nobody is timed who doesn't find these pages' token. */
function check(name, { token }, { place, bytes }) {
  if (name === "drained") return;
  const right = place === "absent" ? undefined : TOKEN;
  if ((token ?? undefined) !== right) throw new Error(`${name} found ${token} in ${bytes} bytes, token ${place}`);
}

/** Bytes at the most, beyond what there was before: `[{ contestant, bytes, peak, wasmBytes, found }]`, the token late. */
export async function measureMemory(names, { modules, origin }, { rounds, say }) {
  const pages = MEMORY_SIZES.flatMap((bytes) => names.map((name) => ({ name, bytes })));
  const results = await alternate(pages, { warmUps: 0, rounds }, async ({ name, bytes }) => {
    const contestant = await startContestant({ name, modules: modules[name], origin });
    try {
      // Compiled, and used to small pages only: what larger ones take is not there yet.
      await contestant.read({ bytes: SIZES[0], place: "late" }, 200);
      return await contestant.peak({ bytes, place: "late" });
    } finally {
      await contestant.stop();
    }
  });
  say("memory measured");
  return [...results].map(([{ name, bytes }, peaks]) => ({
    contestant: name,
    bytes,
    peak: summary(peaks.map((peak) => peak.bytes)),
    wasmBytes: peaks[0].found.wasmBytes,
    found: peaks.every(({ found }) => found.token === TOKEN),
  }));
}
