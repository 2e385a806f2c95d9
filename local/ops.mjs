// `npm run ops -- status`: the operators' command line. It talks to a Worker's internal routes over HTTP, and needs nothing
// but Node: neither a build nor `npm ci`.

import { client } from "./ops/client.mjs";
import { Failure } from "./ops/failure.mjs";
import { Output } from "./ops/output.mjs";
import { target } from "./ops/target.mjs";
import { COMMANDS, help, understood } from "./ops/usage.mjs";
import { span } from "./ops/words.mjs";

const args = process.argv.slice(2);
// Set before anything is understood: who wants JSON wants it of a mistake, too.
const output = new Output({ json: args.includes("--json") });

async function main() {
  const { command, values, operands } = understood(args);
  if (values.help || !command) {
    process.stdout.write(`${help(command)}\n`);
    return 0;
  }
  const { url, key } = target(values.url);
  const call = client({ url, key, patienceMs: values.timeout * 1000 });
  return COMMANDS[command].run({ call, output, values, operands, url });
}

try {
  process.exitCode = await main();
} catch (error) {
  output.clear();
  if (!(error instanceof Failure)) throw error;
  const { requestId, retryAfterMs } = error.facts;
  output.tell(error);
  const later = retryAfterMs === undefined ? "" : ` Try again in ${span(retryAfterMs / 1000)}.`;
  const request = requestId ? ` (request ${requestId})` : "";
  output.note(output.style("red", error.message, process.stderr) + later + request);
  process.exitCode = error.exit;
}
