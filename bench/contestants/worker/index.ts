// The rival: the same work over the same database functions, as a TypeScript Worker.

import { failure, ok } from "./answer";
import { runBatch } from "./batch";
import { call, DatabaseError } from "./database";
import { isInternalKey, signedIn } from "./identity";
import { type Env, type Settings, settingsOf, type Wake } from "./settings";
import { refreshForUser } from "./user";

/** Six at once for 45 seconds, where upstream takes half a second or more: a tick with more due wakes others. */
const USUAL_REFRESH_MS = 500;
const sessionsOfARun = (refreshMs: number) => (6 * 45_000) / Math.max(USUAL_REFRESH_MS, refreshMs);

export default {
  async fetch(request, env, context) {
    try {
      return await answer(request, env, context);
    } catch (error) {
      const code = error instanceof DatabaseError ? error.code : "interrupted";
      console.error(JSON.stringify({ event: "request_failed", code, reason: String(error) }));
      return failure(code);
    }
  },

  async scheduled(_event, env) {
    const settings = settingsOf(env);
    await wakeOthers(env, settings);
    await runBatch(settings, "cron", settings.batchSize, settings.subrequests - 2);
  },

  async queue(batch, env) {
    const settings = settingsOf(env);
    const { error } = await runBatch(settings, "queue", settings.batchSize, settings.subrequests);
    if (error) batch.retryAll({ delaySeconds: 30 });
    else batch.ackAll();
  },
} satisfies ExportedHandler<Env, Wake>;

async function answer(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/healthz") return ok({ status: "ok" });
  const route = ROUTES[pathname];
  if (!route) return failure("not_found");
  if (request.method !== "POST") return failure("method_not_allowed");
  const work = route(request, env, settingsOf(env));
  // What upstream hands out is written even if the asker hangs up.
  context.waitUntil(work.catch(() => {}));
  return work;
}

const ROUTES: Record<string, (request: Request, env: Env, settings: Settings) => Promise<Response>> = {
  async "/api/auth/refresh"(request, env, settings) {
    const email = await signedIn(request.headers.get("authorization"), settings);
    if (!email) return failure("unauthorized");
    const limited = await env.RATE_LIMIT_USER?.limit({ key: email });
    if (limited && !limited.success) return failure("rate_limited", 60);
    const choice = await body(request);
    const sessionId = choice?.sessionId;
    if (!choice || (sessionId !== undefined && typeof sessionId !== "string")) return failure("bad_request");
    return refreshForUser(email, sessionId ?? null, settings);
  },

  async "/api/internal/refresh-sessions"(request, _env, settings) {
    if (!(await isInternalKey(request.headers.get("x-api-key"), settings.internalKey))) return failure("unauthorized");
    const choice = await body(request);
    const batchSize = Number(choice?.batchSize ?? settings.batchSize);
    if (!choice || !Number.isInteger(batchSize) || batchSize < 1) return failure("bad_request");
    const { summary, error } = await runBatch(settings, "api", batchSize, settings.subrequests - 1);
    if (error) return failure(error.code, undefined, summary);
    if (summary.failed > 0 && summary.refreshed === 0) return failure("batch_failed", undefined, summary);
    return ok(summary);
  },
};

/** `undefined` where it is no JSON object; none at all is an empty one. */
async function body(request: Request): Promise<Record<string, unknown> | undefined> {
  try {
    const value = JSON.parse((await request.text()) || "{}");
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

async function wakeOthers(env: Env, settings: Settings) {
  if (!env.WAKE_QUEUE) return;
  const { due, refreshMs, held } = await call<Outlook>(settings, "outlook", {
    p_upstream: settings.upstream,
    p_policy: settings.policy,
    p_limit: sessionsOfARun(0) * (settings.maxConsumers + 1) + 1,
  });
  const helpers = Math.min(settings.maxConsumers, Math.ceil(due / sessionsOfARun(refreshMs ?? 0)) - 1);
  if (helpers > 0 && !held) {
    await env.WAKE_QUEUE.sendBatch(Array.from({ length: helpers }, () => ({ body: { wake: "claim" } as const })));
  }
}

interface Outlook {
  due: number;
  refreshMs: number | null;
  held: string | null;
}
