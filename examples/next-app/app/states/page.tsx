import { connection } from "next/server";
import { States } from "@/components/states";
import { language } from "@/lib/language";
import { TEXTS } from "@/lib/texts";

export default async function AllStates() {
  await connection();
  const texts = TEXTS[await language()];
  return (
    <main id="content" className="page">
      <div className="hero">
        <h1>{texts.statesTitle}</h1>
        <p>{texts.statesNote}</p>
      </div>
      <States now={Date.now()} />
    </main>
  );
}
