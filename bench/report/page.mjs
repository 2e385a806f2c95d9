// docs/BENCHMARKS.md and its plots, as the kept figures make them. Pure.

/** A table in Markdown. Numbers to the right, with separators for thousands. */
export function table(heads, rows) {
  const isNumber = heads.map((_, column) => rows.some((row) => typeof row[column] === "number"));
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = isNumber.map((right) => (right ? "---:" : "---"));
  return [line(heads), `|${rule.join("|")}|`, ...rows.map((row) => line(row.map(text)))].join("\n");
}

const text = (cell) =>
  typeof cell === "number" ? cell.toLocaleString("en") : String(cell ?? "").replaceAll("|", "\\|");

/** To so many significant digits, as a number. */
export const digits = (number, count = 3) => Number(number.toPrecision(count));

/** A median with its extremes. */
export function spread({ median, low, high }, count = 3) {
  const [middle, least, most] = [median, low, high].map((number) =>
    digits(number, count).toLocaleString("en", { maximumSignificantDigits: 21 }),
  );
  return `${middle} (${least} to ${most})`;
}

/** The whole page of these sections, each with its figures: `[{ section, figures }]`. */
export function page(parts) {
  const reports = parts.map(({ section, figures }) => ({ section, figures, ...section.report(figures) }));
  const goals = reports.flatMap((report) => report.goals ?? []);
  for (const { measure, met, reason } of goals) {
    if (!met && !reason) throw new Error(`No reason is given why this goal is not met: ${measure}`);
  }
  const rows = goals.map(({ measure, goal, measured, met, reason }) => [measure, goal, measured, verdict(met), reason]);
  const bodies = reports.map(
    ({ section, figures, text }) => `## ${section.title}\n\n${text.trim()}\n\n${origin(section, figures)}`,
  );
  return `${INTRO}\n\n## Goals\n\n${table(["measure", "goal", "measured", "", "why"], rows)}\n\n${bodies.join("\n\n")}\n`;
}

/** The plots of these sections, by file name. */
export function plots(parts) {
  return Object.fromEntries(
    parts.flatMap(({ section, figures }) => Object.entries(section.report(figures).plots ?? {})),
  );
}

const verdict = (met) => (met ? "met" : "**not met**");

function origin({ name }, { machine, measuredOn, commit }) {
  const { cpu, cores, memoryGiB, node, workerd } = machine;
  return `<sub>\`npm run bench -- ${name}\`, ${measuredOn}${commit ? ` at ${commit}` : ""}: ${cores} × ${cpu}, ${memoryGiB} GiB, Node ${node}, workerd ${workerd}. Figures: [${name}.json](benchmarks/${name}.json).</sub>`;
}

const INTRO = `<!-- Written by \`npm run bench\`; changes are lost. The words are in bench/, the figures in docs/benchmarks/. -->

# Benchmarks

This project side by side with what people would use instead: each contestant is written in \`bench/\` in the way its users
write it, and all of a section ran in one go on one machine. Contestants that are timed take turns after a warm-up, unless
their section says otherwise. Given are medians, and in brackets the extremes where there are rounds; a ratio of contestants
is the median of the rounds' own ratios unless it is said to be of the medians. aimharder.com is a stand-in on loopback with a
fixed latency, the rest is real: workerd, PostgREST, PostgreSQL, Chromium. \`npm run bench\` measures all of it anew and
writes this page, \`npm run bench -- NAME …\` some sections, \`npm run bench -- --report\` writes the page from the figures
there are.

What was tried to make it faster, and what of that was kept, is in [TRIES.md](benchmarks/TRIES.md).`;
