// @azure/msal-browser, and Microsoft Entra, which goes on taking a refresh token that was used.

import { AWAY, HOUR, LEFT } from "../times.mjs";
import { versionOf } from "../version.mjs";
import { AUTHORITY, CLIENT, SCOPE, TENANT } from "./msal-names.mjs";
import { jwt } from "./server.mjs";

export function msalBrowser() {
  return {
    name: versionOf("@azure/msal-browser"),
    page: "msal-browser.mjs",
    loads: {
      name: versionOf("@azure/msal-browser"),
      code: 'export { InteractionRequiredAuthError, PublicClientApplication } from "@azure/msal-browser"',
    },
    endpoint: new RegExp(`^/${TENANT}/oauth2/v2\\.0/token$`),
    seed: (now) => stored(answer(now, now + AWAY + LEFT), now),
    throttled: () => ({ error: "temporarily_unavailable", error_description: "AADSTS90055: too many requests" }),
    well: (_request, now) => answer(now, now + HOUR),
    remark:
      "keeps to Retry-After, or for a minute to a 429 or 5xx without one, if the body is JSON: an HTML page it can't parse, and it asks each time that its app needs a token, here once a minute and as its user comes back",
  };
}

const SCOPES = `${SCOPE} openid profile offline_access`;
const USER = "00000000-0000-4000-8000-000000000003";
const HOME = `${USER}.${TENANT}`;
const EMAIL = "somebody@example.com";

function answer(now, until) {
  const claims = {
    iss: `${AUTHORITY}/v2.0`,
    aud: CLIENT,
    tid: TENANT,
    oid: USER,
    sub: "1",
    preferred_username: EMAIL,
    name: "Somebody",
    ver: "2.0",
    // The user chose to stay signed in: then the library keeps tokens as they are.
    signin_state: ["kmsi"],
  };
  const life = Math.floor((until - now) / 1000);
  return {
    token_type: "Bearer",
    scope: SCOPES,
    expires_in: life,
    ext_expires_in: life,
    access_token: jwt({ ...claims, aud: "api://app" }, now, until),
    id_token: jwt(claims, now, until),
    refresh_token: "refresh",
    refresh_token_expires_in: 24 * 3600,
    client_info: Buffer.from(JSON.stringify({ uid: USER, utid: TENANT })).toString("base64url"),
  };
}

/** As the library keeps it, in the layout of its version 5. */
function stored(tokens, now) {
  const keys = {
    account: ["msal.3", HOME, "app.example", TENANT].join("|"),
    idToken: keyOf("idtoken", TENANT, ""),
    accessToken: keyOf("accesstoken", TENANT, SCOPES),
    refreshToken: keyOf("refreshtoken", "", ""),
  };
  const second = Math.floor(now / 1000);
  const common = { homeAccountId: HOME, environment: "app.example", clientId: CLIENT, lastUpdatedAt: String(now) };
  const until = (seconds) => String(second + seconds);
  const items = {
    "msal.3.account.keys": [keys.account],
    [`msal.3.token.keys.${CLIENT}`]: {
      idToken: [keys.idToken],
      accessToken: [keys.accessToken],
      refreshToken: [keys.refreshToken],
    },
    [keys.account]: account(tokens, now),
    [keys.idToken]: { ...common, credentialType: "IdToken", realm: TENANT, secret: tokens.id_token },
    [keys.accessToken]: {
      ...common,
      credentialType: "AccessToken",
      realm: TENANT,
      secret: tokens.access_token,
      target: SCOPES,
      tokenType: "Bearer",
      cachedAt: until(0),
      expiresOn: until(tokens.expires_in),
      extendedExpiresOn: until(tokens.ext_expires_in),
    },
    [keys.refreshToken]: {
      ...common,
      credentialType: "RefreshToken",
      secret: tokens.refresh_token,
      expiresOn: until(tokens.refresh_token_expires_in),
    },
  };
  return Object.fromEntries(Object.entries(items).map(([key, value]) => [key, JSON.stringify(value)]));
}

const keyOf = (type, realm, scopes) => ["msal.3", HOME, "app.example", type, CLIENT, realm, scopes, ""].join("|");

function account({ client_info }, now) {
  const user = { localAccountId: USER, name: "Somebody", username: EMAIL };
  return {
    ...user,
    homeAccountId: HOME,
    environment: "app.example",
    realm: TENANT,
    authorityType: "MSSTS",
    clientInfo: client_info,
    tenantProfiles: [{ ...user, tenantId: TENANT, isHomeTenant: true }],
    lastUpdatedAt: String(now),
  };
}
