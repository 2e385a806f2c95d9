// Keeps the overview up to date, and says when it can't. Everything works without it.

const EVERY = 10_000;
const LONGEST = 120_000;
const PATIENCE = 15_000;

const live = document.getElementById("live");
const updated = document.getElementById("updated");
const stale = document.getElementById("stale");

let wait = EVERY;
let timer;
let asking = false;
let failing = false;
let since = new Date();

/** What is wrong, with the page to go to where that helps. */
class Trouble extends Error {
  constructor(message, link) {
    super(message);
    this.link = link;
  }
}

const clock = (date) => date.toLocaleTimeString("en-GB");

async function newest() {
  const options = { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE) };
  const answer = await fetch(live.dataset.url, options).catch(() => {
    throw new Trouble(navigator.onLine ? "The server can’t be reached" : "You are offline");
  });
  if (answer.status === 401) throw new Trouble("You are signed out", "sign in again");
  if (!answer.ok) throw new Trouble(`The server answered ${answer.status}`);
  return answer.text().catch(() => {
    throw new Trouble("The server’s answer broke off");
  });
}

/** Whether the reader is marking text in there: replacing it would take that away. */
function marking() {
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(live, true));
}

/** What tells an element again after the replacement. */
function nameOf(element) {
  if (!element || !live.contains(element)) return undefined;
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.matches("summary")) return `#${CSS.escape(element.parentElement.id)} > summary`;
  return `#${CSS.escape(element.closest("[id]").id)} a[href="${CSS.escape(element.getAttribute("href") ?? "")}"]`;
}

function show(html) {
  const focused = nameOf(document.activeElement);
  const open = [...live.querySelectorAll("details[open]")].map((details) => details.id);
  const places = [...live.querySelectorAll(".scroll, pre")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
  const top = window.scrollY;
  // Made by our own server, which escapes whatever is not its own.
  live.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, left, down] of places) document.getElementById(id)?.scrollTo(left, down);
  if (focused) live.querySelector(focused)?.focus({ preventScroll: true });
  window.scrollTo({ top, behavior: "instant" });
}

function well() {
  wait = EVERY;
  failing = false;
  since = new Date();
  updated.textContent = `Updated ${clock(since)}`;
  if (stale.hasChildNodes()) stale.replaceChildren();
}

function failed(trouble) {
  wait = Math.min(wait * 2, LONGEST);
  const text = `${trouble.message}: not updated since ${clock(since)}. `;
  // Told anew only when it changes: a screen reader reads it out.
  if (failing && stale.dataset.text === text) return;
  failing = true;
  stale.dataset.text = text;
  stale.replaceChildren(text);
  if (trouble.link)
    stale.append(Object.assign(document.createElement("a"), { href: location.href, textContent: trouble.link }));
}

async function update() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  asking = true;
  try {
    const html = await newest();
    if (!marking()) {
      show(html);
      well();
    }
  } catch (trouble) {
    failed(trouble);
  } finally {
    asking = false;
    timer = setTimeout(update, wait);
  }
}

if (live) {
  timer = setTimeout(update, EVERY);
  document.addEventListener("visibilitychange", update);
  window.addEventListener("online", update);
  window.addEventListener("offline", () => failed(new Trouble("You are offline")));
}

document.addEventListener("submit", ({ target }) => {
  for (const button of target.querySelectorAll("button")) button.disabled = true;
});
// The browser may show this page as it was left.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});
