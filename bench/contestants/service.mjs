// The usual way: a service in TypeScript as people write it on Next.js and supabase-js. Its route runs in a Node of its
// own, without Next, which spares it the framework's share.

import { once } from "node:events";
import path from "node:path";
import { start, stop } from "../../local/processes.mjs";

const HOME = path.join(import.meta.dirname, "service");

/** A service for a world's database and stand-in. `reader`: how it reads pages, "regex" or "cheerio". */
export function startService({ supabase, site }, { reader = "regex" } = {}) {
  const lines = [];
  const child = start(process.execPath, ["serve.ts"], {
    cwd: HOME,
    stdio: ["pipe", "pipe", "pipe"],
    log: (line) => (line.startsWith("{") ? child.emit("answer", JSON.parse(line)) : lines.push(line)),
    env: {
      SUPABASE_URL: supabase.url,
      SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
      AIMHARDER_REFRESH_URL: site.refreshUrl,
      AIMHARDER_FINGERPRINT: "fallbackfingerprint",
      CRON_SECRET: "bench",
      PAGE_READER: reader,
    },
  });
  const ended = () => Promise.reject(new Error(`the service ended: ${lines.slice(-3).join(" ")}`));
  return {
    pid: child.pid,
    /** Refreshes all that is due: `chunk` at once, or one by one with a pause. Answers what the route does, with times. */
    async run({ chunk } = {}) {
      const answer = once(child, "answer");
      child.stdin.write(`${chunk ? `?chunk=${chunk}` : ""}\n`);
      const [said] = await Promise.race([answer, child.ended.then(ended)]);
      if (!said.success || said.failed > 0) throw new Error(`the service failed: ${lines.slice(-3).join(" ")}`);
      return said;
    },
    stop: () => stop(child),
  };
}
