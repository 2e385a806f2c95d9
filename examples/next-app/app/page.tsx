import { redirect } from "next/navigation";
import { Classes, NextClass } from "@/components/classes";
import { SessionDetails, SessionIndicator } from "@/components/session";
import { language } from "@/lib/language";
import { signedInUser } from "@/lib/session";
import { fill, TEXTS } from "@/lib/texts";

export default async function Home() {
  const user = await signedInUser();
  if (!user) redirect("/sign-in");
  const lang = await language();
  const texts = TEXTS[lang];
  return (
    <main id="content" className="page">
      <div className="top">
        <div className="hero">
          <h1>{fill(texts.hello, { name: user.name })}</h1>
          <p>{texts.intro}</p>
        </div>
        <NextClass lang={lang} />
      </div>
      <SessionIndicator lang={lang} />
      <div className="columns">
        <Classes lang={lang} />
        <SessionDetails lang={lang} />
      </div>
    </main>
  );
}
