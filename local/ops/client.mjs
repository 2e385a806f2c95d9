// Calls of the Worker's internal routes: an answer, or a `Failure` that says what to do.

import { Failure, NOT_WELL } from "./failure.mjs";
import { harmless } from "./table.mjs";

const PATIENCE_MS = 20_000;

/** Answers a function that calls a route and answers its JSON. `signal` of a call: when it is not wanted any more. */
export function client({ url, key, patienceMs = PATIENCE_MS }) {
  return async function call(route, { method = "GET", json, longer = 0, signal } = {}) {
    const limit = patienceMs + longer;
    const timeout = AbortSignal.timeout(limit);
    const type = json === undefined ? {} : { "content-type": "application/json" };
    const request = {
      method,
      headers: { accept: "application/json", "x-api-key": key, ...type },
      body: json === undefined ? undefined : JSON.stringify(json),
      // A redirect would take the key along.
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    };
    try {
      const response = await fetch(`${url}/api/internal/${route}`, request);
      return answerOf(response, await response.text(), url);
    } catch (error) {
      if (error instanceof Failure || signal?.aborted) throw error;
      throw unanswered(error, url, limit);
    }
  };
}

function answerOf(response, text, url) {
  const { status, headers } = response;
  const body = objectIn(text);
  if (!body || typeof body.success !== "boolean") {
    const what = status >= 300 && status < 400 ? "with a redirect" : "with something that is not its JSON";
    throw new Failure(`${url} answers ${what} (status ${status}). Is it the Worker's address?`, {
      code: "not_the_worker",
      status,
    });
  }
  if (response.ok && body.success) return body;
  const { code, requestId, error } = body;
  const facts = { code, requestId, status, body, retryAfterMs: retryAfter(headers.get("retry-after")) };
  if (status === 401) {
    throw new Failure("The key is not taken: is INTERNAL_API_KEY that of this Worker?", facts);
  }
  if (code === "not_found") {
    throw new Failure("This Worker knows no such request: is it of an older version?", facts);
  }
  throw new Failure(sentence(error ?? code ?? `The Worker answered ${status}`), { exit: NOT_WELL, ...facts });
}

function objectIn(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds or a date, in milliseconds from now. */
function retryAfter(text) {
  if (!text) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function sentence(text) {
  const clean = harmless(text);
  const upper = clean.charAt(0).toUpperCase() + clean.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}

function unanswered(error, url, limit) {
  if (error.name === "TimeoutError") {
    const message = `${url} did not answer within ${Math.round(limit / 1000)} s.`;
    return new Failure(message, { code: "timed_out" });
  }
  const reason = error.cause?.code ?? error.cause?.message ?? error.message;
  const words = {
    ECONNREFUSED: `Nothing answers at ${url}. Is it running?`,
    ENOTFOUND: `There is no host ${new URL(url).hostname}. Is the address right?`,
    EAI_AGAIN: `The host ${new URL(url).hostname} can't be looked up now. Is there a network?`,
    ECONNRESET: `${url} broke the connection off.`,
    UND_ERR_SOCKET: `${url} broke the connection off.`,
  };
  return new Failure(words[reason] ?? `${url} can't be reached: ${reason}.`, { code: "unreachable" });
}
