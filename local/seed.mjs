// Sessions for the demo, as the app would have stored them at sign-in, each with a fate of its own.

const SESSIONS = [
  { email: "ana@example.com" },
  { email: "bruno@example.com", fault: "large" },
  { email: "carla@example.com", fault: "server_error", times: 1 },
  { email: "diego@example.com", fault: "throttled_seconds", times: 1, seconds: 90 },
  { email: "elena@example.com", fault: "unavailable", times: 4 },
  { email: "fermin@example.com", dead: true },
  // Left out by the cron: her browser refreshes this one, when it finds it due.
  { email: "gala@example.com", byBrowser: true },
];

/** Signs everybody in at the stand-in, stores it, and makes it due. */
export async function seed(sql, site) {
  for (const { email, fault, dead, byBrowser = false, ...options } of SESSIONS) {
    const session = site.createSession();
    if (fault) session.fail(fault, options);
    session.killed = Boolean(dead);
    await sql.query(
      `insert into auth_sessions as stored (user_email, aimharder_token, aimharder_cookies, fingerprint)
       values ($1, $2, $3, $4)
       on conflict (user_email, fingerprint) do update
       set aimharder_token = excluded.aimharder_token, aimharder_cookies = excluded.aimharder_cookies`,
      [email, session.token, JSON.stringify(session.cookies), session.fingerprint],
    );
    await sql.query(
      // As due as after a usual interval: how soon a failure is tried again depends on it.
      `update auth_sessions
       set next_refresh_at = now(), signed_in_at = now() - interval '17 minutes', auto_refresh_enabled = $2
       where user_email = $1`,
      [email, !byBrowser],
    );
  }
}
