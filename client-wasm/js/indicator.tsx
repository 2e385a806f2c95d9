"use client";
// How the session stands, for people: in words, by shape and by colour, with a button and the reason why it is off.

import { useCallback, useId, useSyncExternalStore } from "react";
import { type RefreshToken, useRefresh } from "./react.js";
import { errorText, type IndicatorTexts, TEXTS } from "./texts.js";

/** What {@link RefreshIndicator} takes. */
export interface RefreshIndicatorProps {
  /** Whose state is shown. Default: that of the `RefreshProvider` around. */
  token?: RefreshToken | undefined;
  /** Default: the page's language, if it is one of these, else English. */
  locale?: "en" | "es" | undefined;
  /** Other words for some of the texts. */
  texts?: Partial<IndicatorTexts> | undefined;
  className?: string | undefined;
  /** Called by the sign-in button, which is there where only a sign-in helps. */
  onSignIn?: (() => void) | undefined;
}

/** Shows how the session stands, and refreshes it by hand. */
export function RefreshIndicator({ token, ...rest }: RefreshIndicatorProps) {
  return token ? <Indicator token={token} {...rest} /> : <IndicatorOfContext {...rest} />;
}

function IndicatorOfContext(props: RefreshIndicatorProps) {
  return <Indicator {...props} token={useRefresh()} />;
}

type ShownProps = RefreshIndicatorProps & { token: RefreshToken };

function Indicator({ token, texts, className = "", onSignIn, ...rest }: ShownProps) {
  const language = useLanguage();
  const locale = rest.locale ?? (/^es\b/i.test(language) ? "es" : "en");
  const region = regionOf(language, locale);
  const words = { ...TEXTS[locale], ...texts };
  const { canRefresh, blocked, isRefreshing, canRefreshAt, error, lastRefreshDate } = token;
  const until = Math.max(canRefreshAt?.getTime() ?? 0, error?.retryAt?.getTime() ?? 0);
  const clock = useNow(until - token.clockOffset);
  // All times told are the server's; the browser's clock may be wrong.
  const now = clock && clock + token.clockOffset;
  const look = token.state === "signed_out" || token.state === "unavailable" ? token.state : token.health;
  const why = error ? errorText(error.code, words) : look === "unavailable" ? words.byHand : null;
  const canSignIn = onSignIn && (blocked === "sign_in" || error?.code === "session_not_found");
  const note = useId();
  return (
    <section className={`akr akr-${look} ${className}`} aria-label={words.title} lang={locale}>
      <Icon look={look} turning={isRefreshing} />
      <div className="akr-text">
        <div role="status">
          <p className="akr-label">{isRefreshing ? words.refreshing : words[look]}</p>
          {why && <p className="akr-why">{why}</p>}
        </div>
        <p className="akr-last" aria-live="off">
          {lastRefreshDate && <LastRefresh at={lastRefreshDate} now={now} words={words} region={region} />}
          {!lastRefreshDate && token.state === "active" && words.never}
        </p>
        <p className="akr-note" aria-live="off">
          <span id={note}>{reason(token, words, now)}</span> {outlook(token, words, now, region)}
        </p>
      </div>
      <div className="akr-buttons">
        {canSignIn && (
          <button type="button" className="akr-button akr-main" onClick={onSignIn}>
            {words.signIn}
          </button>
        )}
        <button
          type="button"
          className="akr-button"
          // Not `disabled`: that would take the keyboard's focus away.
          aria-disabled={!canRefresh}
          aria-describedby={canRefresh ? undefined : note}
          onClick={() => canRefresh && void token.refresh()}
        >
          {words.refresh}
        </button>
      </div>
    </section>
  );
}

type Look = RefreshToken["health"] | "signed_out" | "unavailable";

const SHAPES: Record<Look, string> = {
  healthy: "m5 10.5 3.5 3.5L15 7",
  due: "M10 5.5V10l3 2M3 10a7 7 0 1 0 14 0 7 7 0 1 0-14 0",
  degraded: "M10 7.5v3.8M10 14v.1M10 3 2.5 16.5h15z",
  expired: "m7 7 6 6m0-6-6 6M7 2.5h6L17.5 7v6L13 17.5H7L2.5 13V7z",
  unknown: "M5 10v.1M10 10v.1M15 10v.1",
  signed_out: "M11.5 3.5h-7v13h7M8.5 10H17m-3-3 3 3-3 3",
  unavailable: "m5 15L15 5M3 10a7 7 0 1 0 14 0 7 7 0 1 0-14 0",
};
const TURNING = "M16.5 10a6.5 6.5 0 1 1-2-4.7M15 2v3.5h-3.5";

