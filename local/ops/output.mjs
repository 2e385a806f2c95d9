// What is said to people and to programs: results on standard output, all else on standard error.

import { styleText } from "node:util";
import { facts, fitted, table } from "./table.mjs";

const ERASE = "\r\x1b[2K";

export class Output {
  #drawn = false;

  constructor({ json = false, stdout = process.stdout, stderr = process.stderr, environment = process.env } = {}) {
    Object.assign(this, { json, stdout, stderr, environment });
    // A reader that has seen enough (`| head`) is no failure.
    stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 2));
  }

  /** Columns to keep to; what goes to a file or a pipe is not cut. */
  get width() {
    return this.stdout.isTTY ? (this.stdout.columns ?? 80) : Infinity;
  }

  style(format, text, stream = this.stdout) {
    const { NO_COLOR, TERM } = this.environment;
    const plain = NO_COLOR || TERM === "dumb" || !stream.isTTY;
    return plain ? text : styleText(format, text, { stream });
  }

  /** Lines for people; with `--json` none. */
  say(...lines) {
    if (!this.json) this.stdout.write(`${lines.flat().join("\n")}\n`);
  }

  /** A value for programs, if they ask; on one line where there are `lines` of them. */
  tell(value, { lines = false } = {}) {
    if (this.json) this.stdout.write(`${JSON.stringify(value, undefined, lines ? 0 : 2)}\n`);
  }

  title(text) {
    this.say("", this.style("bold", text));
  }

  table(columns, rows) {
    this.say(table(columns, rows, { most: this.width, heading: (text) => this.style("dim", text) }));
  }

  facts(pairs) {
    this.say(facts(pairs, { most: Math.min(this.width, 80), heading: (text) => this.style("dim", text) }));
  }

  /** Something by the way. */
  note(text) {
    this.clear();
    this.stderr.write(`${text}\n`);
  }

  /** A line that the next one replaces; only on a terminal. */
  draw(text) {
    if (!this.stderr.isTTY) return;
    this.stderr.write(ERASE + fitted(text, (this.stderr.columns ?? 80) - 1));
    this.#drawn = true;
  }

  clear() {
    if (this.#drawn) this.stderr.write(ERASE);
    this.#drawn = false;
  }
}
