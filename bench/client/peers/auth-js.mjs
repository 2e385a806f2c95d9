// @supabase/auth-js, and Supabase Auth. Shown twice: much hangs on whether its access token is still valid when the
// trouble begins.

import { AWAY, HOUR, LEFT_OF_AUTH_JS, MINUTE, SECOND } from "../times.mjs";
import { versionOf } from "../version.mjs";
import { form, Rotation, refused } from "./server.mjs";

/** As Supabase is set up at first: a refresh token that was used is taken once more for as long. */
const REUSE = 10 * SECOND;

export const authJsAboutToExpire = () => authJs("token about to expire", AWAY + LEFT_OF_AUTH_JS);
export const authJsExpired = () => authJs("token expired", AWAY - 5 * MINUTE);

function authJs(which, life) {
  const tokens = new Rotation("refresh", REUSE);
  return {
    name: `${versionOf("@supabase/auth-js")}, ${which}`,
    page: "auth-js.mjs",
    loads: { name: versionOf("@supabase/auth-js"), code: 'export { GoTrueClient } from "@supabase/auth-js"' },
    endpoint: /^\/auth\/v1\/token$/,
    seed: (now) => ({ "sb-app-auth-token": JSON.stringify(session(now + life, now, tokens.first)) }),
    throttled: () => ({ code: "over_request_rate_limit", message: "Request rate limit reached" }),
    well: (request, now) => {
      const next = tokens.take(form(request).refresh_token, now);
      if (!next)
        return refused(400, { code: "refresh_token_already_used", message: "Invalid Refresh Token: Already Used" });
      return session(now + HOUR, now, next);
    },
    remark:
      "a 429 ends the session where its access token has expired already, else it is kept; a 5xx it retries for half a minute with growing pauses, then rests for a minute",
  };
}

function session(until, now, refreshToken) {
  return {
    access_token: `header.payload.${refreshToken}`,
    refresh_token: refreshToken,
    token_type: "bearer",
    expires_in: Math.floor((until - now) / 1000),
    expires_at: Math.floor(until / 1000),
    user: { id: "1", aud: "authenticated", role: "authenticated", email: "somebody@example.com" },
  };
}
