// Tables in a terminal.

/** Prints rows below a title, numbers to the right. */
export function print(title, heads, rows) {
  const cells = [heads, ...rows].map((row) => row.map(text));
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const isNumber = heads.map((_, column) => rows.every((row) => typeof row[column] === "number"));
  const pad = (cell, column) => (isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]));
  const lines = cells.map((row) => row.map(pad).join("  ").trimEnd());
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  console.log(["", title, "", lines[0], rule, ...lines.slice(1)].join("\n"));
}

const text = (cell) => (typeof cell === "number" ? cell.toLocaleString("en") : cell);
