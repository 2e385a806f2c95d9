// A page with React and no client: what those that need React are measured above.

import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";

function Page() {
  useEffect(() => window.bench.tell({ signedIn: true, fresh: true, words: "nothing" }), []);
  return null;
}

createRoot(document.getElementById("root")).render(createElement(Page));
