// @auth0/auth0-spa-js, and Auth0 with rotation of refresh tokens, whose overlap is none at first.

import { AWAY, HOUR, LEFT } from "../times.mjs";
import { versionOf } from "../version.mjs";
import { form, jwt, Rotation, refused } from "./server.mjs";

const SCOPE = "openid profile email offline_access";

export function auth0SpaJs() {
  const tokens = new Rotation("refresh");
  return {
    name: versionOf("@auth0/auth0-spa-js"),
    page: "auth0-spa-js.mjs",
    loads: {
      name: versionOf("@auth0/auth0-spa-js"),
      code: 'export { createAuth0Client } from "@auth0/auth0-spa-js"',
    },
    endpoint: /^\/oauth\/token$/,
    seed: (now) => stored(answer(now, now + AWAY + LEFT, tokens.first), now + AWAY + LEFT),
    cookies: () => [{ name: "auth0.app.is.authenticated", value: "true" }],
    throttled: () => ({ error: "too_many_requests", error_description: "Global limit has been reached" }),
    well: (request, now) => {
      const next = tokens.take(form(request).refresh_token, now);
      if (next) return answer(now, now + HOUR, next);
      return refused(403, { error: "invalid_grant", error_description: "Unknown or invalid refresh token." });
    },
    remark:
      "renews when its app asks for a token, here once a minute and as its user comes back, and has no backoff; an answer that isn't JSON it takes for a network failure and asks three times at once; tabs share a lock and localStorage",
  };
}

function answer(now, until, refreshToken) {
  const claims = { iss: "https://app.example/", aud: "app", sub: "auth0|1", email: "somebody@example.com" };
  return {
    access_token: jwt({ ...claims, aud: "https://api.example" }, now, until),
    id_token: jwt(claims, now, until),
    refresh_token: refreshToken,
    token_type: "Bearer",
    scope: SCOPE,
    expires_in: Math.floor((until - now) / 1000),
  };
}

/** As the library keeps it: the token of the user apart from the others. */
function stored({ id_token, ...tokens }, until) {
  const [header, payload, signature] = id_token.split(".");
  const [head, claims] = [header, payload].map((part) => JSON.parse(Buffer.from(part, "base64url")));
  const user = { sub: claims.sub, email: claims.email };
  const decodedToken = {
    encoded: { header, payload, signature },
    header: head,
    claims: { __raw: id_token, ...claims },
    user,
  };
  const body = { ...tokens, audience: "default", oauthTokenScope: SCOPE, client_id: "app" };
  return {
    "@@auth0spajs@@::app::@@user@@": JSON.stringify({ id_token, decodedToken }),
    [`@@auth0spajs@@::app::default::${SCOPE}`]: JSON.stringify({ body, expiresAt: Math.floor(until / 1000) }),
  };
}
