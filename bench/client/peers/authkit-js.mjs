// @workos-inc/authkit-js, and WorkOS: the refresh token is a cookie that no script sees, and that its tabs share.

import { versionOf } from "../version.mjs";
import { firstLife, jwt } from "./server.mjs";

export function authkitJs() {
  const until = firstLife();
  return {
    name: versionOf("@workos-inc/authkit-js"),
    page: "authkit-js.mjs",
    loads: {
      name: versionOf("@workos-inc/authkit-js"),
      code: 'export { createClient } from "@workos-inc/authkit-js"',
    },
    endpoint: /^\/user_management\/authenticate$/,
    cookies: () => [{ name: "workos-has-session", value: "app" }],
    throttled: () => ({ error: "rate_limit_exceeded", error_description: "Rate limit exceeded" }),
    well: (_request, now) => answer(now, until(now)),
    remark:
      "asks once a second for as long as its token is due and its page is seen, and tells its app nothing of it; after a reload without an answer it has no user",
  };
}

const SIGNED_UP = "2026-01-01T00:00:00.000Z";

function answer(now, until) {
  return {
    user: {
      object: "user",
      id: "user_1",
      email: "somebody@example.com",
      email_verified: true,
      profile_picture_url: null,
      first_name: null,
      last_name: null,
      last_sign_in_at: null,
      external_id: null,
      created_at: SIGNED_UP,
      updated_at: SIGNED_UP,
    },
    access_token: jwt({ iss: "https://app.example/user_management/app", sub: "user_1", sid: "session_1" }, now, until),
    refresh_token: "refresh",
    authentication_method: "Password",
  };
}
