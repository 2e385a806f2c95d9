// Text in columns that align, whatever is in them.

const segments = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const WIDE =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6]/u;
const NARROWEST = /^[\p{M}\p{Cf}]+$/u;

const graphemes = (text) => Array.from(segments.segment(text), ({ segment }) => segment);
const cells = (grapheme) => (WIDE.test(grapheme) ? 2 : NARROWEST.test(grapheme) ? 0 : 1);

/** How many cells of a terminal a text takes. */
export const width = (text) => graphemes(text).reduce((sum, grapheme) => sum + cells(grapheme), 0);

/** What others wrote, made harmless: nothing in it steers the terminal, or turns the direction of writing. */
export const harmless = (text) => String(text).replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "�");

/** Shortened to so many cells. */
export function fitted(text, most) {
  if (width(text) <= most) return text;
  let kept = "";
  let used = 0;
  for (const grapheme of graphemes(text)) {
    used += cells(grapheme);
    if (used > most - 1) break;
    kept += grapheme;
  }
  return `${kept}…`;
}

/**
 * Lines of a table. `columns`: `{ title, of(row), right?, shrinks?, style? }`; the one that `shrinks` gives way where the
 * whole is wider than `most`; `style(text, row)` colours a cell that was padded already.
 */
export function table(columns, rows, { most = Infinity, heading = (text) => text } = {}) {
  const texts = rows.map((row) => columns.map((column) => harmless(column.of(row) ?? "–")));
  const widths = columns.map(({ title }, at) => Math.max(width(title), ...texts.map((row) => width(row[at]))));
  shrink(columns, widths, most);
  const head = line(columns.map(({ title }, at) => padded(title, widths[at], columns[at].right)));
  const body = texts.map((row, number) =>
    line(
      row.map((text, at) => {
        const cell = padded(fitted(text, widths[at]), widths[at], columns[at].right);
        return columns[at].style?.(cell, rows[number]) ?? cell;
      }),
    ),
  );
  return [heading(head), ...body];
}

const SHORTEST = 12;

function shrink(columns, widths, most) {
  const at = columns.findIndex(({ shrinks }) => shrinks);
  const over = widths.reduce((sum, one) => sum + one + 2, -2) - most;
  if (at >= 0 && over > 0) widths[at] = Math.min(widths[at], Math.max(SHORTEST, widths[at] - over));
}

const line = (parts) => parts.join("  ").trimEnd();

function padded(text, size, right) {
  const space = " ".repeat(Math.max(0, size - width(text)));
  return right ? space + text : text + space;
}

/** Lines of `[label, text]`, the texts below each other; what is longer than `most` goes on in the next line. */
export function facts(pairs, { most = 80, heading = (text) => text } = {}) {
  const size = Math.max(...pairs.map(([label]) => width(label))) + 2;
  return pairs.flatMap(([label, text]) =>
    wrapped(harmless(text), most - size).map(
      (part, at) => (at === 0 ? heading(padded(label, size)) : " ".repeat(size)) + part,
    ),
  );
}

/** Breaks after a comma or semicolon, lest numbers lose their units; elsewhere only in what is too long without. */
function wrapped(text, most) {
  const clauses = text.split(/(?<=[,;]) /);
  const parts = clauses.flatMap((clause) => (width(clause) > most ? clause.split(" ") : [clause]));
  const lines = [];
  for (const part of parts) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${part}` : part;
    if (lines.length > 0 && width(longer) <= most) lines[lines.length - 1] = longer;
    else lines.push(part);
  }
  return lines;
}
