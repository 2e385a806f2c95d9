// One session's refresh: the calls it takes, and what there is to write afterwards.

import { type Cookie, cookieHeader, merge } from "./cookies";
import type { ClaimedRow, Entry } from "./database";
import { classify, type Outcome, OWN, PASSING, retryAfter, userOf } from "./outcome";
import { type Page, readPage } from "./page";
import type { Settings } from "./settings";

const USER_AGENT =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const MOST_TRIES = 3;

interface Answer {
  outcome: Outcome;
  status?: number;
  page?: Page;
  setCookies: string[];
  retryAfterSeconds?: number;
}

/** Presents a claimed session to upstream and says what to write. Never throws: whatever happens is an outcome. */
export async function refreshOne(row: ClaimedRow, settings: Settings): Promise<Entry> {
  const started = Date.now();
  if (!userOf(row.token) || !Array.isArray(row.cookies) || row.cookies.length === 0) {
    return entryOf(row, { outcome: "unusable", setCookies: [] }, started, 0, settings);
  }
  const signal = AbortSignal.timeout(settings.timeoutMs);
  let changed: Cookie[] | undefined;
  for (let tries = 1; ; tries += 1) {
    const answer = await ask(row, changed ?? row.cookies, signal, settings);
    changed = merge(changed ?? row.cookies, answer.setCookies, answer.outcome === "refreshed") ?? changed;
    const again = PASSING.has(answer.outcome) && answer.status !== 504 && tries < MOST_TRIES;
    const wait = (answer.retryAfterSeconds ?? 0) * 1000 + 250 * 2 ** (tries - 1) * (0.5 + Math.random() / 2);
    if (!again || Date.now() - started + wait + 1000 > settings.timeoutMs) {
      return { ...entryOf(row, answer, started, tries, settings), ...(changed && { cookies: changed }) };
    }
    await scheduler.wait(wait);
  }
}

async function ask(row: ClaimedRow, cookies: Cookie[], signal: AbortSignal, settings: Settings): Promise<Answer> {
  const token = encodeURIComponent(row.token);
  const fingerprint = encodeURIComponent(row.fingerprint ?? settings.fingerprint);
  let status: number | undefined;
  try {
    const response = await fetch(`${settings.refreshUrl}?token=${token}&fingerprint=${fingerprint}`, {
      headers: {
        cookie: cookieHeader(cookies),
        "user-agent": USER_AGENT,
        accept: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
      },
      redirect: "manual",
      cache: "no-store",
      signal,
    });
    status = response.status;
    const setCookies = response.headers.getSetCookie();
    const wantsBody = response.ok || status === 403;
    const page = wantsBody ? await readPage(response) : undefined;
    if (!wantsBody) await response.body?.cancel();
    const retryAfterSeconds = retryAfter(response);
    return {
      outcome: classify(response, page, row.token, settings.refreshUrl),
      status,
      setCookies,
      ...(page && { page }),
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    };
  } catch {
    return {
      outcome: signal.aborted ? "timed_out" : "unreachable",
      setCookies: [],
      ...(status !== undefined && { status }),
    };
  }
}

function entryOf(row: ClaimedRow, answer: Answer, started: number, tries: number, settings: Settings): Entry {
  const over = answer.outcome === "expired";
  // Upstream may have handed out a token that nobody wrote: a refusal proves little then.
  const doubted = over && ((row.inDoubt && row.refusalsInDoubt < 2) || tries > 1);
  const outcome = doubted ? "unrecognised" : answer.outcome;
  const renewed = outcome === "refreshed";
  const entry: Entry = {
    id: row.id,
    fence: row.fence,
    kind: renewed ? "refreshed" : outcome === "expired" ? "expired" : "failed",
    outcome,
    nextInSeconds: renewed ? afterSuccess(settings) : afterFailure(row, answer),
    own: OWN.has(outcome),
    durationMs: Date.now() - started,
    tries,
  };
  if (renewed && answer.page?.token) entry.token = answer.page.token;
  if (renewed && answer.page?.fingerprint) entry.fingerprint = answer.page.fingerprint;
  if (doubted) entry.saidOver = true;
  if (answer.status !== undefined) entry.upstreamStatus = answer.status;
  if (answer.retryAfterSeconds !== undefined) entry.retryAfterSeconds = answer.retryAfterSeconds;
  return entry;
}

const afterSuccess = (settings: Settings) => settings.intervalSeconds * (0.8 + 0.15 * Math.random());

function afterFailure(row: ClaimedRow, { outcome, retryAfterSeconds = 0 }: Answer): number {
  if (outcome === "unusable") return 3600;
  const wait = Math.min(300, 20 * 2 ** row.consecutiveFailures) * (0.85 + 0.15 * Math.random());
  return Math.max(wait, Math.min(retryAfterSeconds, 3600) + 30 * Math.random());
}
