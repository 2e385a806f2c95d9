// The ways in which aimharder can answer, good and bad. Each takes an exchange and ends its response. What a refreshed
// session is told has the exchange's form: a page, or tokenUpdate's JSON.

import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { faultPage, firewallPage, JSON_TEXT, loginPage, shortPage, timetable } from "./pages.mjs";

const redirect = (exchange, location) => exchange.send(302, "", { Location: location });
const status = (code) => (exchange) => exchange.send(code, faultPage(code));
let bomb;

/** What a session that died is answered: which of these it is, nobody has captured. */
export const EXPIRED = {
  expired_login_redirect: (exchange) => redirect(exchange, "/login"),
  expired_logout_redirect: (exchange) => redirect(exchange, "/logout?reason=session"),
  expired_login_form: (exchange) => exchange.send(200, loginPage),
  expired_short_page: (exchange) => exchange.send(200, shortPage),
  expired_401: (exchange) => exchange.send(401, faultPage(401)),
  expired_403: (exchange) => exchange.send(403, loginPage),
};

/** Faults that leave a session as it was, by name. */
const UNTOUCHED = {
  throttled: status(429),
  throttled_seconds: (exchange, { seconds = 120 }) =>
    exchange.send(429, faultPage(429), { "Retry-After": String(seconds) }),
  throttled_date: (exchange, { seconds = 120 }) =>
    exchange.send(429, faultPage(429), { "Retry-After": new Date(exchange.site.now() + seconds * 1000).toUTCString() }),
  forbidden: (exchange) => exchange.send(403, firewallPage),
  server_error: status(500),
  bad_gateway: status(502),
  unavailable: (exchange, { retryAfter }) =>
    exchange.send(503, faultPage(503), retryAfter ? { "Retry-After": String(retryAfter) } : {}),
  gateway_timeout: status(504),
  logged_out_cookies: (exchange) =>
    exchange.send(500, faultPage(500), {
      "Set-Cookie": [
        "PHPSESSID=anonymous0000000000000000; path=/",
        "amhrdrauth=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/",
      ],
    }),
  reset_before_headers: (exchange) => exchange.reset(),
  hang: () => new Promise(() => {}),
  gzip_bomb: (exchange) => {
    bomb ??= gzipSync(Buffer.alloc(100 * 1024 * 1024, " "));
    exchange.send(200, bomb, { "Content-Encoding": "gzip" });
  },
  redirect_other_host: (exchange, { to = "http://elsewhere.invalid/" }) => redirect(exchange, to),
  redirect_loop: (exchange) => redirect(exchange, exchange.request.url),
};

/** Sends what a refreshed session is told. */
const tell = (exchange, renewed, headers) => exchange.send(200, exchange.form.refreshed(renewed), headers);

/** Answers of a session that was refreshed: what reaches the caller is another matter. */
const REFRESHED = {
  refreshed: (exchange, renewed) => tell(exchange, renewed),
  no_fingerprint: (exchange, { token }) => tell(exchange, { token }),
  large: (exchange, renewed, { at = "end" }) =>
    tell(exchange, { ...renewed, filler: timetable(), fillerFirst: at === "end" }),
  gzip: (exchange, renewed) =>
    exchange.send(200, gzipSync(exchange.form.refreshed(renewed)), { "Content-Encoding": "gzip" }),
  wrong_charset: (exchange, renewed, { charset = "utf-16" }) =>
    tell(exchange, renewed, { "Content-Type": `text/html; charset=${charset}` }),
  markup_changed: (exchange, renewed) => exchange.send(200, exchange.form.redesigned(renewed)),
  malformed_token: (exchange, renewed) => tell(exchange, { ...renewed, token: renewed.token.slice(0, -3) }),
  other_user: (exchange, renewed) => tell(exchange, { ...renewed, token: strangers(renewed.token) }),
  set_cookie_delete: (exchange, renewed) =>
    tell(exchange, renewed, {
      "Set-Cookie": [
        "AWSALBCORS=; Max-Age=0; path=/",
        "_ga=GA1.2.3; path=/",
        "AWSALB=; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/",
      ],
    }),
  /** The token is rotated, and the answer lost: what a caller fears most. */
  commit_then_reset: (exchange) => exchange.reset(),
  reset_mid_body: async (exchange, renewed) => {
    exchange.begin({});
    const text = exchange.form.refreshed(renewed);
    exchange.response.write(text.slice(0, exchange.form.early(text)));
    await sleep(20);
    exchange.reset();
  },
  truncated: (exchange, renewed) => truncate(exchange, exchange.form.refreshed(renewed), exchange.form.beforeToken),
  truncated_after_token: (exchange, renewed) =>
    truncate(exchange, exchange.form.refreshed(renewed), exchange.form.afterToken),
  drip: async (exchange, renewed, { pieceBytes = 64, pauseMs = 10 }) => {
    exchange.begin({});
    const text = exchange.form.refreshed(renewed);
    for (let at = 0; at < text.length && !exchange.response.destroyed; at += pieceBytes) {
      exchange.response.write(text.slice(at, at + pieceBytes));
      await sleep(pauseMs);
    }
    exchange.response.end();
  },
};

