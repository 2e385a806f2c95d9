// Runs the route without Next: each line on standard input is a query for it, each line printed what it answered.

import { createInterface } from "node:readline";
import { GET } from "./app/api/cron/refresh-sessions/route.ts";

const headers = { authorization: `Bearer ${process.env.CRON_SECRET}` };

for await (const query of createInterface({ input: process.stdin })) {
  const started = performance.now();
  const cpu = process.cpuUsage();
  const response = await GET(new Request(`http://localhost/api/cron/refresh-sessions${query}`, { headers }));
  const answer = await response.json();
  const { user, system } = process.cpuUsage(cpu);
  const times = { ms: performance.now() - started, cpuMs: (user + system) / 1000 };
  console.log(JSON.stringify({ status: response.status, ...answer, ...times }));
}
