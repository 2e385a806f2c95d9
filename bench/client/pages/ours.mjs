// The page of an app that uses this project's client.

import { createRefreshClient } from "../../../client-wasm/dist/index.js";

const client = createRefreshClient({ user: "1", getToken: () => "the app's token" });

client.subscribe(() => {
  const { state, health } = client.getSnapshot();
  window.bench.tell({
    signedIn: !["expired", "signed_out"].includes(state),
    fresh: health === "healthy",
    words: `state ${state}, health ${health}`,
  });
});
