// `ops due`: what a run would find.

import { counted, holding, span } from "./words.mjs";

export async function due({ call, output }) {
  const told = await call("refresh-sessions", { method: "POST", json: { dryRun: true } });
  const { remaining, held, measuredLifeSeconds: life, recommendedIntervalMinutes: interval } = told;
  output.tell(told);
  output.facts([
    ["Due", counted(remaining)],
    ["Held back by", holding(held)],
    ["Measured life", life === null ? "not known yet" : span(life)],
    ["Safe interval", interval === null ? "not known yet" : `${interval} min at the most`],
  ]);
  return 0;
}
