// The page of an app with a hook written by hand.

import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { useRefreshToken } from "./use-refresh-token.mjs";

const getToken = async () => "the app's token";

function Page() {
  const { status, error, isSignedOut } = useRefreshToken(getToken);
  useEffect(() => {
    if (!status && !error && !isSignedOut) return;
    window.bench.tell({
      signedIn: !isSignedOut,
      fresh: Boolean(status) && !error && !status.needsRefresh,
      words: error ? `error ${error.message}` : "a status",
    });
  }, [status, error, isSignedOut]);
  return null;
}

createRoot(document.getElementById("root")).render(createElement(Page));
