// Times, numbers and codes in words.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time: `45 s`, `12 min`, `3 h 5 min`. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 2 * MINUTE) return `${whole} s`;
  if (whole < 2 * HOUR) return `${Math.floor(whole / MINUTE)} min`;
  const [big, unit, small, rest] = whole < 2 * DAY ? [HOUR, "h", MINUTE, "min"] : [DAY, "d", HOUR, "h"];
  const left = Math.floor((whole % big) / small);
  return `${Math.floor(whole / big)} ${unit}${left > 0 ? ` ${left} ${rest}` : ""}`;
}

/** Milliseconds: `850 ms`, `2.4 s`. */
export const took = (ms) => (ms < 1000 ? `${ms} ms` : ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : span(ms / 1000));

const two = (number) => String(number).padStart(2, "0");
const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

/** A moment on this machine's clock: the time, with the date unless it is that of `now`. */
export function clock(at, now) {
  const date = new Date(at);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return day(date) === day(new Date(now)) ? `${time}:${two(date.getSeconds())}` : `${day(date)} ${time}`;
}

/** How long ago, or ahead. `now` is the server's, lest a clock that is wrong here tell nonsense. */
export function relative(at, now) {
  const seconds = (new Date(now) - new Date(at)) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

/** Both: `14:03:07, 2 min ago`; `none` where there is no moment. */
export const moment = (at, now, none = "never") => (at ? `${clock(at, now)}, ${relative(at, now)}` : none);

/** The same for a table: a moment of another day is told by its date alone. */
export const brief = (at, now) => (day(new Date(at)) === day(new Date(now)) ? moment(at, now) : clock(at, now));

/** A number with its thousands apart. */
export const many = (number) => Number(number).toLocaleString("en-US");

/** Counted by the server up to 10,001: more than that is told as such. */
export const counted = (number, most = 10_000) => (number > most ? `more than ${many(most)}` : many(number));

/** A share: never rounded up to all. */
export function percent(part, all) {
  if (all === 0 || part === all) return "100 %";
  return `${(Math.floor((part / all) * 10_000) / 100).toFixed(2)} %`;
}

export const plural = (count, one, more = `${one}s`) => `${many(count)} ${count === 1 ? one : more}`;

/** A code as words: `half_open` is `half open`. */
export const plain = (code) => String(code).replaceAll("_", " ");

const HELD = {
  paused: "aimharder asked to be left alone",
  breaker: "the circuit breaker is open: aimharder has trouble",
  in_flight: "as many calls are under way as may be",
  rate: "as many calls a second are made as may be",
};

/** What holds calls back. */
export const holding = (held) => (held ? (HELD[held] ?? plain(held)) : "nothing");

const BREAKER = {
  closed: "breaker closed, calls go through",
  open: "breaker OPEN, nobody calls",
  half_open: "breaker half open, one call tries",
};

export const breaker = (state) => BREAKER[state] ?? plain(state);

/** How a session stands: `disabled` where the batch leaves a live one alone. */
export function standing({ state, enabled, lastError }) {
  if (state === "exhausted") return "given up";
  if (state !== "active") return plain(state);
  if (!enabled) return "disabled";
  return lastError ? "failing" : "active";
}
