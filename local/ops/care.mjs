// `ops enable` and `ops disable`.

import { find } from "./find.mjs";
import { moment, standing } from "./words.mjs";

export async function care(action, { call, output, operands: [text] }) {
  const id = await find(text, { call, output, exact: true });
  const told = await call(`sessions/${id}/${action}`, { method: "POST" });
  const state = standing({ ...told, enabled: told.autoRefreshEnabled });
  output.tell(told);
  output.say(`Session ${id} is ${action}d.`);
  output.facts([
    ["State", state],
    ["Next", moment(told.nextRefreshDue, told.serverTime, "no refresh is planned")],
  ]);
  if (action === "enable" && told.state === "expired") {
    output.say("It is over, though: it comes to life by its user's sign-in alone.");
  }
  return 0;
}
