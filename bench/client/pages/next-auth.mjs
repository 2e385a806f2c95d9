// The page of an app that uses next-auth, with the options of its documentation.

import { SessionProvider, useSession } from "next-auth/react";
import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";

function Page() {
  const { data, status } = useSession();
  // `data` is a new object after each answer.
  useEffect(() => {
    if (status === "loading") return;
    const signedIn = status === "authenticated";
    window.bench.tell({ signedIn, fresh: signedIn && Boolean(data), words: `status ${status}` });
  }, [data, status]);
  return null;
}

const options = { refetchInterval: 5 * 60, refetchOnWindowFocus: true };
createRoot(document.getElementById("root")).render(createElement(SessionProvider, options, createElement(Page)));
