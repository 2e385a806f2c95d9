"use client";

import { RefreshIndicator, type RefreshToken, useRefresh } from "aimharder-keepalive-client/react";
import { useRouter } from "next/navigation";
import type { ReactNode } from "react";
import { fill, type Language, REGIONS, TEXTS, type Texts } from "@/lib/texts";

export function SessionIndicator({ lang }: { lang: Language }) {
  const router = useRouter();
  return <RefreshIndicator locale={lang} className="indicator" onSignIn={() => router.push("/aimharder")} />;
}

export function SessionDetails({ lang }: { lang: Language }) {
  const texts = TEXTS[lang];
  const session = useRefresh();
  const { state, health, lastRefreshDate, nextRefreshDue, refreshCount, needsRefresh, error } = session;
  return (
    <section className="card details" aria-labelledby="details">
      <h2 id="details">{texts.details}</h2>
      <p className="muted">{texts.detailsNote}</p>
      <dl>
        <Detail name={texts.state}>{texts.stateNames[state]}</Detail>
        <Detail name={texts.health}>
          <span className={`health ${health}`}>{texts.healthNames[health]}</span>
        </Detail>
        <Detail name={texts.lastRefresh}>{clock(lastRefreshDate, lang)}</Detail>
        <Detail name={texts.nextDue}>{clock(nextRefreshDue, lang)}</Detail>
        <Detail name={texts.count}>{refreshCount}</Detail>
        <Detail name={texts.needsRefresh}>{needsRefresh ? texts.yes : texts.no}</Detail>
        <Detail name={texts.canRefresh}>{byHand(session, texts, lang)}</Detail>
        <Detail name={texts.error}>{error ? <code>{error.code}</code> : texts.none}</Detail>
      </dl>
    </section>
  );
}

function Detail({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function clock(date: Date | null, lang: Language) {
  if (!date) return "–";
  return <time dateTime={date.toISOString()}>{date.toLocaleTimeString(REGIONS[lang], { timeStyle: "medium" })}</time>;
}

function byHand({ canRefresh, blocked, canRefreshAt }: RefreshToken, texts: Texts, lang: Language) {
  if (canRefresh) return texts.possible;
  const time = canRefreshAt?.toLocaleTimeString(REGIONS[lang], { timeStyle: "medium" }) ?? "";
  return blocked ? fill(texts.blocked[blocked], { time }) : "–";
}
