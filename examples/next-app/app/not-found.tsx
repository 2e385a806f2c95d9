import Link from "next/link";
import { language } from "@/lib/language";
import { TEXTS } from "@/lib/texts";

export default async function NotFound() {
  const texts = TEXTS[await language()];
  return (
    <main id="content" className="page narrow">
      <h1>{texts.notFound}</h1>
      <Link href="/">{texts.back}</Link>
    </main>
  );
}
