// better-auth, and its routes: the session is a cookie that the server renews once a day.

import { HOUR } from "../times.mjs";
import { versionOf } from "../version.mjs";

export function betterAuth() {
  return {
    name: versionOf("better-auth"),
    page: "better-auth.mjs",
    loads: {
      name: `${versionOf("better-auth")}, with React's hook`,
      code: 'export { createAuthClient } from "better-auth/react"',
      react: true,
    },
    endpoint: /^\/api\/auth\/get-session$/,
    throttled: () => ({ message: "Too many requests. Please try again later." }),
    well: (_request, now) => ({ session: session(now), user: USER }),
    remark:
      "asks when its user comes back (at most every 5 s) and every five minutes, keeps what it knows beside the error; the session is a cookie that the server renews",
  };
}

const DAY = 24 * HOUR;
const SIGNED_UP = "2026-01-01T00:00:00.000Z";
const USER = {
  id: "1",
  name: "Somebody",
  email: "somebody@example.com",
  emailVerified: true,
  image: null,
  createdAt: SIGNED_UP,
  updatedAt: SIGNED_UP,
};

function session(now) {
  const today = Math.floor(now / DAY) * DAY;
  return {
    id: "1",
    userId: "1",
    token: "token",
    ipAddress: null,
    userAgent: null,
    createdAt: SIGNED_UP,
    updatedAt: new Date(today).toISOString(),
    expiresAt: new Date(today + 7 * DAY).toISOString(),
  };
}
