import type { Session } from "./aimharder.ts";
import { supabase } from "./supabase.ts";

const COLUMNS = "id, aimharder_token, aimharder_cookies, fingerprint, refresh_count";
const REFRESH_AFTER_MINUTES = 20;

/** Supabase answers no more rows than this at once. */
const PAGE = 1000;

/** All sessions that are due. */
export async function dueSessions(): Promise<Session[]> {
  const before = new Date(Date.now() - REFRESH_AFTER_MINUTES * 60_000).toISOString();
  const sessions: Session[] = [];
  for (;;) {
    const { data, error } = await supabase
      .from("auth_sessions")
      .select(COLUMNS)
      .eq("auto_refresh_enabled", true)
      .or(`last_refresh_date.is.null,last_refresh_date.lt.${before}`)
      .order("id")
      .range(sessions.length, sessions.length + PAGE - 1)
      .overrideTypes<Session[], { merge: false }>();
    if (error) throw error;
    sessions.push(...data);
    if (data.length < PAGE) return sessions;
  }
}

export async function saveTokens(id: string, tokens: Partial<Session>) {
  await update(id, { ...tokens, updated_at: new Date().toISOString() });
}

export async function markRefreshed({ id, refresh_count }: Session) {
  const last_refresh_date = new Date().toISOString();
  await update(id, { last_refresh_date, refresh_count: refresh_count + 1, last_refresh_error: null });
}

export async function markFailed({ id }: Session, error: unknown) {
  await update(id, { last_refresh_error: String(error) });
}

async function update(id: string, columns: Record<string, unknown>) {
  const { error } = await supabase.from("auth_sessions").update(columns).eq("id", id);
  if (error) throw error;
}
