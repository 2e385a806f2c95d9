// What goes out: JSON with `success`, and for each failure its status, code and sentence.

const FAILURES: Record<string, [status: number, sentence: string]> = {
  bad_request: [400, "The body is not what it should be."],
  unauthorized: [401, "Sign-in is required."],
  not_found: [404, "There is nothing at this address."],
  method_not_allowed: [405, "This address does not take that method."],
  session_not_found: [404, "You have no such aimharder session."],
  session_expired: [409, "The aimharder session is over. Please sign in to aimharder again."],
  refresh_in_progress: [429, "A refresh of this session is under way."],
  superseded: [503, "A newer sign-in took this refresh's place. Please try again."],
  session_unusable: [409, "What is stored of this session can't be used. Please sign in again."],
  too_soon: [429, "This session was tried a moment ago. Please wait."],
  rate_limited: [429, "These are too many requests. Please wait."],
  upstream_throttled: [503, "aimharder asks us to slow down."],
  upstream_spared: [503, "aimharder has trouble, or had too many calls. It is left alone for the moment."],
  upstream_refused: [502, "aimharder refused the request."],
  upstream_fault: [502, "aimharder has a fault."],
  upstream_unreachable: [502, "aimharder can't be reached."],
  upstream_unrecognised: [502, "aimharder answered something that we don't understand."],
  upstream_timed_out: [504, "aimharder did not answer in time."],
  batch_failed: [502, "No session could be refreshed: aimharder is away or refuses us."],
  database_unavailable: [503, "The database is away."],
  database_timed_out: [503, "The database is away."],
  database_refused: [503, "The database can't be used."],
  interrupted: [503, "The work was interrupted. Please try again."],
};

const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000",
};

export function ok(body: object): Response {
  return Response.json({ ...body, success: true }, { headers: { ...HEADERS, "x-request-id": crypto.randomUUID() } });
}

/** `more`: fields besides, such as a failed batch's summary. */
export function failure(code: string, retryAfterSeconds?: number, more: object = {}): Response {
  const [status, error] = FAILURES[code] ?? [500, "Something went wrong."];
  const requestId = crypto.randomUUID();
  const waits = retryAfterSeconds ?? (status === 429 || status >= 502 ? 5 : undefined);
  const body = { success: false, error, code, requestId, serverTime: new Date().toISOString(), ...more };
  const headers: Record<string, string> = { ...HEADERS, "x-request-id": requestId };
  if (waits !== undefined) headers["retry-after"] = String(Math.max(1, Math.ceil(waits)));
  return Response.json(body, { status, headers });
}
