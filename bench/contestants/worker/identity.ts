// Who is asking: a user by a signed token, an operator or a job by a key.

import { jwtVerify } from "jose";
import type { Settings } from "./settings";

/** The e-mail address of whoever signed in with this header; `undefined` where nobody did. */
export async function signedIn(authorization: string | null, settings: Settings): Promise<string | undefined> {
  const token = authorization?.match(/^Bearer +(\S+)$/i)?.[1];
  if (!token) return undefined;
  try {
    const { payload } = await jwtVerify<{ email?: unknown }>(token, settings.jwtSecret, {
      algorithms: ["HS256"],
      issuer: settings.jwtIssuer,
      audience: "authenticated",
      requiredClaims: ["exp"],
    });
    return typeof payload.email === "string" && payload.email ? payload.email : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the same time whichever character differs. */
export async function isInternalKey(given: string | null, key: string): Promise<boolean> {
  const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const [ours, theirs] = await Promise.all([digest(key), digest(given ?? "")]);
  return crypto.subtle.timingSafeEqual(ours, theirs);
}
