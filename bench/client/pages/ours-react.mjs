// The page of an app that uses this project's client with React.

import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { RefreshProvider, useRefresh } from "../../../client-wasm/dist/react.js";

function Page() {
  const { state, health } = useRefresh();
  useEffect(() => {
    const signedIn = !["expired", "signed_out"].includes(state);
    window.bench.tell({ signedIn, fresh: health === "healthy", words: `state ${state}, health ${health}` });
  }, [state, health]);
  return null;
}

const options = { user: "1", getToken: () => "the app's token" };
createRoot(document.getElementById("root")).render(createElement(RefreshProvider, options, createElement(Page)));
