"use client";

import { useRefresh } from "aimharder-keepalive-client/react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { type Language, TEXTS } from "@/lib/texts";

/** What an app does after a new sign-in to aimharder. */
export function CheckAgain({ lang }: { lang: Language }) {
  const { checkStatus } = useRefresh();
  const router = useRouter();
  const [isStillOver, setStillOver] = useState(false);
  async function check() {
    setStillOver(false);
    const { health } = await checkStatus();
    if (health === "expired") setStillOver(true);
    else router.push("/");
  }
  return (
    <div className="actions">
      <button type="button" className="primary" onClick={check}>
        {TEXTS[lang].aimharderAction}
      </button>
      <p role="status">{isStillOver && TEXTS[lang].aimharderStill}</p>
    </div>
  );
}
