// The page of an app that uses oidc-client-ts: automaticSilentRenew with a refresh token, kept where other tabs find it.
// What has expired before it opens the library leaves to the app to renew.

import { UserManager, WebStorageStateStore } from "oidc-client-ts";

const manager = new UserManager({
  authority: `${location.origin}/oidc`,
  client_id: "app",
  redirect_uri: `${location.origin}/`,
  scope: "openid profile offline_access",
  automaticSilentRenew: true,
  userStore: new WebStorageStateStore({ store: localStorage }),
});

// Not asked for anew after an error: getUser() sets the timers again, and a renewal would fail each second.
let user = await manager.getUser();

function show(error) {
  window.bench.tell({
    signedIn: user !== null,
    fresh: user !== null && !user.expired,
    words: error ? `silent renew error: ${error.message}` : user ? "a user" : "no user",
  });
}

function use(next) {
  user = next;
  show();
}

manager.events.addUserLoaded(use);
manager.events.addUserUnloaded(() => use(null));
manager.events.addUserSignedOut(() => use(null));
manager.events.addSilentRenewError(show);
if (user?.expired) manager.signinSilent().catch(show);
else show();
