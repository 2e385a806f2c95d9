// The page of an app that uses better-auth: its hook, asking every five minutes and, as is usual, whenever its user
// comes back.

import { createAuthClient } from "better-auth/react";
import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";

const auth = createAuthClient({ sessionOptions: { refetchInterval: 5 * 60 } });

function Page() {
  const { data, error, isPending, isRefetching } = auth.useSession();
  useEffect(() => {
    if (isPending || isRefetching) return;
    window.bench.tell({
      // No data beside an error doesn't say that nobody is signed in, but for 401.
      signedIn: data !== null || (Boolean(error) && error.status !== 401),
      fresh: data !== null && !error,
      words: error ? `error ${error.status ?? error.message}` : data ? "a session" : "no session",
    });
  }, [data, error, isPending, isRefetching]);
  return null;
}

createRoot(document.getElementById("root")).render(createElement(Page));
