// `ops status`: whether all is well.

import { Failure, NOT_DONE, NOT_WELL } from "./failure.mjs";
import { breaker, clock, counted, many, moment, percent, plain, plural, relative, span, standing } from "./words.mjs";

const TROUBLE_SHOWN = 5;

export async function status({ call, output, url }) {
  const [health, overview] = await Promise.all([healthOf(call), overviewOf(call)]);
  output.tell({ success: true, url, ...health, overview: overview.success ? overview : null });
  sayVerdict(output, health, url);
  if (overview.success) sayOverview(output, overview);
  else output.say("", `How all stands can't be told: ${overview.error}`);
  return health.ready ? 0 : NOT_WELL;
}

/** The checks; a Worker that answers with trouble of its own is not ready either. */
async function healthOf(call) {
  try {
    const { ready, checks } = await call("health");
    return { ready, checks };
  } catch (error) {
    if (error.facts?.status !== 503 || !error.facts.body) throw unknown(error);
    const { checks = [], code } = error.facts.body;
    return { ready: false, checks, ...(code === "not_ready" ? {} : { error: error.message, code }) };
  }
}

/** Whether it is ready was not told: that is not to be taken for "not ready". */
function unknown(error) {
  if (error instanceof Failure) error.exit = NOT_DONE;
  return error;
}

async function overviewOf(call) {
  try {
    return await call("overview?hours=24");
  } catch (error) {
    // The checks are worth more than silence where the database is the trouble.
    if (error instanceof Failure && error.facts.status >= 500) return error.toJSON();
    throw unknown(error);
  }
}

function sayVerdict(output, { ready, checks, error }, url) {
  const failed = checks.filter(({ ok }) => !ok);
  const why = error ?? `${plural(failed.length, "check")} failed.`;
  output.say(ready ? output.style("green", `Ready: ${url}`) : output.style("red", `NOT READY: ${url}. ${why}`));
  if (checks.length === 0) return;
  output.title("Checks");
  output.facts(checks.map(({ name, ok, detail }) => [`${ok ? "ok    " : "FAILED"}  ${plain(name)}`, detail || ""]));
}

function sayOverview(output, overview) {
  const { serverTime: now } = overview;
  output.title(`As of ${clock(now, now)}`);
  output.facts([
    ["Sessions", stockIn(overview.stock)],
    ["In time", shareIn(overview.stock)],
    ["Due", backlogIn(overview.backlog, now)],
    ["Upstream", upstreamIn(overview.upstream, now)],
    ["Last tick", moment(overview.lastTickAt, now)],
    ["Interval", intervalIn(overview)],
    ["Undelivered", undeliveredIn(overview.undelivered, now)],
  ]);
  sayAlerts(output, overview.alerts, now);
  sayTrouble(output, overview);
}

function stockIn({ countedAt, active, failing, disabled, expired, exhausted }) {
  if (!countedAt) return "not counted yet";
  const parts = [`${many(active)} looked after`, `${many(failing)} of them failing`, `${many(disabled)} disabled`];
  return [...parts, `${many(expired)} expired`, `${many(exhausted)} given up`].join(", ");
}

function shareIn({ countedAt, active, late, oldestAgeSeconds }) {
  if (!countedAt || active === 0) return "there is none to look after";
  const oldest = oldestAgeSeconds === null ? "" : `; the oldest is ${span(oldestAgeSeconds)} old`;
  return `${percent(active - late, active)}, ${many(late)} late${oldest}`;
}

function backlogIn({ due, oldestDueAt, oldestAgeSeconds }, now) {
  if (due === 0) return "none";
  const since = oldestDueAt ? `, the oldest since ${moment(oldestDueAt, now)}` : "";
  const age = oldestAgeSeconds === null ? "" : `; its last sign of life ${span(oldestAgeSeconds)} ago`;
  return `${counted(due)}${since}${age}`;
}

function upstreamIn({ breaker: state, heldUntil, inFlight, callsPerSecond }, now) {
  const held = heldUntil ? `, held until ${moment(heldUntil, now)}` : "";
  return `${breaker(state)}${held}; at most ${plural(inFlight, "call")} at once, ${callsPerSecond} a second`;
}

function intervalIn({ intervalSeconds, lifeSeconds }) {
  const life = lifeSeconds === null ? "life not measured yet" : `measured life ${span(lifeSeconds)}`;
  return `${span(intervalSeconds)}; ${life}`;
}

function undeliveredIn({ alerts, events, oldestAt, lastError }, now) {
  if (alerts + events === 0) return "none";
  const since = oldestAt ? `, since ${moment(oldestAt, now)}` : "";
  const why = lastError ? `; the last failure: ${plain(lastError)}` : "";
  return `${plural(alerts, "alert")}, ${plural(events, "event")}${since}${why}`;
}

function sayAlerts(output, alerts, now) {
  const on = alerts.filter(({ overAt }) => !overAt);
  if (on.length === 0) return output.say("", "No alert is on.");
  output.title("Alerts that are on");
  output.facts(on.map((alert) => [plain(alert.kind), `since ${moment(alert.since, now)}${detailsOf(alert)}`]));
}

/** The outline of a page is for those who mend the parser: `--json` has it. */
function detailsOf({ details }) {
  const told = Object.entries(details ?? {}).filter(([name, value]) => name !== "outline" && value !== null);
  const texts = told.map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(", ") : value}`);
  return texts.length > 0 ? `; ${texts.join(", ")}` : "";
}

function sayTrouble(output, { trouble, troubleCount, serverTime: now }) {
  if (troubleCount === 0) return output.say("No session is in trouble.");
  const shown = trouble.slice(0, TROUBLE_SHOWN);
  output.title(`Sessions in trouble: ${counted(troubleCount, 1000)}`);
  output.table(
    [
      { title: "e-mail", of: ({ email }) => email, shrinks: true },
      { title: "state", of: standing },
      { title: "last error", of: ({ lastError }) => lastError && plain(lastError) },
      { title: "since", of: ({ failingSince }) => failingSince && relative(failingSince, now) },
    ],
    shown,
  );
  if (troubleCount > shown.length) output.say(`The ${shown.length} tried last; the dashboard has more.`);
}
