// What is set in wrangler.toml and as secrets: the names and defaults of the Worker that this one is measured against.

export interface Env {
  AIMHARDER_REFRESH_URL?: string;
  AIMHARDER_FINGERPRINT: string;
  SUPABASE_URL: string;
  SUPABASE_SERVICE_ROLE_KEY: string;
  SUPABASE_JWT_SECRET: string;
  JWT_ISSUER?: string;
  INTERNAL_API_KEY: string;
  REFRESH_BATCH_SIZE?: string;
  REFRESH_INTERVAL_MINUTES?: string;
  REFRESH_TIMEOUT_SECONDS?: string;
  REFRESH_MANUAL_INTERVAL_SECONDS?: string;
  REFRESH_EXHAUST_AFTER?: string;
  REFRESH_MAX_CONSUMERS?: string;
  UPSTREAM_MAX_IN_FLIGHT?: string;
  UPSTREAM_CALLS_PER_SECOND?: string;
  SUBREQUEST_LIMIT?: string;
  HISTORY_RETENTION_DAYS?: string;
  WAKE_QUEUE?: Queue<Wake>;
  RATE_LIMIT_USER?: RateLimit;
}

export interface Wake {
  wake: "claim";
}

export type Settings = ReturnType<typeof read>;

let settings: Settings | undefined;

/** An isolate's environment never changes. */
export function settingsOf(env: Env): Settings {
  settings ??= read(env);
  return settings;
}

function read(env: Env) {
  const number = (text: string | undefined, usual: number) => (text ? Number(text) : usual);
  const refreshUrl = env.AIMHARDER_REFRESH_URL ?? "https://aimharder.com/setrefresh";
  const supabaseUrl = env.SUPABASE_URL.replace(/\/+$/, "");
  const key = env.SUPABASE_SERVICE_ROLE_KEY;
  return {
    refreshUrl,
    upstream: new URL(refreshUrl).host,
    fingerprint: env.AIMHARDER_FINGERPRINT,
    databaseUrl: `${supabaseUrl}/rest/v1/rpc`,
    databaseHeaders: {
      "content-type": "application/json",
      apikey: key,
      // Keys of the new form go in `apikey` alone.
      ...(key.startsWith("eyJ") ? { authorization: `Bearer ${key}` } : {}),
    },
    jwtSecret: new TextEncoder().encode(env.SUPABASE_JWT_SECRET),
    jwtIssuer: env.JWT_ISSUER ?? `${supabaseUrl}/auth/v1`,
    internalKey: env.INTERNAL_API_KEY,
    batchSize: number(env.REFRESH_BATCH_SIZE, 10),
    intervalSeconds: number(env.REFRESH_INTERVAL_MINUTES, 20) * 60,
    timeoutMs: number(env.REFRESH_TIMEOUT_SECONDS, 10) * 1000,
    manualSeconds: number(env.REFRESH_MANUAL_INTERVAL_SECONDS, 30),
    maxConsumers: number(env.REFRESH_MAX_CONSUMERS, 10),
    subrequests: number(env.SUBREQUEST_LIMIT, 50),
    historyDays: number(env.HISTORY_RETENTION_DAYS, 30),
    policy: {
      intervalSeconds: number(env.REFRESH_INTERVAL_MINUTES, 20) * 60,
      maxInFlight: number(env.UPSTREAM_MAX_IN_FLIGHT, 24),
      callsPerSecond: number(env.UPSTREAM_CALLS_PER_SECOND, 20),
      exhaustAfter: number(env.REFRESH_EXHAUST_AFTER, 10),
    },
  };
}
