// @clerk/clerk-js, and Clerk's Frontend API: the client is a cookie, a session's token lives for a minute.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { HOUR, MINUTE } from "../times.mjs";
import { versionOf } from "../version.mjs";
import { jwt, refused } from "./server.mjs";

const DAY = 24 * HOUR;
const SIGNED_UP = Date.UTC(2026, 0, 1);

const DIST = path.join(import.meta.dirname, "..", "..", "node_modules", "@clerk", "clerk-js", "dist");
/** Of the script's parts those that every page loads. */
const AT_ONCE = ["clerk.browser.js"];

const isForBrowsers = (name) => name === "clerk.browser.js" || /(?<!legacy)_clerk\.browser_.*\.js$/.test(name);
const asFile = (name) => [
  `/clerk/${name}`,
  { contentType: "text/javascript", body: readFileSync(path.join(DIST, name)) },
];

export function clerkJs() {
  return {
    name: versionOf("@clerk/clerk-js"),
    page: "clerk-js.mjs",
    loads: {
      name: `${versionOf("@clerk/clerk-js")}, clerk.browser.js`,
      files: AT_ONCE.map((name) => path.join(DIST, name)),
    },
    files: Object.fromEntries(readdirSync(DIST).filter(isForBrowsers).map(asFile)),
    endpoint: /^\/v1\/client(\/sessions\/sess_1\/(tokens|touch))?$/,
    serves: /^\/v1\/environment$/,
    cookies: (now) => [{ name: "__client_uat", value: String(Math.floor(now / 1000)) }],
    throttled: () => ({ errors: [{ code: "too_many_requests", message: "Too many requests" }] }),
    well: (request, now) => {
      const { pathname } = new URL(request.url());
      if (pathname === "/v1/environment") return environment();
      if (pathname.endsWith("/tokens")) return token(now);
      if (pathname.endsWith("/touch")) return { response: session(now), client: client(now) };
      return pathname === "/v1/client" ? { response: client(now), client: null } : refused(404, { errors: [] });
    },
    remark:
      "a token lives for a minute, so a poll every 5 s renews it; a failed one is tried three times more, 429 too, whatever Retry-After says, and each return of its user is a touch of the session; tabs share tokens by a BroadcastChannel",
  };
}

const token = (now) => ({
  object: "token",
  jwt: jwt(
    { iss: "https://app.example", azp: "https://app.example", sub: "user_1", sid: "sess_1", v: 2 },
    now,
    now + MINUTE,
  ),
});

const client = (now) => ({
  object: "client",
  id: "client_1",
  sessions: [session(now)],
  sign_in: null,
  sign_up: null,
  last_active_session_id: "sess_1",
  cookie_expires_at: now + 365 * DAY,
  captcha_bypass: false,
  created_at: SIGNED_UP,
  updated_at: now,
});

const session = (now) => ({
  object: "session",
  id: "sess_1",
  status: "active",
  expire_at: now + 7 * DAY,
  abandon_at: now + 30 * DAY,
  last_active_at: now,
  last_active_organization_id: null,
  last_active_token: token(now),
  actor: null,
  tasks: null,
  factor_verification_age: [0, -1],
  user: USER,
  public_user_data: {
    first_name: null,
    last_name: null,
    image_url: "",
    has_image: false,
    identifier: EMAIL,
    user_id: "user_1",
  },
  created_at: SIGNED_UP,
  updated_at: now,
});

const EMAIL = "somebody@example.com";
const USER = {
  object: "user",
  id: "user_1",
  primary_email_address_id: "idn_1",
  email_addresses: [
    {
      object: "email_address",
      id: "idn_1",
      email_address: EMAIL,
      verification: { status: "verified", strategy: "email_code" },
      linked_to: [],
    },
  ],
  phone_numbers: [],
  web3_wallets: [],
  external_accounts: [],
  passkeys: [],
  enterprise_accounts: [],
  organization_memberships: [],
  public_metadata: {},
  unsafe_metadata: {},
  created_at: SIGNED_UP,
  updated_at: SIGNED_UP,
};

const environment = () => ({
  object: "environment",
  id: "env_1",
  auth_config: { object: "auth_config", id: "aconf_1", single_session_mode: true },
  display_config: {
    object: "display_config",
    id: "display_1",
    instance_environment_type: "production",
    application_name: "app",
    home_url: "https://app.example",
    sign_in_url: "https://app.example/sign-in",
  },
  user_settings: {
    attributes: {},
    social: {},
    enterprise_sso: { enabled: false },
    sign_in: {},
    sign_up: {},
    actions: {},
    password_settings: {},
  },
  organization_settings: { enabled: false },
  commerce_settings: { billing: { organization: { enabled: false }, user: { enabled: false } } },
  api_keys_settings: {},
  protect_config: {},
  maintenance_mode: false,
});
