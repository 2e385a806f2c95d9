// The page of an app that uses WorkOS AuthKit: the client renews by itself, the app follows onRefresh.

import { createClient } from "@workos-inc/authkit-js";

function show(user, words) {
  window.bench.tell({ signedIn: Boolean(user), fresh: Boolean(user), words });
}

const client = await createClient("app", {
  apiHostname: location.host,
  onRefresh: ({ user }) => show(user, "refreshed"),
  onRefreshFailure: () => show(null, "refresh failure"),
});

show(client.getUser(), client.getUser() ? "a user" : "no user");
