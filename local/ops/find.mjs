// The session that is meant by an id or an e-mail.

import { Failure, misuse, NOT_WELL } from "./failure.mjs";
import { relative, standing } from "./words.mjs";

const NONE = { exit: NOT_WELL, code: "session_not_found" };
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Answers an id. `exact`: the whole e-mail is wanted, lest another's session be touched. Where it can't be told which one
 * is meant, those found are listed, and it fails.
 */
export async function find(text, { call, output, exact = false }) {
  if (ID.test(text)) return text;
  const found = await call(`sessions?query=${encodeURIComponent(text)}`);
  const meant = choice(text, found, exact);
  if (meant.length === 1 && !found.more) return meant[0].id;
  if (found.sessions.length === 0) throw new Failure(`There is no session of "${text}".`, NONE);
  list(output, found);
  throw misuse(
    meant.length === 0
      ? `No session is of exactly "${text}": name the whole e-mail or an id.`
      : `"${text}" may mean several sessions: choose an id.`,
    { code: "ambiguous", sessions: found.sessions },
  );
}

/** Those of exactly this e-mail; if there is none, and that will do, those in whose e-mail it occurs. */
function choice(text, { sessions }, exact) {
  const same = sessions.filter(({ email }) => email.toLowerCase() === text.toLowerCase());
  return same.length > 0 || exact ? same : sessions;
}

function list(output, { sessions, more, serverTime }) {
  output.table(
    [
      { title: "id", of: ({ id }) => id },
      { title: "e-mail", of: ({ email }) => email, shrinks: true },
      { title: "state", of: standing },
      { title: "refreshed", of: ({ lastRefreshDate: at }) => at && relative(at, serverTime), right: true },
    ],
    sessions,
  );
  if (more) output.say("There are more.");
}
