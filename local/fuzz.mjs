// `npm run fuzz`: looks for inputs that break what must hold of the parsers, a minute for each target. `-- --seconds 600
// page cookies` looks for ten minutes at each of these; `-- --keep` puts what was found new into fuzz/corpus, minimised.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { start } from "./processes.mjs";
import { run } from "./run.mjs";
import { asProgram, installCargoFuzz } from "./setup.mjs";
import { output, realCargo } from "./toolchain.mjs";

const ROOT = path.join(import.meta.dirname, "..");
const FUZZ = path.join(ROOT, "fuzz");
const FOUND = path.join(ROOT, ".local", "fuzz");
const HOST = output("rustc", ["-vV"]).match(/host: (\S+)/)?.[1];
const ALL = readdirSync(path.join(FUZZ, "targets")).map((file) => path.parse(file).name);

/** Bytes of an input: of those that are read in blocks of 4 KiB, some blocks. */
const LONGEST = { page: 16_384, body: 16_384 };

const kept = (name) => path.join(FUZZ, "corpus", name);
const program = (name) => path.join(FUZZ, "target", HOST, "release", name);
const say = (text) => console.log(`[fuzz] ${text}`);

await asProgram(async () => {
  const { values, positionals } = parseArgs({
    options: { seconds: { type: "string", default: "60" }, keep: { type: "boolean" } },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !ALL.includes(name));
  if (unknown.length > 0) throw new Error(`No target is called ${unknown.join(" or ")}: there are ${ALL.join(", ")}.`);
  if (!(Number(values.seconds) > 0)) throw new Error("--seconds wants a number.");
  const targets = positionals.length > 0 ? positionals : ALL;
  assertSameVersions();
  await build();
  if (values.keep) return keep(targets);
  const figures = [];
  for (const name of targets) figures.push(await fuzz(name, Math.ceil(Number(values.seconds))));
  console.table(Object.fromEntries(figures.map(({ name, crashed, ...rest }) => [name, rest])));
  const crashed = figures.filter((figure) => figure.crashed);
  if (crashed.length > 0) throw new Error(crashed.map(advice).join("\n\n"));
});

/** What is fuzzed is to be what is shipped. */
function assertSameVersions() {
  const versions = (file) => {
    const text = readFileSync(file, "utf8");
    return [...text.matchAll(/name = "(.+)"\nversion = "(.+)"/g)].map(([, name, version]) => ({ name, version }));
  };
  const product = Map.groupBy(versions(path.join(ROOT, "Cargo.lock")), ({ name }) => name);
  const others = versions(path.join(FUZZ, "Cargo.lock")).filter(
    ({ name, version }) => product.has(name) && !product.get(name).some((known) => known.version === version),
  );
  if (others.length === 0) return;
  const names = others.map(({ name, version }) => `${name} ${version}`).join(", ");
  throw new Error(`fuzz/Cargo.lock has other versions than Cargo.lock (${names}): copy the latter over it.`);
}

async function build() {
  const folder = path.dirname(await installCargoFuzz());
  // Without a sanitizer, which stable Rust doesn't have: there is no unsafe code to watch. Without traced comparisons:
  // they take four fifths of the time, and the dictionaries know what they would find.
  await run(realCargo(), ["fuzz", "build", "--fuzz-dir", FUZZ, "--sanitizer", "none", "--no-trace-compares"], {
    say,
    what: "build the targets",
    cwd: FUZZ,
    environment: { PATH: `${folder}${path.delimiter}${process.env.PATH}` },
  });
}

function folder(...names) {
  const made = path.join(...names);
  mkdirSync(made, { recursive: true });
  return made;
}

/** Runs a target. What it finds new stays in .local/fuzz, for the next time. */
async function fuzz(name, seconds) {
  say(`${name}, for ${seconds} s …`);
  const lines = [];
  const child = start(
    program(name),
    [
      folder(FOUND, name),
      kept(name),
      `-dict=${path.join(FUZZ, "dictionaries", `${name}.dict`)}`,
      `-artifact_prefix=${folder(FUZZ, "artifacts", name)}${path.sep}`,
      `-max_total_time=${seconds}`,
      `-max_len=${LONGEST[name] ?? 4096}`,
      "-timeout=10",
      "-rss_limit_mb=1024",
      "-print_final_stats=1",
    ],
    {
      cwd: ROOT,
      env: { ...process.env, RUST_BACKTRACE: "0" },
      log: (line) => /\t(NEW|REDUCE) /.test(line) || lines.push(line),
    },
  );
  const { code } = await child.ended;
  return { name, ...read(lines.join("\n")), crashed: code !== 0 && lines };
}

/** libFuzzer's own figures. */
function read(text) {
  const last = (pattern) => [...text.matchAll(pattern)].at(-1)?.[1];
  const executions = Number(last(/^stat::number_of_executed_units: +(\d+)/gm) ?? 0);
  return {
    executions,
    "a second": Number(last(/^stat::average_exec_per_sec: +(\d+)/gm) ?? 0),
    corpus: Number(last(/ corp: (\d+)/g) ?? 0),
    "edges at first": Number(last(/INITED cov: (\d+)/g) ?? 0),
    "edges at last": Number(last(/ cov: (\d+)/g) ?? 0),
  };
}

function advice({ name, crashed }) {
  const file = crashed.join("\n").match(/written to (\S+)/)?.[1];
  const panic = crashed.findIndex((line) => line.includes("panicked at"));
  const why = panic < 0 ? crashed.slice(-20) : crashed.slice(panic, panic + 4);
  return [
    `${name} broke:`,
    ...why,
    ...(file
      ? [
          `Once more: ${path.relative(ROOT, program(name))} ${path.relative(ROOT, path.resolve(ROOT, file))}`,
          `As a test: move that file to fuzz/corpus/${name}, and run npm test -- rust`,
        ]
      : []),
  ].join("\n");
}

/** Keeps as few inputs as reach what all reach: edges alone, so that the corpus stays small. */
async function keep(targets) {
  for (const name of targets) {
    const fewer = folder(FOUND, `${name}-fewer`);
    const from = [fewer, kept(name), folder(FOUND, name)];
    await run(program(name), ["-merge=1", "-use_counters=0", "-max_len=8192", ...from], {
      say,
      what: `minimise ${name}`,
      cwd: ROOT,
    });
    rmSync(kept(name), { recursive: true });
    renameSync(fewer, kept(name));
  }
}
