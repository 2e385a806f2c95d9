// The browser's side without a framework: fetch, timers, events and tabs around the core, which decides.

import type { Core, View } from "./core.js";
import {
  codeOf,
  isBlocked,
  KEPT,
  loadCore,
  numbersOf,
  put,
  readView,
  serverTimeOf,
  take,
  UNKNOWN,
  VIEW,
} from "./core.js";
import { inTurn, read, within, write } from "./tabs.js";
import type { Problem, RefreshAnswer, RefreshStatus } from "./wire.js";

/** What a client needs to know. */
export interface RefreshClientOptions {
  /** The Worker's address. Default: the page's own origin. */
  url?: string | undefined;
  /**
   * Answers the token that the Worker accepts, or nothing if nobody is signed in. `refused`: the last one was not
   * accepted, so a kept one is of no use. Without it the Worker gets the `HttpOnly` cookie of its own origin.
   */
  getToken?: TokenSource | undefined;
  /** A stable id of the signed-in user. Tabs of one user share what they know; another user starts from nothing. */
  user?: string | undefined;
  /** Which of the user's sessions; default: the one signed in last. */
  sessionId?: string | undefined;
}

/** Where tokens for the Worker come from. */
export type TokenSource = (about: { refused: boolean }) => MaybeToken | Promise<MaybeToken>;

type MaybeToken = string | null | undefined;

/** What went wrong last. */
export interface RefreshError {
  /** Stable: the Worker's code, or `network`, `timeout`, `http_<status>`. */
  code: string;
  /** A sentence, in English. */
  message: string;
  /** When it is tried again by itself. */
  retryAt?: Date;
}

/** How things stand: an object that stays the same until something in it changes. */
export interface RefreshSnapshot extends Omit<View, "retryAt"> {
  error: RefreshError | null;
}

/** A client. Its functions need no `this`. */
export interface RefreshClient {
  /** Calls `listener` at each change, until the function that it answers is called. Works while anybody listens. */
  subscribe(listener: () => void): () => void;
  getSnapshot(): RefreshSnapshot;
  /** Refreshes now, if that is possible: skips the backoff, but not what a `Retry-After` asked for. */
  refresh(): Promise<RefreshSnapshot>;
  /** Asks how the session stands now; after a new sign-in this opens what had ended. */
  checkStatus(): Promise<RefreshSnapshot>;
  /** What changes without being another client. */
  configure(options: Pick<RefreshClientOptions, "getToken">): void;
}

/** The bound on one call, the token's callback included, in milliseconds. */
const TIMEOUT = 10_000;

/** How long a turn is kept after something was learnt: until storage has told the other tabs, in milliseconds. */
const HANDOVER = 100;

/** What is known before anything is: also what a server renders. */
export const INITIAL: RefreshSnapshot = Object.freeze({
  ...UNKNOWN,
  error: null,
});

/** What is shown of a failure, for as long as it stands. */
type Told = { code: string; message: string };
type Fault = { status: number; problem: Partial<Problem>; retryAfter: number };
type Answer = { body: RefreshStatus & RefreshAnswer } | { fault: Fault };

/** Makes a client. It does nothing until somebody listens. */
export function createRefreshClient(options: RefreshClientOptions = {}): RefreshClient {
  const client = new Client(options);
  return {
    subscribe: (listener) => client.subscribe(listener),
    getSnapshot: () => client.snapshot,
    refresh: () => client.refresh(),
    checkStatus: () => client.checkStatus(),
    configure: ({ getToken }) => {
      client.getToken = getToken;
    },
  };
}

class Client {
  snapshot = INITIAL;
  getToken: RefreshClientOptions["getToken"];
  readonly #address: string;
  readonly #sessionId: string | undefined;
  readonly #key: string;
  readonly #listeners = new Set<() => void>();
  #core: Core | undefined;
  #unavailable = false;
  #loading: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #refreshing: Promise<void> | undefined;
  #life = new AbortController();
  #started = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #problem: Told | null = null;
  #seen: number[] = [];

