// Upstream's answers to either way of refreshing, and what each is expected to come to.

/** Upstream has rotated the token, and nobody learns it. */
export const lost = { inStep: false };

/** `[answer, its options, outcome, what else is expected]` of those that leave a session as it was. */
export const FAULTS = [
  ["expired_short_page", {}, "unrecognised"],
  ["throttled", {}, "throttled"],
  ["throttled_seconds", { seconds: 90 }, "throttled", { waits: 90 }],
  ["throttled_date", { seconds: 600 }, "throttled", { waits: 600 }],
  ["forbidden", {}, "refused"],
  ["server_error", {}, "upstream_fault", { tries: 3 }],
  ["unavailable", { retryAfter: 300 }, "upstream_fault", { waits: 300, tries: 1 }],
  ["gateway_timeout", {}, "upstream_fault", { tries: 1 }],
  ["logged_out_cookies", {}, "upstream_fault"],
  ["reset_before_headers", {}, "unreachable", { tries: 3 }],
  ["hang", {}, "timed_out", { tries: 1 }],
  ["gzip_bomb", {}, "unrecognised"],
  ["redirect_other_host", {}, "unrecognised"],
  ["redirect_loop", {}, "unrecognised"],
];

/** The same of those after which the token is lost: what is written must say so, no more. */
export const LOSSES = [
  ["markup_changed", {}, "unrecognised", lost],
  ["malformed_token", {}, "unrecognised", lost],
  ["other_user", {}, "unrecognised", lost],
  ["commit_then_reset", { times: 1 }, "unrecognised", lost],
  ["truncated", { times: 1 }, "unrecognised", lost],
  ["reset_mid_body", { times: 1 }, "unrecognised", lost],
];

/** What says that a session is over. */
export const ENDS = [
  "expired_login_redirect",
  "expired_logout_redirect",
  "expired_login_form",
  "expired_401",
  "expired_403",
];

/** What a user is told of each failure: status and code. */
export const CODES = {
  throttled: [503, "upstream_throttled"],
  refused: [502, "upstream_refused"],
  upstream_fault: [502, "upstream_fault"],
  unreachable: [502, "upstream_unreachable"],
  timed_out: [504, "upstream_timed_out"],
  unrecognised: [502, "upstream_unrecognised"],
};

/** A session, due, for each case, that will be answered so. */
export async function signInAll(world, cases) {
  const sessions = [];
  for (const [index, [name, options, outcome, expected = {}]] of cases.entries()) {
    const email = `user${index}@example.com`;
    const session = await world.signIn({ email, due: true });
    session.fail(name, options);
    const label = `${name} ${JSON.stringify(options)}`;
    sessions.push(Object.assign(session, { email, label, outcome, expected, first: session.token }));
  }
  return sessions;
}
