// How long things last in the scripts.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** How long each page is left alone before the trouble: by its end every session is due. */
export const AWAY = 10 * MINUTE;

/** What is left of an access token when its user comes back: each client has it to renew while the trouble lasts. */
export const LEFT = 30 * SECOND;

/** The same of auth-js's, where it is about to expire: more, since it is renewed 90 s before its end. */
export const LEFT_OF_AUTH_JS = 105 * SECOND;
