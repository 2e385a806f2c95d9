// The hook that a developer would write by hand for this project's routes: how it stands once a minute and whenever the
// user comes back, a refresh when it is due, nothing twice at once.

import { useCallback, useEffect, useRef, useState } from "react";

const INTERVAL = 60_000;

export function useRefreshToken(getToken) {
  const [status, setStatus] = useState(null);
  const [error, setError] = useState(null);
  const [isSignedOut, setIsSignedOut] = useState(false);
  const busy = useRef(false);

  const ask = useCallback(
    async (method) => {
      const response = await fetch("/api/auth/refresh", {
        method,
        headers: { authorization: `Bearer ${await getToken()}` },
      });
      if (response.status === 401) setIsSignedOut(true);
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return response.json();
    },
    [getToken],
  );

  const check = useCallback(async () => {
    if (busy.current) return;
    busy.current = true;
    try {
      let answer = await ask("GET");
      if (answer.needsRefresh && answer.canRefresh) answer = { ...answer, ...(await ask("POST")), needsRefresh: false };
      setStatus(answer);
      setError(null);
    } catch (failure) {
      setError(failure);
    } finally {
      busy.current = false;
    }
  }, [ask]);

  useEffect(() => {
    if (isSignedOut) return;
    const whenVisible = () => document.visibilityState === "visible" && check();
    check();
    const timer = setInterval(check, INTERVAL);
    document.addEventListener("visibilitychange", whenVisible);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", whenVisible);
    };
  }, [check, isSignedOut]);

  return { status, error, isSignedOut, refresh: check };
}
