// The page of an app that uses Auth0, as its documentation has it for refresh tokens: getTokenSilently whenever a token
// is needed. This app needs one when its user comes back, and once a minute.

import { createAuth0Client } from "@auth0/auth0-spa-js";

const client = await createAuth0Client({
  domain: location.host,
  clientId: "app",
  authorizationParams: { redirect_uri: location.origin },
  useRefreshTokens: true,
  cacheLocation: "localstorage",
});

async function takeToken() {
  const error = await client.getTokenSilently().then(
    () => undefined,
    (failure) => failure,
  );
  const signedIn = (await client.isAuthenticated()) && error?.error !== "login_required";
  window.bench.tell({ signedIn, fresh: signedIn && !error, words: error ? `error: ${error.message}` : "a token" });
}

takeToken();
setInterval(takeToken, 60_000);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && takeToken());
