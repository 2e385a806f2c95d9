// A run: claims due sessions, refreshes six at once, and writes what came of them in bulk.

import { type ClaimedRow, claimDue, DatabaseError, type Entry, finish, finishRun, type Holder } from "./database";
import type { Outcome } from "./outcome";
import { refreshOne } from "./refresh";
import type { Settings } from "./settings";

/** Fetches that the platform lets an invocation wait for at once. */
const WIDTH = 6;
/** It is over before the next minute's tick. */
const START_FOR_MS = 45_000;
/** A result waits so long for its neighbours. */
const LINGER_MS = 1_000;
/** Fetches kept back for writing what is under way, and for the run's end. */
const CALLS_TO_END = 16;
const PATIENCE_MS = 5_000;

export interface Summary {
  runId: string;
  claimed: number;
  refreshed: number;
  expired: number;
  failed: number;
  outcomes: Partial<Record<Outcome, number>>;
  superseded: number;
  released: number;
  unwritten: number;
  held?: string;
  remaining: number | null;
  durationMs: number;
}

export interface Report {
  summary: Summary;
  error: DatabaseError | undefined;
}

type Queued = ClaimedRow & { notBefore: number; startBy: number };

/** Refreshes what is due, until nothing is or the bounds of a run are reached. */
export async function runBatch(
  settings: Settings,
  trigger: Holder["trigger"],
  batchSize: number,
  calls: number,
): Promise<Report> {
  const run = new Run(settings, trigger, batchSize, calls);
  return run.report();
}

