// What the environment says, read when it is needed. Never in the browser.

/** Sign-in by a click, and secrets that everybody knows: for a machine of one's own. */
export const isDemo = (): boolean => process.env.NODE_ENV !== "production" || process.env.DEMO === "1";

/** The Worker, as the browser reaches it. */
export const workerUrl = (): string => process.env.WORKER_URL || "http://127.0.0.1:8787";

/** Signs this app's own session. */
export const appSecret = (): Uint8Array => secret("APP_SECRET", "the-secret-of-the-example-for-development-only");

/** Signs what the Worker accepts. The default is the one that Supabase's CLI publishes. */
export const workerSecret = (): Uint8Array =>
  secret("SUPABASE_JWT_SECRET", "super-secret-jwt-token-with-at-least-32-characters-long");

/** The Worker's JWT_ISSUER: whose tokens it accepts. The default is the Supabase CLI's. */
export const workerIssuer = (): string => required("JWT_ISSUER", "http://127.0.0.1:54321/auth/v1");

const secret = (name: string, forDemo: string): Uint8Array => new TextEncoder().encode(required(name, forDemo));

function required(name: string, forDemo: string): string {
  const value = process.env[name] || (isDemo() ? forDemo : undefined);
  if (!value) throw new Error(`${name} is not set.`);
  return value;
}
