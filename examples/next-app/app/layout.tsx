import "@fontsource-variable/bricolage-grotesque";
import "@fontsource-variable/figtree";
import "aimharder-keepalive-client/indicator.css";
import "./globals.css";

import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";
import { Footer, Header } from "@/components/frame";
import { Keepalive } from "@/components/keepalive";
import { language } from "@/lib/language";
import { signedInUser } from "@/lib/session";
import { workerUrl } from "@/lib/settings";
import { REGIONS, TEXTS } from "@/lib/texts";

export async function generateMetadata(): Promise<Metadata> {
  return { title: "Cajón", description: TEXTS[await language()].tagline };
}

export const viewport: Viewport = {
  colorScheme: "light dark",
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#f6f3ec" },
    { media: "(prefers-color-scheme: dark)", color: "#14120f" },
  ],
};

export default async function Layout({ children }: { children: ReactNode }) {
  const [lang, user] = [await language(), await signedInUser()];
  return (
    <html lang={REGIONS[lang]}>
      <body>
        <a className="skip" href="#content">
          {TEXTS[lang].skip}
        </a>
        <Header user={user} lang={lang} />
        {user ? (
          <Keepalive url={workerUrl()} user={user.id} lang={lang}>
            {children}
          </Keepalive>
        ) : (
          children
        )}
        <Footer lang={lang} />
      </body>
    </html>
  );
}
