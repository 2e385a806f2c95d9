"use server";

import { cookies } from "next/headers";
import { redirect } from "next/navigation";
import { LANGUAGE_COOKIE } from "@/lib/language";
import { endSession, startSession } from "@/lib/session";
import { isDemo } from "@/lib/settings";
import { userById } from "@/lib/users";

export async function signIn(form: FormData) {
  const user = userById(String(form.get("user")));
  if (!user || !isDemo()) redirect("/sign-in");
  await startSession(user);
  redirect("/");
}

export async function signOut() {
  await endSession();
  redirect("/sign-in");
}

export async function chooseLanguage(form: FormData) {
  const language = form.get("language") === "es" ? "es" : "en";
  (await cookies()).set(LANGUAGE_COOKIE, language, { sameSite: "lax", maxAge: 365 * 24 * 60 * 60 });
}
