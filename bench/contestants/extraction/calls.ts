// What the contestants have in common that look for the calls with a regular expression.

export interface Found {
  token?: string;
  fingerprint?: string;
}

/** Any kind of quotes, blanks anywhere, escapes within the value. */
const CALL =
  /\blocalStorage\s*\.\s*setItem\s*\(\s*(["'`])(refreshToken|fingerprint)\1\s*,\s*(["'`])((?:\\.|(?!\3)[^\\])*)\3\s*\)/gs;

/** Puts the values of a text's calls into `found`; of several the last counts, as in a browser. */
export function findCalls(text: string, found: Found): Found {
  for (const [, , key, , value] of text.matchAll(CALL)) {
    if (key === "refreshToken") found.token = value;
    else found.fingerprint = value;
  }
  return found;
}
