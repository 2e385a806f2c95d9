// What the database's functions cost among a thousand, a hundred thousand and a million sessions.

import { startSupabase } from "../../local/stack.mjs";
import { BATCH, Caller, createDatabase, fill } from "../../tests/support/rows.mjs";
import { digits, table } from "../report/page.mjs";
import { lines } from "../report/plot.mjs";

const SIZES = [1_000, 100_000, 1_000_000];
const ROUNDS = 40;

/** Of these no cost may more than double from the smallest to the largest. */
const BOUND = 2;
const JUDGED = ["claim_due_sessions", "finish_sessions"];

const UNITS = { ms: "milliseconds", pages: "pages touched" };

async function measure({ say, sizes = SIZES, rounds = ROUNDS }) {
  const supabase = await startSupabase();
  const callers = [];
  try {
    await supabase.sql.query("alter system set shared_buffers = '3GB'");
    await supabase.stopPostgres();
    await supabase.startPostgres();
    for (const size of sizes) callers.push(await openCaller(supabase, size, say));
    for (let round = 0; round < rounds; round += 1) {
      for (const caller of callers) await caller.round();
    }
    return { sizes, rounds, batch: BATCH, functions: costs(callers) };
  } finally {
    for (const caller of callers) caller.close();
    await supabase.stop();
  }
}

async function openCaller(supabase, size, say) {
  say(`${size.toLocaleString("en")} sessions`);
  const sql = await createDatabase(supabase, `sessions_${size}`);
  await fill(sql, size);
  return Caller.open(sql);
}

/** By function and unit the median for each size. */
function costs(callers) {
  const medians = (name, unit) => callers.map((caller) => caller.median(name, unit));
  const of = (name) => Object.fromEntries(Object.keys(UNITS).map((unit) => [unit, medians(name, unit)]));
  return Object.fromEntries(Object.keys(callers[0].costs).map((name) => [name, of(name)]));
}

function report(figures) {
  const { sizes, rounds, batch, functions } = figures;
  const tables = Object.entries(UNITS).map(([unit, title]) => {
    const rows = Object.entries(functions).map(([name, cost]) => [
      `\`${name}\``,
      ...cost[unit],
      digits(growth(cost[unit])),
    ]);
    return table([`${title} among so many sessions`, ...sizes.map((size) => size.toLocaleString("en")), "ratio"], rows);
  });
  const text = `Databases with so many sessions each, as a month of work leaves them, a twentieth of them due. Each function is called as
a Worker calls it, on one connection: claims and finishes of ${batch} sessions, as are those by name; what is due is counted up to
10,001, which is why the functions that count it (\`finish_run\`, \`outlook\`, \`due_sessions_count\`) cost more where more is due.
Medians of ${rounds} calls, the sizes in turns, without a warm-up; extremes aren't kept. The ratio is that of the medians, the largest
size to the smallest. Milliseconds are those within the database alone, by its own account.

![Milliseconds by number of sessions](benchmarks/rows.svg)

${tables.join("\n\n")}

Not measured: a database that is larger than its memory. These hold all of their pages there, as a server's does that was
chosen for it.`;
  return { text, plots: { "rows.svg": plot(figures) }, goals: JUDGED.map((name) => goal(name, functions[name])) };
}

const growth = (costs) => costs.at(-1) / costs[0];

function plot({ sizes, batch, functions }) {
  const values = JUDGED.flatMap((name) =>
    sizes.map((size, index) => ({ name, x: size, y: functions[name].ms[index] })),
  );
  return lines({
    title: `One call for ${batch} sessions`,
    x: "sessions in the table",
    y: UNITS.ms,
    values,
    logX: true,
  });
}

function goal(name, { ms, pages }) {
  const [time, touched] = [growth(ms), growth(pages)];
  const met = time <= BOUND && touched <= BOUND;
  const grows = [
    time > BOUND ? `milliseconds at each size: ${ms.map((cost) => digits(cost)).join(", ")}` : "",
    touched > BOUND ? `pages at each size: ${pages.map((cost) => digits(cost)).join(", ")}` : "",
  ];
  return {
    measure: `\`${name}\`, from a thousand rows to a million`,
    goal: `within ${BOUND}`,
    measured: `${digits(time)} in milliseconds, ${digits(touched)} in pages, of medians`,
    met,
    reason: grows.filter(Boolean).join("; "),
  };
}

export const section = { name: "rows", title: "Among a million rows", measure, report };
