// What is shipped for Prometheus and Grafana, checked by Prometheus's own tools, and against what the Worker tells: the
// snapshot that a Rust test keeps equal to the metrics' output.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { promtool } from "../local/promtool.mjs";
import { python } from "../local/python.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const RULES = path.join(ROOT, "ops", "prometheus", "rules.yml");
const read = (...names) => readFileSync(path.join(ROOT, ...names), "utf8");
const rules = read("ops", "prometheus", "rules.yml");
const cases = read("ops", "prometheus", "rules.test.yml");
const dashboard = JSON.parse(read("ops", "grafana", "keepalive.json"));
const metrics = read("operations", "tests", "metrics.txt");

const panels = dashboard.panels.filter((panel) => panel.type !== "row");
const expressions = [
  ...panels.flatMap((panel) => panel.targets.map((target) => target.expr)),
  ...dashboard.annotations.list.map((annotation) => annotation.expr),
];
const found = (text, pattern) => new Set(Array.from(text.matchAll(pattern), (match) => match[1]));
const recorded = found(rules, /record: (\S+)/g);
const alerts = found(rules, /alert: (\S+)/g);

let check;
let pythonTool;
let folder;
before(async () => {
  const program = await promtool(console.log);
  pythonTool = await python(console.log);
  check = (...args) => succeeds(program, args);
  folder = mkdtempSync(path.join(tmpdir(), "rules-"));
});
after(() => folder && rmSync(folder, { recursive: true, force: true }));

/** What a program prints, which has to end well. */
async function succeeds(program, args) {
  const { stdout } = await promisify(execFile)(program, args).catch((error) => {
    assert.fail(`${path.basename(program)} ${args[0]}: ${error.stdout}${error.stderr}`);
  });
  return stdout;
}

test("promtool takes the rules, and finds nothing to complain about", async () => {
  await check("check", "rules", "--lint=all", "--lint-fatal", RULES);
});

test("each alert fires when it should, and not when it should not", async () => {
  await check("test", "rules", path.join(ROOT, "ops", "prometheus", "rules.test.yml"));
  assert.deepEqual(found(cases, /alertname="(\w+)", alertstate="firing"/g), alerts);
});

test("each alert says how grave it is, what was seen and what to do", () => {
  const texts = rules.split(/^ +- alert: /m).slice(1);
  for (const text of texts) {
    assert.match(text, /severity: (critical|warning)/, text);
    for (const name of ["summary", "description", "action"]) assert.match(text, new RegExp(`^ +${name}: `, "m"), text);
  }
});

test("the rules' objective is the Worker's", () => {
  const overview = read("operations", "src", "overview.rs");
  const margin = overview.match(/MARGIN_SECONDS: u32 = (\d+)/)[1];
  const objective = Number(overview.match(/OBJECTIVE: f64 = ([\d.]+)/)[1]);
  assert.ok(rules.includes(`keepalive_refresh_interval_seconds + ${margin}`));
  assert.ok(rules.includes(`keepalive:sessions_late:ratio_30d / ${(1 - objective).toFixed(3)}`));
});

test("promtool takes each expression of the dashboard", async () => {
  // Grafana fills these in; the rest is PromQL. A rules file may be JSON, too.
  const filled = expressions.map((text) => text.replaceAll("$__rate_interval", "5m"));
  const group = {
    name: "dashboard",
    rules: filled.map((expr, index) => ({ record: `dashboard:panel_${index}`, expr })),
  };
  const file = path.join(folder, "dashboard.json");
  writeFileSync(file, JSON.stringify({ groups: [group] }));
  const said = await check("check", "rules", "--lint=none", file);
  assert.match(said, new RegExp(`${expressions.length} rules found`));
});

