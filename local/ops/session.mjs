// `ops session`: one session and its history.

import { find } from "./find.mjs";
import { harmless } from "./table.mjs";
import { brief, moment, plain, plural, relative, span, standing, took } from "./words.mjs";

export async function session({ call, output, operands: [text] }) {
  const id = await find(text, { call, output });
  const history = await call(`sessions/${id}`);
  output.tell(history);
  saySession(output, history);
  sayAttempts(output, history);
  sayEvents(output, history);
  sayActions(output, history);
  return 0;
}

function saySession(output, { session, serverTime: now }) {
  const state = standing(session);
  output.say(output.style("bold", harmless(session.email)));
  output.facts([
    ["Id", session.id],
    ["State", session.isRefreshing ? `${state}, a refresh is under way` : state],
    ["Signed in", moment(session.signedInAt, now)],
    ["Refreshed", `${moment(session.lastRefreshDate, now)}; ${plural(session.refreshCount, "time")} so far`],
    ["Last attempt", moment(session.lastAttemptAt, now)],
    ["Next", moment(session.nextRefreshDue, now, "none is planned")],
    ...troubleOf(session, now),
  ]);
}

function troubleOf({ lastError, consecutiveFailures, failingSince }, now) {
  if (!lastError) return [];
  const since = failingSince ? `, since ${moment(failingSince, now)}` : "";
  return [["Trouble", `${plain(lastError)}: ${plural(consecutiveFailures, "failure")} in a row${since}`]];
}

const when = (now, of) => ({ title: "when", of: (row) => brief(of(row), now) });

function sayAttempts(output, { attempts, serverTime: now }) {
  if (attempts.length === 0) return output.say("", "There is no attempt in the history.");
  output.title("Attempts, newest first");
  output.table(
    [
      when(now, ({ finishedAt }) => finishedAt),
      { title: "by", of: ({ trigger }) => plain(trigger) },
      { title: "outcome", of: ({ outcome }) => plain(outcome), style: (cell, row) => tinted(output, cell, row) },
      { title: "status", of: ({ upstreamStatus }) => upstreamStatus, right: true },
      { title: "took", of: ({ durationMs }) => took(durationMs), right: true },
      { title: "calls", of: ({ tries }) => tries, right: true },
      { title: "age", of: ({ ageSeconds: age }) => (age === null ? undefined : span(age)), right: true },
    ],
    attempts,
  );
}

const tinted = (output, cell, { outcome }) => output.style(outcome === "refreshed" ? "green" : "red", cell);

function sayEvents(output, { events, serverTime: now }) {
  if (events.length === 0) return;
  output.title("Lost and found");
  output.table(
    [
      when(now, ({ at }) => at),
      { title: "what", of: ({ event }) => plain(event) },
      { title: "app told", of: ({ deliveredAt: at }) => (at ? relative(at, now) : "no") },
    ],
    events,
  );
}

function sayActions(output, { actions, serverTime: now }) {
  if (actions.length === 0) return;
  output.title("What operators did");
  output.table(
    [
      when(now, ({ at }) => at),
      { title: "what", of: ({ action }) => plain(action) },
      { title: "result", of: ({ result }) => plain(result) },
      { title: "key", of: ({ keyId }) => keyId },
    ],
    actions,
  );
}
