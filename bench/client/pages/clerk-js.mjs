// The page of an app that uses Clerk: its script, which its SDK for React loads too, load() once, then what the listener
// is told. Once a minute the app needs a token: only by that a tab learns what another tab's renewal has sent it.

// Clerk's timers run in a worker, which a clock set by a test doesn't reach: there it falls back to the page's own.
if (!String(setTimeout).includes("[native code]")) window.Worker = undefined;

const script = document.createElement("script");
script.src = "/clerk/clerk.browser.js";
script.async = true;
script.dataset.clerkPublishableKey = `pk_live_${btoa(`${location.host}$`)}`;
await new Promise((resolve, reject) => {
  script.onload = resolve;
  script.onerror = () => reject(new Error("no script"));
  document.head.append(script);
});
const clerk = window.Clerk;

function show() {
  const { session, status } = clerk;
  tell(session, session?.lastActiveToken?.getRawString(), status);
}

async function takeToken() {
  const { session } = clerk;
  const token = await session?.getToken().catch(() => null);
  tell(session, token, clerk.status);
}

function tell(session, token, status) {
  const until = token ? JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).exp : 0;
  window.bench.tell({
    signedIn: Boolean(session),
    fresh: Boolean(session) && until * 1000 > Date.now(),
    words: `${session ? "a session" : "no session"}, status ${status}`,
  });
}

try {
  await clerk.load();
  clerk.addListener(show);
  clerk.on("status", show);
  setInterval(takeToken, 60_000);
  show();
} catch (error) {
  // Doesn't say that nobody is signed in.
  window.bench.tell({ signedIn: true, fresh: false, words: `load fails: ${error.message}` });
}
