"use client";

// React over the client: `useSyncExternalStore`, and one client for all that ask for the same session.

import type { ReactNode } from "react";
import { createContext, useContext, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { RefreshClient, RefreshClientOptions, RefreshSnapshot } from "./client.js";
import { createRefreshClient, INITIAL } from "./client.js";

export type { RefreshClientOptions, RefreshError, RefreshSnapshot, TokenSource } from "./client.js";
export type { Blocked, Health, SessionState } from "./core.js";
export type { RefreshIndicatorProps } from "./indicator.js";
export { RefreshIndicator } from "./indicator.js";
export type { IndicatorTexts } from "./texts.js";

/** What {@link useRefreshToken} answers: how things stand, and what can be done. */
export interface RefreshToken extends RefreshSnapshot {
  /** Refreshes now, if that is possible. */
  refresh(): Promise<RefreshSnapshot>;
  /** Asks how the session stands now, after a new sign-in say. */
  checkStatus(): Promise<RefreshSnapshot>;
}

const clients = new Map<string, RefreshClient>();

/** The client for these options: the same for all of a page's components. A server makes none that lasts. */
function clientFor(options: RefreshClientOptions): RefreshClient {
  if (typeof window === "undefined") return createRefreshClient(options);
  const key = JSON.stringify([options.url, options.user, options.sessionId, !options.getToken]);
  let client = clients.get(key);
  if (!client) {
    client = createRefreshClient(options);
    clients.set(key, client);
  }
  return client;
}

const initial = () => INITIAL;

/** Keeps the session of the signed-in user fresh for as long as the component is there. */
export function useRefreshToken(options: RefreshClientOptions = {}): RefreshToken {
  const { url, user, sessionId, getToken } = options;
  const byToken = Boolean(getToken);
  const latest = useRef(getToken);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another function for the token is no other client.
  const client = useMemo(() => clientFor({ url, user, sessionId, getToken }), [url, user, sessionId, byToken]);
  useEffect(() => {
    latest.current = getToken;
    client.configure({ getToken: latest.current });
  }, [client, getToken]);
  const snapshot = useSyncExternalStore(client.subscribe, client.getSnapshot, initial);
  return useMemo(() => ({ ...snapshot, refresh: client.refresh, checkStatus: client.checkStatus }), [snapshot, client]);
}

const Context = createContext<RefreshToken | null>(null);

/** What {@link RefreshProvider} takes. */
export interface RefreshProviderProps extends RefreshClientOptions {
  /** Called once each time that the aimharder session is found to be over. */
  onExpired?: () => void;
  children?: ReactNode;
}

/** Keeps one session fresh for a whole app, and tells all of it how it stands. */
export function RefreshProvider({ children, onExpired, ...options }: RefreshProviderProps) {
  const token = useRefreshToken(options);
  const told = useRef(onExpired);
  useEffect(() => {
    told.current = onExpired;
  }, [onExpired]);
  const expired = token.health === "expired";
  useEffect(() => {
    if (expired) told.current?.();
  }, [expired]);
  return <Context.Provider value={token}>{children}</Context.Provider>;
}

/** How the session of the {@link RefreshProvider} around stands. */
export function useRefresh(): RefreshToken {
  const token = useContext(Context);
  if (!token) throw new Error("useRefresh needs a RefreshProvider around it.");
  return token;
}
