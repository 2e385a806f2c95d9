// keycloak-js, and Keycloak as it is set up at first: a refresh token may be used again, the single sign-on's cookie lets
// a page in without a question.

import { HOUR } from "../times.mjs";
import { versionOf } from "../version.mjs";
import { firstLife, form, html, jwt, refused } from "./server.mjs";

const PATHS = "/realms/app/protocol/openid-connect";
/** As Keycloak's page of this name: whether the session that the app knows is the one of the cookie. */
const STATUS = `<script>
  onmessage = ({ data, source, origin }) => source.postMessage(data === "app session" ? "unchanged" : "changed", origin);
</script>`;
const SILENT = "<script>parent.postMessage(location.href, location.origin)</script>";

export function keycloakJs() {
  const server = { codes: new Map(), until: firstLife() };
  return {
    name: versionOf("keycloak-js"),
    page: "keycloak-js.mjs",
    loads: { name: versionOf("keycloak-js"), code: 'export { default } from "keycloak-js"' },
    endpoint: new RegExp(`^${PATHS}/token$`),
    serves: new RegExp(`^${PATHS}/(auth|login-status-iframe\\.html|3p-cookies/step1\\.html)$`),
    files: { "/silent-check-sso.html": { contentType: "text/html", body: `<!doctype html>${SILENT}` } },
    throttled: () => ({ error: "temporarily_unavailable", error_description: "Too many requests" }),
    well: (request, now) => {
      const url = new URL(request.url());
      if (url.pathname.endsWith("/token")) return renew(server, form(request), now);
      if (url.pathname.endsWith("/auth")) return letIn(server, url.searchParams);
      if (url.pathname.endsWith("/step1.html")) return html('<script>parent.postMessage("supported", "*")</script>');
      return html(STATUS);
    },
    remark:
      "calls onTokenExpired once: where updateToken fails nothing tries again; tokens are in memory alone, so each tab renews its own, and a page that is reloaded while Keycloak is down has none (init waits ten seconds for its iframe, then fails)",
  };
}

function letIn({ codes }, query) {
  const code = `code${codes.size}`;
  codes.set(code, query.get("nonce"));
  const target = `${query.get("redirect_uri")}#state=${query.get("state")}&session_state=session&code=${code}`;
  return html(`<script>location.replace(${JSON.stringify(target)})</script>`);
}

function renew(server, { grant_type, code, refresh_token }, now) {
  if (grant_type === "refresh_token") {
    return refresh_token ? answer(now, now + HOUR) : refused(400, { error: "invalid_grant" });
  }
  const nonce = server.codes.get(code);
  return nonce ? answer(now, server.until(now), nonce) : refused(400, { error: "invalid_grant" });
}

function answer(now, until, nonce) {
  const claims = { iss: "https://app.example/realms/app", azp: "app", sub: "1", sid: "session" };
  return {
    access_token: jwt({ ...claims, aud: "account", typ: "Bearer" }, now, until),
    refresh_token: jwt({ ...claims, typ: "Refresh" }, now, now + 24 * HOUR),
    id_token: jwt({ ...claims, aud: "app", typ: "ID", nonce }, now, until),
    token_type: "Bearer",
    session_state: "session",
    scope: "openid profile",
    expires_in: Math.floor((until - now) / 1000),
  };
}
