// next-auth, and its route in a Next.js app: the session is a cookie that the route renews with each answer.

import { HOUR } from "../times.mjs";
import { versionOf } from "../version.mjs";

export function nextAuth() {
  return {
    name: versionOf("next-auth"),
    page: "next-auth.mjs",
    loads: {
      name: `${versionOf("next-auth")}, provider and hook`,
      code: 'export { SessionProvider, useSession } from "next-auth/react"',
      react: true,
    },
    endpoint: /^\/api\/auth\/session$/,
    log: /^\/api\/auth\/_log$/,
    throttled: () => ({ message: "Too many requests" }),
    well: (_request, now) => ({
      user: { email: "somebody@example.com" },
      expires: new Date(now + 30 * 24 * HOUR).toISOString(),
    }),
    remark: "takes any failed answer for the end of the session, and asks nothing more until a reload",
  };
}
