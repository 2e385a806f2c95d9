// `npm run bench:operations`: what operators' questions, and a tick's look at how everything stands, cost among 100,000
// sessions with five million attempts and a month of history behind them, beside ten sessions with a few. Prints tables; judges
// nothing.

import { asProgram } from "../local/setup.mjs";
import { startSupabase } from "../local/stack.mjs";
import { fillHistory } from "../tests/support/history.mjs";
import { Caller, createDatabase, fill } from "../tests/support/rows.mjs";
import { print } from "./table.mjs";

const SIZES = [
  { name: "few", sessions: 10, due: 2, perSession: 2, days: 1, troubled: 2 },
  { name: "many", sessions: 100_000, due: 5_000, perSession: 49, days: 30, troubled: 1_000 },
];
const ROUNDS = 25;

async function main() {
  const supabase = await startSupabase();
  try {
    const callers = [];
    for (const { name, sessions, due, ...history } of SIZES) {
      console.log(`[bench] ${sessions.toLocaleString("en")} sessions …`);
      const sql = await createDatabase(supabase, name);
      await fill(sql, sessions, { due });
      await fillHistory(sql, history);
      callers.push(await Caller.open(sql));
    }
    for (let round = 0; round < ROUNDS; round += 1) for (const caller of callers) await caller.lookAround();
    const heads = ["what", ...SIZES.map(({ sessions }) => `${sessions.toLocaleString("en")} sessions`), "ratio"];
    print("Milliseconds, within the database", heads, table(callers, "ms"));
    print("Pages touched, of 8 KiB", heads, table(callers, "pages"));
    print("Bytes answered", heads, table(callers, "bytes"));
    await weigh(callers[1]);
    for (const caller of callers) caller.close();
  } finally {
    await supabase.stop();
  }
}

/** Medians, and how often the one is of the other. */
function table(callers, of) {
  return Object.keys(callers[0].costs).map((name) => {
    const [few, many] = callers.map((caller) => caller.median(name, of));
    return [name, few, many, Number((many / Math.max(few, 0.001)).toFixed(1))];
  });
}

/** How large the history is, with its indexes. */
async function weigh({ client }) {
  const { rows } = await client.query(`select relname as name, pg_total_relation_size(oid) as bytes,
      greatest(reltuples, 0)::bigint as rows
    from pg_class where relkind = 'r' and relname like 'refresh_%' order by 2 desc limit 4`);
  const mebibytes = ({ bytes }) => Number((bytes / 2 ** 20).toFixed(1));
  const lines = rows.map((row) => [row.name, Number(row.rows), mebibytes(row)]);
  print("What the history takes", ["table", "rows", "MiB with indexes"], lines);
}

await asProgram(main);
