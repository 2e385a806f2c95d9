// What can be asked for, and how it is written.

import { parseArgs } from "node:util";
import { care } from "./care.mjs";
import { due } from "./due.mjs";
import { misuse } from "./failure.mjs";
import { run } from "./run.mjs";
import { session } from "./session.mjs";
import { status } from "./status.mjs";
import { facts } from "./table.mjs";
import { tail } from "./tail.mjs";

const ONE_SESSION = "<id or e-mail>";

/** `{ does, run(app), operand?, options?, more? }` by name; `run` answers the exit code. */
export const COMMANDS = {
  status: {
    does: "whether all is well, and if not, what is wrong",
    run: status,
    more: "Exit code: 0 ready, 1 not ready, 2 no answer.",
  },
  due: { does: "how many sessions are due, and what holds calls back", run: due },
  run: {
    does: "refresh what is due, until nothing is",
    run,
    options: { once: { type: "boolean", does: "one run only, of up to 45 s" } },
    more: "Exit code: 0 nothing failed, 1 something did or is left undone.\nCtrl-C lets the run under way wind up.",
  },
  session: {
    does: "one session and what happened to it",
    run: session,
    operand: ONE_SESSION,
    more: "Part of an e-mail is enough. Where several sessions match, they are listed.",
  },
  enable: {
    does: "give a session back to the batch's care; one that was given up is taken up again",
    run: (app) => care("enable", app),
    operand: ONE_SESSION,
  },
  disable: {
    does: "take a session out of the batch's care",
    run: (app) => care("disable", app),
    operand: ONE_SESSION,
  },
  tail: {
    does: "runs as they end, until Ctrl-C",
    run: tail,
    options: {
      last: { type: "string", default: "5", does: "how many earlier runs to begin with, 0 to 20 (default 5)" },
    },
    more: "With --json there is one line for each run.",
  },
};

const SHARED = {
  url: { type: "string", does: "the Worker's address; by default KEEPALIVE_URL, or the local stack's" },
  json: { type: "boolean", does: "JSON on standard output, for programs" },
  timeout: {
    type: "string",
    default: "20",
    does: "seconds to wait for an answer, by default 20; a run has a minute more",
  },
  help: { type: "boolean", short: "h", does: "this" },
};

const KEY = `The key is INTERNAL_API_KEY of the environment or of .dev.vars; the local stack
needs none.`;

/** Answers `{ command, values, operands }`, or throws what is wrong, in a sentence. */
export function understood(args) {
  const all = Object.assign({}, SHARED, ...Object.values(COMMANDS).map(({ options }) => options));
  const { values, positionals, tokens } = parsed(args, all);
  const [command, ...operands] = positionals;
  if (command === undefined) {
    if (values.help || args.length === 0) return { command, values, operands };
    throw misuse(`What is to be done is missing: ${listed()}.`);
  }
  if (!Object.hasOwn(COMMANDS, command)) throw misuse(`There is no command "${command}": ${listed()}.`);
  const { options = {}, operand } = COMMANDS[command];
  const stray = tokens.find(({ kind, name }) => kind === "option" && !(name in SHARED) && !(name in options));
  if (stray) throw misuse(`"${command}" has no option --${stray.name}: see "npm run ops -- ${command} --help".`);
  if (!values.help) checkOperands(command, operand, operands);
  const { timeout, last } = values;
  values.timeout = whole("--timeout", timeout, 1, 600);
  values.last = whole("--last", last, 0, 20);
  return { command, values, operands };
}

const listed = () => `there are ${Object.keys(COMMANDS).join(", ")}`;

function parsed(args, all) {
  const options = Object.fromEntries(Object.entries(all).map(([name, { does, ...option }]) => [name, option]));
  try {
    return parseArgs({ args, options, allowPositionals: true, tokens: true });
  } catch (error) {
    if (error.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
      throw misuse(`There is no option ${error.message.match(/'(.+?)'/)?.[1]}: see "npm run ops -- --help".`);
    }
    throw misuse(`${error.message.split("\n")[0].replace(/\.?$/, ".")}`);
  }
}

function checkOperands(command, operand, operands) {
  const wanted = operand ? 1 : 0;
  if (operands.length < wanted) throw misuse(`"${command}" wants ${operand}.`);
  if (operands.length > wanted) throw misuse(`"${command}" can't make use of "${operands[wanted]}".`);
}

function whole(name, text, least, most) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least || number > most) {
    throw misuse(`${name} wants a whole number from ${least} to ${most}, not "${text}".`);
  }
  return number;
}

/** How to use all of it, or one command. */
export const help = (command) => (command ? helpOf(command) : helpOfAll());

function helpOfAll() {
  const commands = Object.entries(COMMANDS).map(([name, { does, operand }]) => [
    operand ? `${name} ${operand}` : name,
    does,
  ]);
  return ["Usage: npm run ops -- <command> [options]", "", ...pairs(commands), "", ...described(SHARED), "", KEY].join(
    "\n",
  );
}

function helpOf(command) {
  const { does, operand, options = {}, more } = COMMANDS[command];
  const usage = `Usage: npm run ops -- ${command}${operand ? ` ${operand}` : ""} [options]`;
  const after = more ? ["", more] : [];
  return [usage, "", `  ${does}`, "", ...described({ ...options, ...SHARED }), ...after, "", KEY].join("\n");
}

function described(options) {
  return pairs(
    Object.entries(options).map(([name, { does, type, short }]) => [
      `--${name}${type === "string" ? " <…>" : ""}${short ? `, -${short}` : ""}`,
      does,
    ]),
  );
}

const pairs = (list) => facts(list, { most: 78 }).map((line) => `  ${line}`);
