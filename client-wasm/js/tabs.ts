// What the tabs of one browser share: what is known, and whose turn it is. Storage or locks can be missing or blocked;
// then each tab is on its own, and the Worker sees to it that a session is refreshed once.

/** How long a turn is waited for, in milliseconds. */
const PATIENCE = 15_000;

/** How long a turn in storage lasts if its tab is closed in the middle: two calls and more, in milliseconds. */
const LEASE = 30_000;

const storage = (): Storage | undefined => {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
};

/** What is kept under a key, if it can be read. */
export function read(key: string): unknown {
  try {
    return JSON.parse(storage()?.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** Keeps a value for all tabs, and for after a reload. */
export function write(key: string, value: unknown): void {
  try {
    storage()?.setItem(key, JSON.stringify(value));
  } catch {
    // Full, or blocked.
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Runs `work` while no other tab runs its own for this key. Answers whether it got its turn within bounds. A turn is
 * never taken away from another, and nothing is done without one.
 */
export async function inTurn(key: string, signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
  return globalThis.navigator?.locks ? byLock(key, signal, work) : byLease(key, signal, work);
}

async function byLock(key: string, signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
  let hasTurn = false;
  const bound = within(signal, PATIENCE);
  try {
    await navigator.locks.request(key, { signal: bound }, () => {
      hasTurn = true;
      return work();
    });
  } catch (error) {
    if (hasTurn) throw error;
    // Refused rather than awaited in vain: locks are blocked, as they are with site data or in a sandboxed frame.
    if (!bound.aborted) return byLease(key, signal, work);
  }
  return hasTurn;
}

/** A signal that ends with another, or after so many milliseconds. */
export function within(life: AbortSignal, milliseconds: number): AbortSignal {
  const bound = new AbortController();
  const end = (name: string) => () => bound.abort(new DOMException("", name));
  setTimeout(end("TimeoutError"), milliseconds);
  if (life.aborted) bound.abort(life.reason);
  else life.addEventListener("abort", end("AbortError"), { once: true, signal: bound.signal });
  return bound.signal;
}

interface Lease {
  id: number;
  until: number;
}

/** Two tabs that write at the same time see, a little later, whose write was the last. */
async function byLease(key: string, signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
  const place = `${key}:turn`;
  const id = Math.random();
  const end = Date.now() + PATIENCE;
  const holder = () => read(place) as Lease | null;
  while (Date.now() < end && !signal.aborted) {
    const held = holder();
    if (!held || held.until < Date.now() || held.until > Date.now() + LEASE) {
      write(place, { id, until: Date.now() + LEASE });
      await sleep(50 + 50 * Math.random());
      const now = holder();
      if (!now || now.id === id) {
        try {
          await work();
        } finally {
          if (holder()?.id === id) write(place, null);
        }
        return true;
      }
    }
    await sleep(200);
  }
  return false;
}
