// What went wrong, in a sentence, and what the program's exit code is then.

export const NOT_WELL = 1;
export const NOT_DONE = 2;

/** A failure that is told in one sentence. `facts`: `code`, and of an answer `status`, `requestId`, `retryAfterMs`, `body`; `sessions` to choose from. */
export class Failure extends Error {
  constructor(message, { exit = NOT_DONE, ...facts } = {}) {
    super(message);
    this.exit = exit;
    this.facts = facts;
  }

  toJSON() {
    const { code, status, requestId, sessions } = this.facts;
    return { success: false, error: this.message, code, status, requestId, sessions };
  }
}

/** Asked for in a way that can't be understood. */
export const misuse = (message, facts) => new Failure(message, { code: "usage", ...facts });