function Icon({ look, turning }: { look: Look; turning: boolean }) {
  return (
    <svg className="akr-icon" viewBox="0 0 20 20" aria-hidden="true">
      <path className={turning ? "akr-turning" : ""} d={turning ? TURNING : SHAPES[look]} />
    </svg>
  );
}

type Locale = keyof typeof TEXTS;

/** The page's language with its region, if that is usable: it decides how times are written. */
const regionOf = (language: string, locale: Locale): string =>
  /^[a-z]{2}-[a-z]{2}$/i.test(language) && language.startsWith(locale) ? language : locale;

interface LastRefreshProps {
  at: Date;
  now: number;
  words: IndicatorTexts;
  region: string;
}

/** In words only where the browser's time and time zone are known. */
function LastRefresh({ at, now, words, region }: LastRefreshProps) {
  const isToday = at.toDateString() === new Date(now).toDateString();
  const style = { timeStyle: "short", dateStyle: isToday ? undefined : "medium" } as const;
  return (
    <>
      {now > 0 && <span>{words.last.replace("{time}", inWords(at, Math.max(now, at.getTime()), words, region))}</span>}{" "}
      <time dateTime={at.toISOString()}>{now ? at.toLocaleString(region, style) : at.toISOString()}</time>
    </>
  );
}

/** Why the button is off. */
function reason({ canRefresh, blocked, canRefreshAt, isRefreshing }: RefreshToken, words: IndicatorTexts, now: number) {
  if (canRefresh) return null;
  if (blocked === "sign_in") return words.signInFirst;
  if (blocked === "wait" && canRefreshAt) return countdown(words.wait, canRefreshAt, now);
  return isRefreshing ? words.busy : words.asking;
}

/** What happens next by itself. */
function outlook(
  { health, isRefreshing, error, nextRefreshDue }: RefreshToken,
  words: IndicatorTexts,
  now: number,
  region: string,
) {
  if (!now || isRefreshing) return null;
  const ahead = (at: Date | null | undefined) => (at && at.getTime() > now ? at : null);
  const retry = ahead(error?.retryAt);
  if (retry) return countdown(words.retry, retry, now);
  const next = health === "healthy" && ahead(nextRefreshDue);
  return next ? words.next.replace("{time}", inWords(next, now, words, region)) : null;
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

function inWords(at: Date, now: number, words: IndicatorTexts, region: string): string {
  const seconds = (at.getTime() - now) / 1000;
  for (const [unit, size] of UNITS) {
    const count = Math.trunc(seconds / size);
    if (count !== 0) return new Intl.RelativeTimeFormat(region, { numeric: "auto" }).format(count, unit);
  }
  return seconds > 0 ? words.soon : words.justNow;
}

function countdown(text: string, until: Date, now: number): string | null {
  if (!now) return null;
  const left = Math.max(0, Math.ceil((until.getTime() - now) / 1000));
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (number: number) => String(number).padStart(2, "0");
  return text.replace("{time}", hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`);
}

/** The time in whole seconds: told each second before `until`, then twice a minute. 0 until the page is alive. */
function useNow(until: number): number {
  const subscribe = useCallback(
    (notify: () => void) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const tick = () => {
        clearTimeout(timer);
        notify();
        if (document.hidden) return;
        const now = Date.now();
        timer = setTimeout(tick, now < until ? 1000 - (now % 1000) : 30_000);
      };
      tick();
      document.addEventListener("visibilitychange", tick);
      return () => {
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", tick);
      };
    },
    [until],
  );
  return useSyncExternalStore(subscribe, thisSecond, () => 0);
}

const thisSecond = () => Math.floor(Date.now() / 1000) * 1000;

const pageLanguage = () => document.documentElement.lang;

function useLanguage(): string {
  return useSyncExternalStore(onLanguage, pageLanguage, () => "");
}

function onLanguage(notify: () => void): () => void {
  const observer = new MutationObserver(notify);
  observer.observe(document.documentElement, { attributeFilter: ["lang"] });
  return () => observer.disconnect();
}
