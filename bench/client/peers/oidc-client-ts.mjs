// oidc-client-ts, and a provider of OpenID Connect that rotates refresh tokens strictly.

import { AWAY, HOUR, LEFT } from "../times.mjs";
import { versionOf } from "../version.mjs";
import { form, jwt, Rotation, refused } from "./server.mjs";

const ISSUER = "https://app.example/oidc";

export function oidcClientTs() {
  const tokens = new Rotation("refresh");
  return {
    name: versionOf("oidc-client-ts"),
    page: "oidc-client-ts.mjs",
    loads: {
      name: versionOf("oidc-client-ts"),
      code: 'export { UserManager, WebStorageStateStore } from "oidc-client-ts"',
    },
    // A page asks for the provider's metadata before it renews for the first time.
    endpoint: /^\/oidc\/(token|\.well-known\/openid-configuration)$/,
    seed: (now) => ({ [`oidc.user:${ISSUER}:app`]: JSON.stringify(storedUser(now, now + AWAY + LEFT, tokens.first)) }),
    throttled: () => ({ error: "temporarily_unavailable", error_description: "Too many requests" }),
    well: (request, now) => {
      if (request.method() === "GET") return metadata();
      const next = tokens.take(form(request).refresh_token, now);
      return next ? answer(now, now + HOUR, next) : refused(400, { error: "invalid_grant" });
    },
    remark:
      "tries once as the token is about to expire and, where that fails, not again until a reload: the app gets silentRenewError and has to see to it itself; each page first asks for the provider's metadata, which is counted; its tabs have no lock, so where two renew at once a strict provider ends the session",
  };
}

const CLAIMS = { iss: ISSUER, aud: "app", sub: "1" };

function answer(now, until, refreshToken) {
  return {
    access_token: jwt({ ...CLAIMS, scope: "openid profile offline_access" }, now, until),
    id_token: jwt(CLAIMS, now, until),
    refresh_token: refreshToken,
    token_type: "Bearer",
    scope: "openid profile offline_access",
    expires_in: Math.floor((until - now) / 1000),
  };
}

function storedUser(now, until, refreshToken) {
  const { expires_in: _, ...kept } = answer(now, until, refreshToken);
  return { ...kept, profile: { sub: "1" }, expires_at: Math.floor(until / 1000) };
}

const metadata = () => ({
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/authorize`,
  token_endpoint: `${ISSUER}/token`,
  jwks_uri: `${ISSUER}/jwks`,
});
