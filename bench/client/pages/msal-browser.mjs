// The page of an app that uses Microsoft's identity platform, as its documentation has it: acquireTokenSilent whenever a
// token is needed. This app needs one when its user comes back, and once a minute.

import { InteractionRequiredAuthError, PublicClientApplication } from "@azure/msal-browser";
import { AUTHORITY, CLIENT, METADATA, SCOPE } from "../peers/msal-names.mjs";

const app = new PublicClientApplication({
  auth: {
    clientId: CLIENT,
    authority: AUTHORITY,
    knownAuthorities: [location.host],
    // As the library has it built in for Microsoft's own hosts.
    authorityMetadata: JSON.stringify(METADATA),
    redirectUri: location.origin,
  },
  cache: { cacheLocation: "localStorage" },
});
await app.initialize();
await app.handleRedirectPromise();

async function takeToken() {
  const [account] = app.getAllAccounts();
  if (!account) return window.bench.tell({ signedIn: false, fresh: false, words: "no account" });
  try {
    await app.acquireTokenSilent({ scopes: [SCOPE], account });
    window.bench.tell({ signedIn: true, fresh: true, words: "a token" });
  } catch (error) {
    const signedIn = !(error instanceof InteractionRequiredAuthError);
    window.bench.tell({ signedIn, fresh: false, words: `${error.name} ${error.errorCode}`.trim() });
  }
}

takeToken();
setInterval(takeToken, 60_000);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && takeToken());