/** What only tokenUpdate says of a session that died. */
export const LOGGED_OUT = {
  logout_number: (exchange) => exchange.send(200, '{"logout":1}'),
  logout_true: (exchange) => exchange.send(200, '{"logout":true}'),
  logout_text: (exchange) => exchange.send(200, '{"logout":"1"}'),
  logout_fraction: (exchange) => exchange.send(200, '\ufeff{"logout": 1.0}\n'),
};

/** What only tokenUpdate says, and leaves a session as it was. */
const UPDATE_UNTOUCHED = {
  ...LOGGED_OUT,
  logout_no: (exchange) => exchange.send(200, '{"logout":0}'),
  empty_object: (exchange) => exchange.send(200, "{}"),
  empty_array: (exchange) => exchange.send(200, "[]"),
  empty_body: (exchange) => exchange.send(200, ""),
};

/** What only tokenUpdate says of a session that was refreshed. */
const UPDATE_REFRESHED = {
  both_fields: (exchange, { token }) => exchange.send(200, JSON.stringify({ newToken: token, logout: 1 })),
  duplicate_keys: (exchange, { token }) =>
    exchange.send(200, `{"newToken":"${strangers(token)}","newToken":"${token}"}`),
  blanks_around: (exchange, renewed) => exchange.send(200, `\ufeff \r\n${exchange.form.refreshed(renewed)}\n\n`),
  content_type: (exchange, renewed, { type }) => tell(exchange, renewed, { "Content-Type": type }),
};

/** Another user's token. */
const strangers = (token) => token.replace(/^\d+/, (user) => String(Number(user) + 1));

async function truncate(exchange, text, cut) {
  exchange.begin({ "Content-Length": String(Buffer.byteLength(text)) });
  exchange.response.write(text.slice(0, cut(text)));
  await sleep(20);
  exchange.response.destroy();
}

/** Answers an exchange in the named way. Only the ways of a refreshed session renew it. */
export async function answer(exchange, name, options = {}) {
  const isUpdate = exchange.form === JSON_TEXT;
  if (!isUpdate && UPDATE_ANSWERS.includes(name)) throw new Error(`only tokenUpdate answers ${name}`);
  const untouched = EXPIRED[name] ?? UNTOUCHED[name] ?? UPDATE_UNTOUCHED[name];
  if (untouched) return untouched(exchange, options);
  const refreshed = REFRESHED[name] ?? UPDATE_REFRESHED[name];
  await refreshed(exchange, exchange.session.renew(), options);
}

/** Names of the answers to either way of refreshing. */
export const ANSWERS = [...Object.keys(EXPIRED), ...Object.keys(UNTOUCHED), ...Object.keys(REFRESHED)];

/** Names of the answers to tokenUpdate alone. */
export const UPDATE_ANSWERS = [...Object.keys(UPDATE_UNTOUCHED), ...Object.keys(UPDATE_REFRESHED)];
