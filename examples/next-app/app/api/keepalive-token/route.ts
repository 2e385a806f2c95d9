// The token for the Worker, made from this app's own sign-in: whoever is signed in here gets one for themselves.

import { SignJWT } from "jose";
import { signedInUser } from "@/lib/session";
import { workerIssuer, workerSecret } from "@/lib/settings";

const MINUTES = 10;

export async function GET() {
  const user = await signedInUser();
  if (!user) return answer({ code: "unauthorized", error: "Nobody is signed in." }, 401);
  const token = await new SignJWT({ email: user.email, role: "authenticated" })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(user.id)
    .setIssuer(workerIssuer())
    .setAudience("authenticated")
    .setIssuedAt()
    .setExpirationTime(`${MINUTES}m`)
    .sign(workerSecret());
  return answer({ token, user: user.id, expiresIn: MINUTES * 60 });
}

const answer = (body: object, status = 200) =>
  Response.json(body, { status, headers: { "Cache-Control": "no-store" } });
