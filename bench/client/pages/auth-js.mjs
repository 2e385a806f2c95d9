// The page of an app that uses Supabase Auth, as its quick starts for browsers write it: ask for the session once, then
// follow the changes.

import { GoTrueClient } from "@supabase/auth-js";

const auth = new GoTrueClient({
  url: `${location.origin}/auth/v1`,
  headers: { apikey: "sb_publishable_key" },
  storageKey: "sb-app-auth-token",
  autoRefreshToken: true,
  persistSession: true,
});

function show(session, error) {
  window.bench.tell({
    signedIn: session !== null,
    fresh: session !== null && session.expires_at * 1000 > Date.now(),
    words: session ? "a session" : `session null${error ? ` (${error.name})` : ""}`,
  });
}

auth.getSession().then(({ data, error }) => show(data.session, error));
auth.onAuthStateChange((_event, session) => show(session));