class Run {
  #started = Date.now();
  #deadline = this.#started + START_FOR_MS;
  #queue: Queued[] = [];
  #more = true;
  #claiming: Promise<void> | undefined;
  #granted = WIDTH;
  #unwritten: Entry[] = [];
  #timer: number | null = null;
  #writing: Promise<void> = Promise.resolve();
  #halted = false;
  #error: DatabaseError | undefined;
  #holder: Holder & { runId: string };
  #tally = {
    claimed: 0,
    refreshed: 0,
    expired: 0,
    failed: 0,
    outcomes: {} as Partial<Record<Outcome, number>>,
    superseded: 0,
    released: 0,
    unwritten: 0,
  };
  #held: string | undefined;

  constructor(
    private settings: Settings,
    trigger: Holder["trigger"],
    private batchSize: number,
    private calls: number,
  ) {
    this.#holder = { runId: crypto.randomUUID(), leaseId: crypto.randomUUID(), trigger };
  }

  async report(): Promise<Report> {
    await this.#claim();
    await Promise.all(Array.from({ length: this.#granted }, () => this.#lane()));
    for (const row of this.#queue.splice(0)) this.#keep(released(row));
    clearTimeout(this.#timer);
    await this.#write();
    const durationMs = Date.now() - this.#started;
    const told = { ...this.#tally, ...(this.#held && { held: this.#held }) };
    const error = this.#error?.code ?? null;
    const remaining = await this.#end({ ...told, durationMs, error });
    const summary = { runId: this.#holder.runId, ...told, remaining, durationMs };
    log({ event: "run", trigger: this.#holder.trigger, summary, error });
    return { summary, error: this.#error };
  }

  async #end(summary: object): Promise<number | null> {
    try {
      return await finishRun(this.settings, this.#holder, summary);
    } catch (error) {
      this.#note(error);
      return null;
    }
  }

  async #lane() {
    for (;;) {
      const row = await this.#next();
      if (!row) return;
      const wait = row.notBefore - Date.now();
      if (wait > 0) await scheduler.wait(wait);
      if (!this.#mayStart() || Date.now() > row.startBy) {
        this.#keep(released(row));
        continue;
      }
      this.calls -= 1;
      const entry = await refreshOne(row, this.settings);
      this.calls -= Math.max(0, entry.tries - 1);
      if (entry.kind !== "refreshed") logFailure(entry, this.#holder);
      this.#keep(entry);
    }
  }

  #mayStart() {
    return !this.#halted && Date.now() < this.#deadline && this.calls > CALLS_TO_END;
  }

  async #next(): Promise<Queued | undefined> {
    if (this.#queue.length < WIDTH) {
      this.#claiming ??= this.#claim().finally(() => (this.#claiming = undefined));
      if (this.#queue.length === 0) await this.#claiming;
    }
    return this.#mayStart() ? this.#queue.shift() : undefined;
  }

  async #claim() {
    while (this.#more && this.#mayStart()) {
      const limit = Math.min(this.batchSize, this.calls - CALLS_TO_END);
      const waves = Math.ceil((limit + 2 * WIDTH) / WIDTH);
      const longest = this.#deadline - Date.now() + this.settings.timeoutMs;
      const lease = Math.ceil(Math.min(waves * this.settings.timeoutMs + 5_000, longest) / 1000) + 30;
      const asked = Date.now();
      this.calls -= 1;
      try {
        const claim = await claimDue(this.settings, this.#holder, limit, WIDTH, lease);
        const startBy = asked + lease * 1000 - this.settings.timeoutMs - 20_000;
        const now = Date.now();
        for (const row of claim.sessions) this.#queue.push({ ...row, notBefore: now + (row.startsInMs ?? 0), startBy });
        this.#tally.claimed += claim.sessions.length;
        if (claim.sessions.length > 0) this.#granted = Math.min(WIDTH, claim.width);
        this.#held = claim.held ?? undefined;
        const retryInMs = claim.retryInMs ?? 0;
        if (claim.held ? retryInMs > PATIENCE_MS : claim.sessions.length < limit) this.#more = false;
        if (!claim.held || claim.sessions.length > 0 || !this.#more) return;
        await scheduler.wait(retryInMs);
      } catch (error) {
        this.#note(error);
        this.#more = false;
      }
    }
  }

  /** Results wait for their neighbours, but not longer than a second. */
  #keep(entry: Entry) {
    this.#unwritten.push(entry);
    this.#timer ??= setTimeout(() => this.#write(), LINGER_MS);
  }

  /** One write after the other. */
  #write(): Promise<void> {
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#writeNow(this.#unwritten.splice(0)));
    return this.#writing;
  }

  async #writeNow(entries: Entry[]) {
    if (entries.length === 0) return;
    this.calls -= 1;
    try {
      const { results, held } = await finish(this.settings, this.#holder, entries);
      if (held) {
        this.#held = held;
        this.#halted = true;
      }
      for (const [index, entry] of entries.entries()) this.#count(entry, results[index]?.result);
    } catch (error) {
      // What can't be written must not be asked for.
      this.#halted = true;
      this.#tally.unwritten += entries.length;
      this.#note(error);
    }
  }

  #count(entry: Entry, fate: string | undefined) {
    if (fate === "lost") this.#tally.superseded += 1;
    else if (fate === "refused" || fate === "locked" || fate === undefined) this.#tally.unwritten += 1;
    else {
      const kind = fate === "doubted" ? "failed" : entry.kind;
      const outcome = fate === "doubted" ? "unrecognised" : entry.outcome;
      this.#tally[kind] += 1;
      if (outcome) this.#tally.outcomes[outcome] = (this.#tally.outcomes[outcome] ?? 0) + 1;
    }
  }

  #note(error: unknown) {
    if (!(error instanceof DatabaseError)) throw error;
    this.#error ??= error;
  }
}

const released = ({ id, fence }: ClaimedRow): Entry => ({
  id,
  fence,
  kind: "released",
  own: false,
  durationMs: 0,
  tries: 0,
});

export function logFailure(entry: Entry, { runId, trigger }: Holder) {
  const { id, outcome, upstreamStatus, tries, durationMs } = entry;
  log({ event: "attempt_failed", runId, trigger, sessionId: id, outcome, upstreamStatus, tries, durationMs });
}

const log = (line: object) => console.log(JSON.stringify(line));
