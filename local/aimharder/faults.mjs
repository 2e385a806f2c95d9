// The ways in which aimharder can answer, good and bad. Each takes an exchange and ends its response.

import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { faultPage, firewallPage, loginPage, redesignedPage, refreshedPage, shortPage, timetable } from "./pages.mjs";

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

/** Answers of a session that was refreshed: what reaches the caller is another matter. */
const REFRESHED = {
  refreshed: (exchange, renewed) => exchange.send(200, refreshedPage(renewed)),
  no_fingerprint: (exchange, { token }) => exchange.send(200, refreshedPage({ token })),
  large: (exchange, renewed, { at = "end" }) =>
    exchange.send(200, refreshedPage({ ...renewed, filler: timetable(), fillerFirst: at === "end" })),
  gzip: (exchange, renewed) => exchange.send(200, gzipSync(refreshedPage(renewed)), { "Content-Encoding": "gzip" }),
  wrong_charset: (exchange, renewed, { charset = "utf-16" }) =>
    exchange.send(200, refreshedPage(renewed), { "Content-Type": `text/html; charset=${charset}` }),
  markup_changed: (exchange, renewed) => exchange.send(200, redesignedPage(renewed)),
  malformed_token: (exchange, renewed) =>
    exchange.send(200, refreshedPage({ ...renewed, token: renewed.token.slice(0, -3) })),
  other_user: (exchange, renewed) =>
    exchange.send(
      200,
      refreshedPage({ ...renewed, token: renewed.token.replace(/^\d+/, (user) => String(Number(user) + 1)) }),
    ),
  set_cookie_delete: (exchange, renewed) =>
    exchange.send(200, refreshedPage(renewed), {
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
    exchange.response.write(refreshedPage(renewed).slice(0, 600));
    await sleep(20);
    exchange.reset();
  },
  truncated: (exchange, renewed) =>
    truncate(exchange, refreshedPage(renewed), (page) => page.indexOf('    localStorage.setItem("refreshToken"')),
  truncated_after_token: (exchange, renewed) =>
    truncate(exchange, refreshedPage(renewed), (page) => page.indexOf("window.location.replace")),
  drip: async (exchange, renewed, { pieceBytes = 64, pauseMs = 10 }) => {
    exchange.begin({});
    const page = refreshedPage(renewed);
    for (let at = 0; at < page.length && !exchange.response.destroyed; at += pieceBytes) {
      exchange.response.write(page.slice(at, at + pieceBytes));
      await sleep(pauseMs);
    }
    exchange.response.end();
  },
};

async function truncate(exchange, page, cut) {
  exchange.begin({ "Content-Length": String(Buffer.byteLength(page)) });
  exchange.response.write(page.slice(0, cut(page)));
  await sleep(20);
  exchange.response.destroy();
}

/** Answers an exchange in the named way. Only the ways of a refreshed session renew it. */
export async function answer(exchange, name, options = {}) {
  const untouched = EXPIRED[name] ?? UNTOUCHED[name];
  if (untouched) return untouched(exchange, options);
  await REFRESHED[name](exchange, exchange.session.renew(), options);
}

export const ANSWERS = [...Object.keys(EXPIRED), ...Object.keys(UNTOUCHED), ...Object.keys(REFRESHED)];
