// This app's own sign-in: a signed cookie that scripts can't read.

import { jwtVerify, SignJWT } from "jose";
import { cookies } from "next/headers";
import { cache } from "react";
import { appSecret, isDemo } from "./settings";
import { type User, userById } from "./users";

const COOKIE = "session";
const AUDIENCE = "keepalive-example";
const DAYS = 7;

/** Who is signed in, if anybody. */
export const signedInUser = cache(async (): Promise<User | null> => {
  const token = (await cookies()).get(COOKIE)?.value;
  if (!token) return null;
  const secret = appSecret();
  try {
    const { payload } = await jwtVerify(token, secret, { audience: AUDIENCE, algorithms: ["HS256"] });
    return userById(payload.sub);
  } catch {
    return null;
  }
});

export async function startSession(user: User): Promise<void> {
  const token = await new SignJWT()
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user.id)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(`${DAYS}d`)
    .sign(appSecret());
  (await cookies()).set(COOKIE, token, {
    httpOnly: true,
    sameSite: "lax",
    secure: !isDemo(),
    maxAge: DAYS * 24 * 60 * 60,
  });
}

export async function endSession(): Promise<void> {
  (await cookies()).delete(COOKIE);
}