test("rules, their tests and the dashboard name nothing that is not there, and the dashboard shows all that is", () => {
  const there = found(metrics, /^(keepalive_\w+?)(?:\{.*\})? /gm);
  const used = (text) => found(text, /\b(keepalive_\w+)\b/g);
  const shown = expressions.join("\n");
  for (const name of [...used(rules), ...used(cases), ...used(shown)]) assert.ok(there.has(name), name);
  for (const name of found(`${rules}${cases}${shown}`, /\b(keepalive:\w+(?::\w+)?)\b/g)) {
    assert.ok(recorded.has(name), name);
  }
  // A histogram is shown when its buckets or its count are.
  const families = found(metrics, /^# HELP (\w+)/gm);
  const unseen = [...families].filter((name) => !shown.includes(name) && !rules.includes(name));
  assert.deepEqual(unseen, []);
});

test("the document explains each metric in the words of its help, and lists each alert", () => {
  const text = read("docs", "OPERATIONS.md");
  for (const help of found(metrics, /^# HELP \w+ (.*)/gm)) assert.ok(text.includes(` ${help} |`), help);
  for (const name of alerts) assert.ok(text.includes(`| \`${name}\` |`), name);
});

test("labels asked for are labels that are told", () => {
  const told = found(metrics, /(\w+="[^"]*")/g);
  const asked = found(`${rules}${expressions.join("\n")}`, /(\b(?:state|outcome|trigger|kind|alert)=~?"[^"]*")/g);
  assert.ok(asked.size > 0);
  for (const [name, values] of [...asked].map((text) => text.split(/=~?/))) {
    for (const value of values.slice(1, -1).split("|")) assert.ok(told.has(`${name}="${value}"`), `${name}="${value}"`);
  }
});

test("the dashboard can be imported anywhere: it takes the data source that is chosen, and its panels have room", () => {
  const [source, worker] = dashboard.templating.list;
  assert.deepEqual([source.name, source.type, source.query], ["datasource", "datasource", "prometheus"]);
  assert.equal(worker.query.query, "label_values(keepalive_refresh_interval_seconds, instance)");
  assert.equal(dashboard.id ?? null, null, "an id is another Grafana's");
  const sources = [...panels, ...panels.flatMap((panel) => panel.targets), worker, ...dashboard.annotations.list];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
  for (const { datasource } of sources) assert.deepEqual(datasource, { type: "prometheus", uid: "${datasource}" });
  const ids = dashboard.panels.map((panel) => panel.id);
  assert.equal(new Set(ids).size, ids.length);
  const taken = new Set();
  for (const { title, gridPos } of dashboard.panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (let cell = 0; cell < gridPos.w * gridPos.h; cell++) {
      const place = `${gridPos.x + (cell % gridPos.w)},${gridPos.y + Math.floor(cell / gridPos.w)}`;
      assert.ok(!taken.has(place), `${title} lies on another panel at ${place}`);
      taken.add(place);
    }
  }
  for (const panel of panels) assert.ok(panel.description, panel.title);
});

test("a parser of OpenMetrics takes the metrics, and finds in them what was told", async () => {
  const script = path.join(folder, "parse.py");
  writeFileSync(
    script,
    `import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(json.dumps([[family.name, family.type, family.unit, len(family.samples)] for family in parse(sys.stdin.read())]))
`,
  );
  const parsed = await parse(script, metrics);
  const families = new Map(parsed.map(([name, ...rest]) => [name, rest]));
  assert.equal(families.size, found(metrics, /^# HELP (\w+)/gm).size);
  assert.deepEqual(families.get("keepalive_oldest_due_age_seconds"), ["gauge", "seconds", 1]);
  assert.deepEqual(families.get("keepalive_attempts"), ["counter", "", 12]);
  assert.deepEqual(families.get("keepalive_run_duration_seconds"), ["histogram", "seconds", 5 * 13]);
  await assert.rejects(parse(script, metrics.replace("# EOF\n", "")), "a text that was cut off");
});

/** The parser's answer; rejects where it complains. */
async function parse(script, text) {
  const parsing = promisify(execFile)(pythonTool("python"), [script]);
  parsing.child.stdin.end(text);
  return JSON.parse((await parsing).stdout);
}
