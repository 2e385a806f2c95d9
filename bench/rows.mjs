// `npm run bench:rows`: what the database's functions cost among a thousand, 100 thousand and a million sessions, a
// twentieth of them due. Prints a table; judges nothing.

import { asProgram } from "../local/setup.mjs";
import { startSupabase } from "../local/stack.mjs";
import { BATCH, Caller, createDatabase, fill } from "../tests/support/rows.mjs";
import { print } from "./table.mjs";

const SIZES = [1_000, 100_000, 1_000_000];
const ROUNDS = 40;

const HOW = `
Claims and finishes are of ${BATCH} sessions, as are those by name; the counts go up to 10,001. Medians of ${ROUNDS} calls, in turns. In
milliseconds, within the database alone; in memory that holds all of it, as a server's does that was chosen for it.`;

async function main() {
  const supabase = await startSupabase();
  try {
    await supabase.sql.query("alter system set shared_buffers = '3GB'");
    await supabase.stopPostgres();
    await supabase.startPostgres();
    const callers = [];
    for (const size of SIZES) {
      console.log(`[bench] ${size.toLocaleString("en")} sessions …`);
      const sql = await createDatabase(supabase, `sessions_${size}`);
      await fill(sql, size);
      callers.push(await Caller.open(sql));
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const caller of callers) await caller.round();
    }
    for (const [of, what] of [
      ["ms", "Milliseconds"],
      ["pages", "Pages touched"],
    ]) {
      print(`${what} among so many sessions`, ["function", ...SIZES.map(String), "ratio"], table(callers, of));
    }
    console.log(HOW);
    for (const caller of callers) caller.close();
  } finally {
    await supabase.stop();
  }
}

function table(callers, of) {
  return Object.keys(callers[0].costs).map((name) => {
    const medians = callers.map((caller) => caller.median(name, of));
    return [name, ...medians, Number((medians.at(-1) / medians[0]).toFixed(2))];
  });
}

await asProgram(main);
