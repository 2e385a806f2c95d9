// In the browser: asks this app for the token that the Worker accepts.

import type { TokenSource } from "aimharder-keepalive-client";

interface Answer {
  token: string;
  user: string;
  expiresIn: number;
}

/** A function that answers the user's token, and keeps it until a minute before its end. */
export function tokenOf(user: string): TokenSource {
  let kept: { token: string; until: number } | undefined;
  return async ({ refused }) => {
    if (kept && !refused && Date.now() < kept.until) return kept.token;
    const response = await fetch(`${process.env.BASE_PATH}/api/keepalive-token`, { cache: "no-store" });
    if (response.status === 401) return null;
    if (!response.ok) throw new Error(`keepalive-token: ${response.status}`);
    const answer = (await response.json()) as Answer;
    // Somebody else signed in meanwhile, in another tab.
    if (answer.user !== user) return null;
    // By how long it lasts, not by its end: the browser's clock may be wrong.
    kept = { token: answer.token, until: Date.now() + (answer.expiresIn - 60) * 1000 };
    return kept.token;
  };
}
