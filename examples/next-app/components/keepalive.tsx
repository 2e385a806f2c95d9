"use client";

import { RefreshProvider, useRefresh } from "aimharder-keepalive-client/react";
import Link from "next/link";
import { type ReactNode, useMemo, useState } from "react";
import { tokenOf } from "@/lib/keepalive-token";
import { type Language, TEXTS } from "@/lib/texts";

interface KeepaliveProps {
  url: string;
  user: string;
  lang: Language;
  children: ReactNode;
}

/** Keeps the signed-in user's session fresh on every page, and says so when it is over. */
export function Keepalive({ url, user, lang, children }: KeepaliveProps) {
  const getToken = useMemo(() => tokenOf(user), [user]);
  const [wasTold, setWasTold] = useState(false);
  return (
    <RefreshProvider url={url} user={user} getToken={getToken} onExpired={() => setWasTold(true)}>
      {wasTold && <ExpiredBanner lang={lang} />}
      {children}
    </RefreshProvider>
  );
}

function ExpiredBanner({ lang }: { lang: Language }) {
  const { health } = useRefresh();
  if (health !== "expired") return null;
  return (
    <div className="banner" role="alert">
      <p>{TEXTS[lang].over}</p>
      <Link href="/aimharder">{TEXTS[lang].overAction}</Link>
    </div>
  );
}
