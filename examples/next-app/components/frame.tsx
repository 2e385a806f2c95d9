// What is around every page.

import Link from "next/link";
import { chooseLanguage, signOut } from "@/app/actions";
import { type Language, TEXTS } from "@/lib/texts";
import type { User } from "@/lib/users";

export function Header({ user, lang }: { user: User | null; lang: Language }) {
  const texts = TEXTS[lang];
  return (
    <header className="header">
      <div className="bar">
        <Link className="brand" href="/">
          <Logo />
          Cajón
        </Link>
        <form className="languages" action={chooseLanguage} aria-label={texts.language}>
          <LanguageButton language="es" name="Español" current={lang} />
          <LanguageButton language="en" name="English" current={lang} />
        </form>
        {user && (
          <form className="who" action={signOut}>
            <span className="avatar" aria-hidden="true">
              {user.name.charAt(0)}
            </span>
            <span className="email">{user.email}</span>
            <button type="submit" className="quiet">
              {texts.signOut}
            </button>
          </form>
        )}
      </div>
    </header>
  );
}

function LanguageButton({ language, name, current }: { language: Language; name: string; current: Language }) {
  return (
    <button type="submit" name="language" value={language} lang={language} aria-pressed={language === current}>
      <abbr title={name}>{language.toUpperCase()}</abbr>
    </button>
  );
}

function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M16 6 25 11v10l-9 5-9-5V11zM7 11l9 5 9-5M16 16v10" />
    </svg>
  );
}

export function Footer({ lang }: { lang: Language }) {
  const texts = TEXTS[lang];
  return (
    <footer className="footer">
      <p>{texts.footer}</p>
      <Link href="/states">{texts.states}</Link>
    </footer>
  );
}
