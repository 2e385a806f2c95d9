// Finding the tokens in a page: right answers, throughput, memory.

import { adversarialPages } from "../extraction/adversarial.mjs";
import { buildContestants, buildOrigin } from "../extraction/build.mjs";
import { measureAnswers, measureMemory, measureTimes } from "../extraction/measure.mjs";
import { report } from "../extraction/report.mjs";

const ROUNDS = 3;
const MEMORY_ROUNDS = 3;
const GENERATED = 400;

/** In the order of the tables. */
const JUDGED = ["ours", "rewriter", "rewriter-whole", "cheerio", "regexp", "naive"];

async function measure({ say, rounds = ROUNDS, memoryRounds = MEMORY_ROUNDS, generated = GENERATED }) {
  const names = [...JUDGED, "ours-unlimited", "drained"];
  const built = { modules: await buildContestants(names, { say }), origin: await buildOrigin() };
  say("what Chromium makes of the pages");
  const pages = await adversarialPages(generated);
  const answers = await measureAnswers(JUDGED, built, pages);
  const times = await measureTimes([...JUDGED, "drained"], built, { rounds, say });
  const memory = await measureMemory(names, built, { rounds: memoryRounds, say });
  const fixtures = pages.filter(({ fixture }) => fixture);
  const of = {
    fixtures: fixtures.length,
    confirmed: fixtures.filter(({ confirmed }) => confirmed).length,
    generated,
  };
  return { rounds, memoryRounds, of, answers, times, memory };
}

export const section = { name: "extraction", title: "Finding the tokens in a page", measure, report };
