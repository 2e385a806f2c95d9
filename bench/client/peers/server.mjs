// What the peers' servers have in common.

import { generateKeyPairSync, sign } from "node:crypto";
import { AWAY, HOUR, LEFT, MINUTE } from "../times.mjs";

/** An answer other than JSON with 200: the options of Playwright's `route.fulfill`. */
export class Answer {
  constructor(options) {
    this.options = options;
  }
}

/** An answer that says no. */
export const refused = (status, json) => new Answer({ status, json });

/** A page. */
export const html = (body) => new Answer({ contentType: "text/html", body: `<!doctype html>${body}` });

/**
 * Until when a token lasts, at `now`: those handed out within a minute of the first, to all tabs, until shortly after
 * their user comes back, later ones for an hour.
 */
export function firstLife() {
  let first;
  return (now) => {
    first ??= now;
    return now < first + MINUTE ? first + AWAY + LEFT : now + HOUR;
  };
}

/** What a request's body says, JSON or a form. */
export function form(request) {
  const body = request.postData() ?? "";
  return body.startsWith("{") ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body));
}

/**
 * A chain of refresh tokens of which each can be used once, and again for `reuse` after that, in milliseconds. Whoever
 * uses one later than that is taken for a thief, and the chain is over.
 */
export class Rotation {
  #name;
  #reuse;
  #serial = 1;
  #renewedAt = 0;
  #isOver = false;

  constructor(name, reuse = 0) {
    this.#name = name;
    this.#reuse = reuse;
  }

  get first() {
    return `${this.#name}.1`;
  }

  /** The next token; undefined where this one isn't good any more. */
  take(token, now) {
    const serial = Number(token?.split(".").at(-1));
    const isFresh = serial === this.#serial;
    const isReuse = serial >= 1 && serial === this.#serial - 1 && now - this.#renewedAt < this.#reuse;
    this.#isOver ||= !isFresh && !isReuse;
    if (this.#isOver) return undefined;
    if (isFresh) {
      this.#serial += 1;
      this.#renewedAt = now;
    }
    return `${this.#name}.${this.#serial}`;
  }
}

const KEY = "test";
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A signed token, by a key made for this run. Times in milliseconds. */
export function jwt(claims, issuedAt, until) {
  const times = { iat: Math.floor(issuedAt / 1000), exp: Math.floor(until / 1000) };
  const content = `${encode({ alg: "RS256", typ: "JWT", kid: KEY })}.${encode({ ...claims, ...times })}`;
  return `${content}.${sign("RSA-SHA256", Buffer.from(content), privateKey).toString("base64url")}`;
}
