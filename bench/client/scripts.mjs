// The troubles that each client goes through, and what is told of it.

import { onStage } from "./stage.mjs";
import { AWAY, HOUR, MINUTE, SECOND } from "./times.mjs";

/** For how long a recovery is waited for. */
const PATIENCE = 30 * MINUTE;
const RETRY_AFTER = 2 * MINUTE;
const HTML_503 = "<!doctype html><title>503</title><h1>Service Unavailable</h1>";

/** `name` for tables, `title` says what happens. */
export const SCRIPTS = [
  {
    name: "429",
    title: "429 with `Retry-After: 120` for two minutes, another window and back every 10 s",
    play: (stage) => outage(stage, { lasts: RETRY_AFTER, every: 10 * SECOND, answer: throttled }),
  },
  {
    name: "503",
    title: "503 with an HTML page for an hour, another window and back every minute, a reload after half an hour",
    play: (stage) => outage(stage, { lasts: HOUR, every: MINUTE, reloadAt: HOUR / 2, answer: unwell }),
  },
  {
    name: "eight tabs",
    title: "eight tabs while the session falls due, all well; then the user looks at one after the other",
    tabs: 8,
    play: eightTabs,
  },
  {
    name: "sleep",
    title: "the machine sleeps for eight hours, all well; then the user is back",
    play: (stage) => sleep(stage, { offline: 0 }),
  },
  {
    name: "sleep, no network at first",
    title: "the same, and the network comes half a minute after the user",
    play: (stage) => sleep(stage, { offline: 30 * SECOND }),
  },
];

/** Plays a script to a client; see `judge` for what it answers. `quiet`: for how long eight tabs are left alone. */
export const play = (browser, { client, script, files, step, quiet }) =>
  onStage(browser, { client, files, tabs: script.tabs, step }, (stage) => script.play(stage, { quiet }));

const throttled = (client, now) => ({
  status: 429,
  headers: { "retry-after": String(RETRY_AFTER / SECOND) },
  json: client.throttled(now),
});

const unwell = () => ({ status: 503, contentType: "text/html", body: HTML_503 });

/** The user was away, and comes back into the trouble. */
async function outage(stage, { lasts, every, reloadAt, answer }) {
  stage.answerWith(answer);
  await stage.sleep(AWAY);
  const start = stage.now;
  for (let at = 0; at < lasts; at += every) {
    if (at === reloadAt) await stage.reload();
    await stage.switchWindows();
    await stage.advance(every);
  }
  stage.answerWith(undefined);
  const end = stage.now;
  const recovery = await recover(stage, end, every);
  const asked = stage.asked.filter(({ at }) => at >= start && at < end);
  const isEarly = ({ at }) => at > asked[0].at && at < asked[0].at + RETRY_AFTER;
  const early = answer === throttled ? { tooEarly: asked.filter(isEarly).length } : {};
  return { requests: asked.length, ...early, ...judge(stage, { start, end, ...recovery }) };
}

async function sleep(stage, { offline }) {
  if (offline) await stage.goOffline(true);
  await stage.sleep(8 * HOUR);
  const start = stage.now;
  await stage.switchWindows();
  await stage.advance(offline);
  if (offline) await stage.goOffline(false);
  const end = stage.now;
  const recovery = await recover(stage, end, MINUTE);
  return { requests: count(stage, start, end + MINUTE, recovery), ...judge(stage, { start, end, ...recovery }) };
}

/** The user switches windows until the app is well by itself, or in vain; then reloads it. */
async function recover(stage, since, every) {
  const isWell = () => stage.told.find(({ at, fresh }) => at >= since && fresh);
  do {
    await stage.switchWindows();
    await stage.advance(every);
  } while (!isWell() && stage.now < since + PATIENCE);
  return isWell() ? { back: isWell() } : { reloaded: await reload(stage) };
}

async function reload(stage) {
  const since = stage.now;
  await stage.reload();
  await stage.advance(MINUTE);
  return stage.told.find(({ at, fresh }) => at >= since && fresh);
}

/** All tabs but the last are hidden. Their timers run on: a browser would let them run once a minute at least. */
async function eightTabs(stage, { quiet = AWAY + 2 * MINUTE }) {
  const start = stage.now;
  await stage.advance(quiet);
  const tabs = [...Array(stage.tabs).keys()];
  const due = () => stage.asked.find(({ at }) => at >= start)?.at ?? stage.now;
  const isWell = () => tabs.every((tab) => stage.told.findLast((view) => view.tab === tab).fresh);
  const seen = stage.now;
  do {
    for (const tab of tabs) {
      await stage.turnTo(tab);
      await stage.advance(10 * SECOND);
    }
  } while (!isWell() && stage.now < seen + 3 * MINUTE);
  const recovery = isWell() ? { back: lastFresh(stage, due()) } : { reloaded: await reload(stage) };
  const requests = count(stage, start, seen + stage.tabs * 10 * SECOND, recovery);
  return { requests, ...judge(stage, { start, end: due(), ...recovery }) };
}

/** When the last of the tabs was fresh again: one that told nothing since was so all the time. */
function lastFresh({ told }, since) {
  const firsts = new Map();
  for (const { tab, at, fresh } of told) if (fresh && at >= since && !firsts.has(tab)) firsts.set(tab, at);
  return { at: Math.max(since, ...firsts.values()) };
}

/** What was asked until all was well, and at least until `least`. */
const count = ({ asked }, start, least, { back }) =>
  asked.filter(({ at }) => at >= start && at <= Math.max(least, back?.at ?? 0)).length;

/**
 * `session`: whether the app's user was told to be signed out, and for how long; lost is also what the server has ended,
 * though the app may not know yet. `worst`: the worst that the app was
 * told, and when, in seconds from the start. `back`: how many seconds after the end of the trouble all was well.
 */
function judge({ told, refusals }, { start, end, back, reloaded }) {
  const since = told.filter(({ at }) => at >= start);
  const signedOut = since.find(({ signedIn }) => !signedIn);
  const lastBad = (until) => since.findLast(({ at, fresh }) => !fresh && at <= until);
  const worst = signedOut ?? lastBad(end) ?? lastBad(back?.at) ?? told.at(-1);
  const isLost = refusals > 0 || !(back || reloaded);
  const kept = back ? (signedOut ? "gone for a while" : "kept") : "gone until a reload";
  return {
    session: isLost ? "lost" : kept,
    worst: worst.words,
    worstAfter: worst.fresh ? 0 : Math.max(0, Math.round((worst.at - start) / SECOND)),
    back: back && !isLost ? Math.round((back.at - end) / SECOND) : null,
  };
}
