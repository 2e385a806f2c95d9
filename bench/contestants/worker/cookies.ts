// The stored cookies of a session, and `Set-Cookie` headers merged into them.

export interface Cookie {
  name: string;
  value: string;
}

/** Those of the load balancer: believed of any answer. */
const AFFINITY = ["AWSALB", "AWSALBCORS", "AWSALBTG", "AWSALBTGCORS"];

/** What upstream may add to a set that lacks it. */
const ADDABLE = new Set([...AFFINITY, "PHPSESSID", "amhrdrauth"]);

const AFFINITY_NAMES = new Set(AFFINITY);

export function cookieHeader(cookies: Cookie[]): string {
  return cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
}

/** The set after these headers; `undefined` where they change nothing. `all`: the answer proved that the session lives. */
export function merge(stored: Cookie[], headers: string[], all: boolean): Cookie[] | undefined {
  const merged = new Map(stored.map((cookie) => [cookie.name, cookie]));
  let changed = false;
  for (const header of headers) {
    const { name, value, deleted } = parse(header);
    if (!name || !(all || AFFINITY_NAMES.has(name))) continue;
    const before = merged.get(name);
    if (deleted) {
      changed = merged.delete(name) || changed;
    } else if ((before || ADDABLE.has(name)) && before?.value !== value) {
      merged.set(name, { ...before, name, value });
      changed = true;
    }
  }
  return changed && merged.size > 0 ? [...merged.values()] : undefined;
}

function parse(header: string) {
  const [pair = "", ...attributes] = header.split(";");
  const equals = pair.indexOf("=");
  const name = pair.slice(0, Math.max(0, equals)).trim();
  const value = pair.slice(equals + 1).trim();
  return { name, value, deleted: isDeletion(attributes) };
}

/** `Max-Age` goes before `Expires`. */
function isDeletion(attributes: string[]): boolean {
  let expires: number | undefined;
  for (const attribute of attributes) {
    const equals = attribute.indexOf("=");
    const name = attribute.slice(0, equals).trim().toLowerCase();
    const value = attribute.slice(equals + 1);
    if (name === "max-age") return Number(value) <= 0;
    if (name === "expires") expires = Date.parse(value);
  }
  return expires !== undefined && expires <= Date.now();
}
