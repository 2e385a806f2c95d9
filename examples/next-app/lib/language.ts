import { cookies, headers } from "next/headers";
import { cache } from "react";
import type { Language } from "./texts";

export const LANGUAGE_COOKIE = "language";

/** What the user chose, else what the browser asks for first. */
export const language = cache(async (): Promise<Language> => {
  const chosen = (await cookies()).get(LANGUAGE_COOKIE)?.value;
  const wanted = chosen ?? (await headers()).get("accept-language") ?? "";
  return wanted.startsWith("es") ? "es" : "en";
});