  constructor({ url = "", getToken, user = "", sessionId }: RefreshClientOptions) {
    this.getToken = getToken;
    this.#address = `${url.replace(/\/$/, "")}/api/auth/refresh`;
    this.#sessionId = sessionId;
    this.#key = ["aimharder-keepalive", url, user, sessionId ?? ""].join(":");
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (!this.#started) this.#start();
    return () => {
      this.#listeners.delete(listener);
      // Not at once: React mounts twice in development, and a page's parts come and go.
      setTimeout(() => this.#listeners.size === 0 && this.#started && this.#stop());
    };
  }

  refresh = async (): Promise<RefreshSnapshot> => {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
    return this.snapshot;
  };

  async #refresh(): Promise<void> {
    await this.#load();
    await this.#running;
    const core = this.#core;
    if (!core) return this.#refreshBare();
    if (!core.canRefresh(Date.now())) return;
    const before = this.snapshot.refreshCount;
    await this.#turn(async () => {
      // Another tab may have done it while this one waited for its turn.
      const isDone = this.snapshot.refreshCount !== before;
      return !isDone && core.canRefresh(Date.now()) && this.#call(core, true);
    });
  }

  checkStatus = async (): Promise<RefreshSnapshot> => {
    await this.#load();
    this.#noticeNetwork();
    this.#core?.askAgain();
    // What is under way may have been asked before whatever there is to know happened.
    await this.#running;
    await this.#work();
    return this.snapshot;
  };

  #start(): void {
    this.#started = true;
    this.#life = new AbortController();
    const { signal } = this.#life;
    const on = (target: EventTarget, names: string[], handle: (event: Event) => void) => {
      for (const name of names) target.addEventListener(name, handle, { signal });
    };
    on(window, ["focus", "pageshow"], this.#look);
    on(document, ["visibilitychange", "resume"], () => document.visibilityState === "visible" && this.#look());
    on(window, ["online", "offline"], this.#look);
    on(window, ["storage"], (event) => (event as StorageEvent).key === this.#key && this.#look());
    void this.#load().then(() => {
      this.#adopt();
      this.#core?.opened();
      if (this.#core) this.#look();
    });
  }

  #noticeNetwork(): void {
    this.#core?.online(navigator.onLine !== false, Date.now(), Math.random());
  }

  #stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
    this.#life.abort();
  }

  #load(): Promise<void> {
    this.#loading ??= loadCore().then(
      (core) => {
        this.#core = core;
        this.#unavailable = false;
      },
      (error: unknown) => {
        // The next occasion tries again, unless it makes no sense.
        if (!isBlocked(error)) this.#loading = undefined;
        if (!this.#unavailable) this.#show({ ...INITIAL, state: "unavailable", canRefresh: true });
        this.#unavailable = true;
      },
    );
    return this.#loading;
  }

  /** Something happened that may make a call due, or not. */
  readonly #look = (): void => {
    if (!this.#started) return;
    if (!this.#core) {
      if (!this.#loading) void this.#load().then(() => this.#core && this.#look());
      return;
    }
    this.#noticeNetwork();
    this.#adopt();
    this.#publish();
    if (this.#core.want(Date.now()) !== 0) void this.#work();
    else this.#schedule();
  };

  #schedule(): void {
    clearTimeout(this.#timer);
    const wait = this.#core?.wait(Date.now()) ?? Number.POSITIVE_INFINITY;
    if (this.#started && Number.isFinite(wait)) this.#timer = setTimeout(this.#look, wait);
  }

  /** Makes the calls that the core wants, in turn with the other tabs. */
  #work(): Promise<void> {
    this.#running ??= this.#turn(async () => {
      const core = this.#core;
      let learnt = false;
      for (let want = core?.want(Date.now()); core && want; want = core.want(Date.now())) {
        if (!(await this.#call(core, want === 2))) break;
        learnt = true;
      }
      return learnt;
    }).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** `work` answers whether there is something to tell the other tabs. */
  async #turn(work: () => Promise<boolean>): Promise<void> {
    clearTimeout(this.#timer);
    const { signal } = this.#life;
    try {
      const hadTurn = await inTurn(this.#key, signal, async () => {
        this.#adopt();
        this.#publish();
        // Else the next tab could have its turn before it is told.
        if (await work()) await handover(signal);
      });
      if (!hadTurn && !signal.aborted) this.#core?.crowded(Date.now(), Math.random());
    } finally {
      this.#publish();
      this.#schedule();
    }
  }

  /** One call. Answers whether its answer counted. */
  async #call(core: Core, refresh: boolean): Promise<boolean> {
    const ticket = core.begin(refresh);
    if (ticket === 0) return false;
    try {
      this.#publish();
      const { signal } = this.#life;
      const answer = await this.#fetch(refresh, signal);
      const counted = !signal.aborted && this.#tell(core, ticket, answer);
      if (counted) {
        core.keep();
        write(this.#key, { core: take(core, KEPT), problem: this.#problem });
      }
      return counted;
    } finally {
      // Without effect on a call that was answered.
      core.abandoned(ticket);
      this.#publish();
    }
  }

  #tell(core: Core, ticket: number, answer: Answer): boolean {
    const [now, unit] = [Date.now(), Math.random()];
    if ("body" in answer) {
      put(core, numbersOf(answer.body));
      if (core.told(ticket, now, unit)) {
        this.#problem = problemTold(answer.body);
        return true;
      }
      // Out of date, or of a shape that is none of the Worker's.
      answer = { fault: { status: 200, problem: {}, retryAfter: Number.NaN } };
    }
    const { status, problem, retryAfter } = answer.fault;
    if (!core.failed(ticket, status, codeOf(problem), retryAfter, serverTimeOf(problem), now, unit)) return false;
    this.#problem = describe(status, problem);
    return true;
  }

  async #fetch(refresh: boolean, life: AbortSignal): Promise<Answer> {
    const signal = within(life, TIMEOUT);
    try {
      const token = await this.#token(signal, false);
      const answer = await this.#send(refresh, token, signal);
      if (!this.getToken || !("fault" in answer) || answer.fault.status !== 401) return answer;
      // A token that was kept for too long is no sign-out yet.
      const other = await this.#token(signal, true);
      return other && other !== token ? await this.#send(refresh, other, signal) : answer;
    } catch (error) {
      const timedOut = (signal.reason as Error | undefined)?.name === "TimeoutError";
      const code = timedOut ? "timeout" : error instanceof TokenError ? "token" : "network";
      return fault(0, { code });
    }
  }

  async #token(signal: AbortSignal, refused: boolean): Promise<MaybeToken> {
    try {
      return await before(signal, Promise.resolve(this.getToken?.({ refused })));
    } catch (error) {
      throw signal.aborted ? error : new TokenError();
    }
  }

  async #send(refresh: boolean, token: MaybeToken, signal: AbortSignal): Promise<Answer> {
    if (this.getToken && !token) return fault(401, { code: "unauthorized", error: "Nobody is signed in." });
    const headers: Record<string, string> = { accept: "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const request: RequestInit = {
      headers,
      signal,
      cache: "no-store",
      redirect: "error",
      credentials: token ? "omit" : "same-origin",
    };
    let address = this.#address;
    if (refresh) {
      headers["content-type"] = "application/json";
      Object.assign(request, { method: "POST", body: JSON.stringify({ sessionId: this.#sessionId }) });
    } else if (this.#sessionId) address += `?sessionId=${encodeURIComponent(this.#sessionId)}`;
    const response = await fetch(address, request);
    return readAnswer(response, await response.text());
  }

  /** Without the core: one call when a user asks for it, and no more. */
  async #refreshBare(): Promise<void> {
    if (!this.snapshot.canRefresh) return;
    this.#show({ ...this.snapshot, isRefreshing: true, canRefresh: false });
    const answer = await this.#fetch(true, new AbortController().signal);
    const rest = { ...this.snapshot, isRefreshing: false, canRefresh: true };
    if ("body" in answer) {
      const { lastRefreshDate, refreshCount } = answer.body;
      const date = lastRefreshDate ? new Date(lastRefreshDate) : null;
      this.#show({ ...rest, lastRefreshDate: date, refreshCount, error: null });
      return;
    }
    const { status, problem, retryAfter } = answer.fault;
    const error = describe(status, problem);
    if (error.code === "session_expired") {
      this.#show({ ...rest, health: "expired", canRefresh: false, blocked: "sign_in", error });
    } else if (retryAfter > 0) {
      this.#show({
        ...rest,
        canRefresh: false,
        blocked: "wait",
        canRefreshAt: new Date(Date.now() + retryAfter),
        error,
      });
      setTimeout(
        () => this.#show({ ...this.snapshot, canRefresh: true, blocked: null, canRefreshAt: null }),
        retryAfter,
      );
    } else this.#show({ ...rest, error });
  }

  #adopt(): void {
    const kept = read(this.#key) as { core?: (number | null)[]; problem?: Told | null } | null;
    if (!this.#core || !Array.isArray(kept?.core)) return;
    put(this.#core, kept.core);
    if (this.#core.adopt(Date.now())) this.#problem = isTold(kept.problem) ? kept.problem : null;
  }

  /** A new snapshot, if anything differs from the one before. */
  #publish(): void {
    if (!this.#core) return;
    this.#core.view(Date.now());
    const numbers = take(this.#core, VIEW);
    const { retryAt, ...view } = readView(numbers);
    const problem = view.health === "expired" ? (this.#problem ?? EXPIRED) : this.#problem;
    const changed = numbers.some((number, place) => !Object.is(number, this.#seen[place]));
    if (!changed && problem?.code === this.snapshot.error?.code) return;
    this.#seen = numbers;
    this.#show({ ...view, error: problem && (retryAt ? { ...problem, retryAt } : problem) });
  }

  #show(snapshot: RefreshSnapshot): void {
    this.snapshot = Object.freeze(snapshot);
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        // Its own affair: told where uncaught errors go, and no matter for the rest.
        reportError(error);
      }
    }
  }
}

/** `getToken` failed. */
class TokenError extends Error {}

const EXPIRED = {
  code: "session_expired",
  message: "The aimharder session is over. Please sign in to aimharder again.",
};

const fault = (status: number, problem: Partial<Problem>, retryAfter = Number.NaN): Answer => ({
  fault: { status, problem, retryAfter },
});

/** Until storage has told the other tabs, or the page is left: one that holds a turn isn't kept for the way back. */
const handover = (life: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    const signal = within(life, HANDOVER);
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", resolve);
    window.addEventListener("pagehide", resolve, { once: true, signal });
  });

/** A promise that doesn't outlast the signal. */
function before<T>(signal: AbortSignal, value: T | Promise<T>): Promise<T> {
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
  return Promise.race([value, ended]);
}

function readAnswer(response: Response, text: string): Answer {
  const body = parse(text);
  if (response.ok && body.success !== false && body.serverTime) return { body: body as RefreshStatus & RefreshAnswer };
  return fault(response.status, body, retryAfterOf(response, body.serverTime));
}

/** An object, empty for what is none: a gateway's error page say. */
function parse(text: string): Partial<RefreshStatus & RefreshAnswer & Problem> {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** `Retry-After` in both its forms, as milliseconds. A date is read against the server's clock. */
function retryAfterOf({ headers }: Response, serverTime: string | undefined): number {
  const text = headers.get("retry-after");
  if (!text) return Number.NaN;
  if (/^\s*\d+\s*$/.test(text)) return Number(text) * 1000;
  const now = Date.parse(headers.get("date") ?? serverTime ?? "");
  return Date.parse(text) - (Number.isNaN(now) ? Date.now() : now);
}

/** The server's own last attempt failed: it says so in its status. */
function problemTold({ lastError }: Partial<RefreshStatus>): Told | null {
  return lastError ? { code: lastError, message: "The last refresh failed." } : null;
}

function describe(status: number, { code, error }: Partial<Problem>): { code: string; message: string } {
  const told = { code, message: error };
  if (isTold(told)) return told;
  if (code === "token") return { code, message: "The app's own token can't be had." };
  if (code === "timeout") return { code, message: "The server did not answer in time." };
  if (status === 0) return { code: "network", message: "The server can't be reached." };
  return { code: `http_${status}`, message: "The server has a problem." };
}

/** What others wrote, a gateway or another page of this origin, may be anything. */
function isTold(value: unknown): value is Told {
  const { code, message } = (value ?? {}) as Partial<Told>;
  return typeof code === "string" && typeof message === "string";
}
