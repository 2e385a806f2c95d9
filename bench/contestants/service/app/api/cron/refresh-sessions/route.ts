import { callSetrefresh, type Session } from "../../../../lib/aimharder.ts";
import { dueSessions, markFailed, markRefreshed, saveTokens } from "../../../../lib/sessions.ts";

const PAUSE_MS = 1000;

/** The cron's job. `?chunk=6` refreshes so many at once; without it, one after the other with a pause. */
export async function GET(request: Request): Promise<Response> {
  if (request.headers.get("authorization") !== `Bearer ${process.env.CRON_SECRET}`) {
    return Response.json({ error: "unauthorized" }, { status: 401 });
  }
  const sessions = await dueSessions();
  const chunk = Number(new URL(request.url).searchParams.get("chunk"));
  const done = chunk > 0 ? await inChunks(sessions, chunk) : await oneByOne(sessions);
  const refreshed = done.filter(Boolean).length;
  return Response.json({ success: true, total: sessions.length, refreshed, failed: sessions.length - refreshed });
}

async function oneByOne(sessions: Session[]): Promise<boolean[]> {
  const done: boolean[] = [];
  for (const session of sessions) {
    if (done.length > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    done.push(await refresh(session));
  }
  return done;
}

async function inChunks(sessions: Session[], size: number): Promise<boolean[]> {
  const done: boolean[] = [];
  for (let at = 0; at < sessions.length; at += size) {
    done.push(...(await Promise.all(sessions.slice(at, at + size).map(refresh))));
  }
  return done;
}

async function refresh(session: Session): Promise<boolean> {
  try {
    await saveTokens(session.id, await callSetrefresh(session));
    await markRefreshed(session);
    return true;
  } catch (error) {
    console.error(`session ${session.id}:`, error);
    await markFailed(session, error).catch(() => {});
    return false;
  }
}
