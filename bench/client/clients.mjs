// The clients that are compared. What each peer's server answers is in peers/, what its app does in pages/.

import { authJsAboutToExpire, authJsExpired } from "./peers/auth-js.mjs";
import { auth0SpaJs } from "./peers/auth0-spa-js.mjs";
import { authkitJs } from "./peers/authkit-js.mjs";
import { betterAuth } from "./peers/better-auth.mjs";
import { clerkJs } from "./peers/clerk-js.mjs";
import { handwritten } from "./peers/handwritten.mjs";
import { keycloakJs } from "./peers/keycloak-js.mjs";
import { msalBrowser } from "./peers/msal-browser.mjs";
import { nextAuth } from "./peers/next-auth.mjs";
import { oidcClientTs } from "./peers/oidc-client-ts.mjs";
import { ours } from "./peers/ours.mjs";

export { AWAY } from "./times.mjs";
export { versionOf } from "./version.mjs";

const ALL = [
  ours,
  handwritten,
  authJsAboutToExpire,
  authJsExpired,
  nextAuth,
  oidcClientTs,
  auth0SpaJs,
  keycloakJs,
  betterAuth,
  authkitJs,
  msalBrowser,
  clerkJs,
];

/**
 * New clients, each with a server of its own that knows nothing yet: all, or those whose name has one of `words`.
 *
 * `page`: the app, in pages/. `loads`: what is weighed, `{ name, code, files, react }`, ours apart. `endpoint`: the requests
 * that count, by which it renews or checks its session. `log`: where it reports failures. `serves`: what else its server
 * has. `files`: what else the app has. `well(request, now)`: the server's good answer at `endpoint` and `serves`, JSON or
 * an `Answer`; of a request it needs `method()`, `url()`, `headers()` and `postData()`. `throttled(now)`: its 429's JSON.
 * `seed(now)`, `cookies(now)`: what an earlier sign-in left in localStorage and as cookies. `remark`: why it does what
 * it does. A page tells `signedIn: false` only where the public API says that nobody is signed in, not beside an error.
 */
export function clients(words = []) {
  const named = ALL.map((make) => make());
  return words.length > 0 ? named.filter(({ name }) => words.some((word) => name.includes(word))) : named;
}
