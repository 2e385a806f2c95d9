// The hook that a developer would write by hand, with this project's Worker behind it.

import { refreshService } from "./ours.mjs";

export function handwritten() {
  return {
    name: "hook written by hand",
    page: "handwritten.mjs",
    loads: {
      name: "hook written by hand",
      code: 'export { useRefreshToken } from "./pages/use-refresh-token.mjs"',
      react: true,
    },
    ...refreshService(),
    remark:
      "asks once a minute and whenever its user comes back, whatever the last answer said; its tabs know nothing of each other",
  };
}
