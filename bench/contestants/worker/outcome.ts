// What an answer of upstream's means for the session.

import type { Page } from "./page";

export type Outcome =
  | "refreshed"
  | "expired"
  | "throttled"
  | "refused"
  | "upstream_fault"
  | "unreachable"
  | "timed_out"
  | "unrecognised"
  | "unusable";

/** Failures that may be the session's own doing. */
export const OWN: ReadonlySet<Outcome> = new Set(["refused", "unrecognised", "unusable"]);

/** Failures worth another try at once. */
export const PASSING: ReadonlySet<Outcome> = new Set(["unreachable", "upstream_fault"]);

const TOKEN = /^(\d{1,20})\|\d{1,20}\|[0-9a-f]{32}$/i;

export const userOf = (token: string | undefined) => token && TOKEN.exec(token)?.[1];

/** `page`: what the body held, where there was one worth reading. */
export function classify(response: Response, page: Page | undefined, presented: string, endpoint: string): Outcome {
  const { status } = response;
  if (status >= 200 && status < 300) return fromPage(page, presented);
  if (status >= 300 && status < 400) {
    return leadsToSignIn(response.headers.get("location"), endpoint) ? "expired" : "unrecognised";
  }
  if (status === 401) return /^basic/i.test(response.headers.get("www-authenticate") ?? "") ? "refused" : "expired";
  if (status === 403) return page?.loginForm ? "expired" : "refused";
  if (status === 429) return "throttled";
  if (status === 408 || status >= 500) return "upstream_fault";
  return "unrecognised";
}

function fromPage(page: Page | undefined, presented: string): Outcome {
  const user = userOf(page?.token);
  if (user && user === userOf(presented)) return "refreshed";
  return page?.loginForm && !page.token ? "expired" : "unrecognised";
}

function leadsToSignIn(location: string | null, endpoint: string): boolean {
  if (!location || !URL.canParse(location, endpoint)) return false;
  const target = new URL(location, endpoint);
  const own = new URL(endpoint).hostname.replace(/^www\./, "");
  const isOwn = target.hostname === own || target.hostname.endsWith(`.${own}`);
  return isOwn && /\/(login|logout|sign-?in|acceso)(\.|\/|$)/i.test(target.pathname);
}

/** In seconds, of both its forms. */
export function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after")?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  const moment = Date.parse(text);
  return Number.isNaN(moment) ? undefined : Math.max(0, (moment - Date.now()) / 1000);
}
