// HTTP servers that workerd calls.

import { createServer } from "node:http";

/** An HTTP server; workerd keeps its connections open for longer than Node's five seconds, and would meet closed ones. */
export function createLastingServer(handle) {
  return createServer({ keepAliveTimeout: 120_000 }, handle);
}
