// The page of an app that uses Keycloak, as its guide has it for single-page apps: a silent check-sso, updateToken as
// the token expires.

import Keycloak from "keycloak-js";

const keycloak = new Keycloak({ url: location.origin, realm: "app", clientId: "app" });

function show(words, { signedIn = keycloak.authenticated === true, fresh = false } = {}) {
  window.bench.tell({ signedIn, fresh, words });
}

async function renew() {
  try {
    await keycloak.updateToken(30);
  } catch (error) {
    show(`updateToken fails: ${error.message}`);
  }
}

keycloak.onAuthSuccess = () => show("authenticated", { fresh: true });
keycloak.onAuthRefreshSuccess = () => show("authenticated", { fresh: true });
keycloak.onAuthLogout = () => show("logged out");
keycloak.onTokenExpired = renew;

try {
  const authenticated = await keycloak.init({
    onLoad: "check-sso",
    silentCheckSsoRedirectUri: `${location.origin}/silent-check-sso.html`,
  });
  if (!authenticated) show("not authenticated");
} catch (error) {
  // Doesn't say that nobody is signed in.
  show(`init fails: ${error.message ?? error.error}`, { signedIn: true });
}
