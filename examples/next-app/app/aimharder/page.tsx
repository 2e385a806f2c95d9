import Link from "next/link";
import { redirect } from "next/navigation";
import { CheckAgain } from "@/components/check-again";
import { language } from "@/lib/language";
import { signedInUser } from "@/lib/session";
import { TEXTS } from "@/lib/texts";

export default async function SignInToAimharder() {
  if (!(await signedInUser())) redirect("/sign-in");
  const lang = await language();
  const texts = TEXTS[lang];
  return (
    <main id="content" className="page narrow">
      <div className="hero">
        <h1>{texts.aimharderTitle}</h1>
        <p>{texts.aimharderText}</p>
      </div>
      <CheckAgain lang={lang} />
      <Link href="/">{texts.back}</Link>
    </main>
  );
}
