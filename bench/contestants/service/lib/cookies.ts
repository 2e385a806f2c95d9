export type StoredCookie = { name: string; value: string };

/** What a `Cookie` header says of them. */
export function cookieHeader(cookies: StoredCookie[]): string {
  return cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
}

/** Takes an answer's `Set-Cookie` headers in: by name, a deletion removes. */
export function mergeCookies(stored: StoredCookie[], headers: string[]): StoredCookie[] {
  const merged = new Map(stored.map((cookie) => [cookie.name, cookie]));
  for (const header of headers) {
    const [pair, ...attributes] = header.split(";");
    const at = pair.indexOf("=");
    const name = pair.slice(0, at).trim();
    if (isDeletion(attributes)) merged.delete(name);
    else merged.set(name, { ...merged.get(name), name, value: pair.slice(at + 1).trim() });
  }
  return [...merged.values()];
}

function isDeletion(attributes: string[]): boolean {
  return attributes.some((attribute) => {
    const [key, value = ""] = attribute.trim().split("=");
    if (key.toLowerCase() === "max-age") return Number(value) <= 0;
    return key.toLowerCase() === "expires" && Date.parse(value) < Date.now();
  });
}
