import { cookieHeader, mergeCookies, type StoredCookie } from "./cookies.ts";
import { env } from "./env.ts";
import { readTokens } from "./page.ts";

const USER_AGENT =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

export type Session = {
  id: string;
  aimharder_token: string;
  aimharder_cookies: StoredCookie[];
  fingerprint: string | null;
  refresh_count: number;
};

/** Presents a session to setrefresh; answers its new token and cookies, or throws. */
export async function callSetrefresh(session: Session) {
  const url = new URL(env("AIMHARDER_REFRESH_URL"));
  url.searchParams.set("token", session.aimharder_token);
  url.searchParams.set("fingerprint", session.fingerprint ?? env("AIMHARDER_FINGERPRINT"));
  const response = await fetch(url, {
    headers: { Cookie: cookieHeader(session.aimharder_cookies), "User-Agent": USER_AGENT },
    redirect: "manual",
    signal: AbortSignal.timeout(10_000),
  });
  const html = await response.text();
  if (!response.ok) throw new Error(`setrefresh answered ${response.status}`);
  const { refreshToken, fingerprint } = readTokens(html);
  if (!refreshToken) throw new Error("no token in setrefresh's answer");
  return {
    aimharder_token: refreshToken,
    fingerprint: fingerprint ?? session.fingerprint,
    aimharder_cookies: mergeCookies(session.aimharder_cookies, response.headers.getSetCookie()),
  };
}
