// Runs in each page before its app: notes what is asked and what the app is told, with the page's own time.

/** Random numbers are the same in each run, and others in each tab. */
export function watch(seed) {
  const open = new Set();
  const asked = [];
  const told = [];
  const send = window.fetch;
  let state = "visible";
  let dice = seed;

  Math.random = () => {
    dice = (dice * 48_271) % 2_147_483_647;
    return dice / 2_147_483_647;
  };

  window.fetch = (input, options) => {
    const { pathname } = new URL(input.url ?? input, location.href);
    asked.push({ at: Date.now(), pathname });
    // Whole, body included, before the clock goes on.
    const answer = send(input, options).then(async (response) => {
      await response.clone().arrayBuffer();
      return response;
    });
    open.add(answer);
    const close = () => open.delete(answer);
    answer.then(close, close);
    return answer;
  };

  const task = () => new Promise((resolve) => scheduler.postTask(resolve));

  /** Waits until nothing is under way but timers; answers what happened since the last time. */
  async function settle() {
    do {
      await Promise.allSettled(open);
      for (let turn = 0; turn < 3; turn += 1) await task();
      // A lock that was asked for has been given by then.
      await navigator.locks.query();
      await task();
    } while (open.size > 0);
    return { asked: asked.splice(0), told: told.splice(0) };
  }

  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  Object.defineProperty(document, "hidden", { configurable: true, get: () => state === "hidden" });
  document.hasFocus = () => state === "visible";

  /** What a browser tells a page that its user leaves (`hidden`) or comes back to (`visible`). */
  function become(next) {
    state = next;
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    window.dispatchEvent(new Event(state === "hidden" ? "blur" : "focus"));
  }

  window.bench = { settle, become, tell: (view) => told.push({ at: Date.now(), ...view }) };
}
