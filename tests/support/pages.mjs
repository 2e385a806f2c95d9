// Pages for the oracle: made of pieces that a browser and the reader of pages must read alike, and of pieces that they
// are known to read differently.

const HEX = "0123456789abcdef";

/** Dice that fall alike for the same seed (mulberry32). */
export function dice(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound) => Math.floor(next() * bound);
  return { below, pick: (list) => list[below(list.length)], chance: (share) => next() < share };
}

const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

/** A token, or seldom a text that no token is. */
function value(d) {
  if (d.chance(0.2))
    return d.pick([
      "",
      "a'b\"c`d",
      "\\",
      "$\u007bx}",
      "ñ é",
      "€",
      "😀",
      "<!-- <b>",
      "</p>",
      "a\tb",
      "x\ny",
      "//",
      "/*",
    ]);
  return `${1 + d.below(99_999)}|17${d.below(99_999_999)}|${times(32, () => d.pick(HEX)).join("")}`;
}

/** A text as a literal of JavaScript, in one of the ways to write it. */
function literal(d, text, quote = d.pick(["'", '"', "`"])) {
  const often = d.pick([0, 0, 0.1, 1]);
  const written = Array.from(text, (char) => {
    const code = char.codePointAt(0);
    if (d.chance(often)) {
      const units = Array.from({ length: char.length }, (_, index) => char.charCodeAt(index));
      const unit = `\\u${"{"}${code.toString(16)}}`;
      const pair = units.map((half) => `\\u${half.toString(16).padStart(4, "0")}`).join("");
      return d.pick([
        unit,
        pair,
        code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : pair,
        `\\\n${escaped(char, quote)}`,
      ]);
    }
    return escaped(char, quote);
  });
  return quote + written.join("") + quote;
}

/** The same in one line without escapes, as far as that goes. */
const word = (text) => `"${Array.from(text, (char) => escaped(char, '"')).join("")}"`;

function escaped(char, quote) {
  if (char === "\n") return quote === "`" ? char : "\\n";
  return char === quote || "\\$<".includes(char) ? `\\${char}` : char;
}

/** What may stand between two tokens. */
const blank = (d) =>
  d.chance(0.6)
    ? ""
    : d.pick([
        " ",
        "\n",
        "\t",
        "\r\n",
        "\u00a0",
        "\u2028",
        "\u2029",
        "\ufeff",
        "/**/",
        '/* ) " */',
        "// ' )\n",
        " /*\n*/ ",
      ]);

const OBJECTS = [
  ...["localStorage", "localStorage", "localStorage", "window.localStorage", "self.localStorage"],
  ...["globalThis.localStorage", "window?.localStorage", "window['localStorage']", 'window.window["localStorage"]'],
  ...["l\\u006fcalStorage", "window.l\\u{6f}calStorage", "self . localStorage"],
];
const METHODS = [
  ".setItem",
  ".setItem",
  ".setItem",
  "?.setItem",
  '["setItem"]',
  "[`setItem`]",
  ". set\\u0049tem",
  "?.['setItem']",
];
const TAILS = ["", "", "", ",", ", 1", ", [1, {b: ')'}], `)`", ", function () { return ')' }"];

/** A call that keeps `text`, without what ends its statement. */
export function call(d, key, text, tail = d.pick(TAILS)) {
  const [b1, b2, b3, b4, b5] = times(5, () => blank(d));
  return `${d.pick(OBJECTS)}${b1}${d.pick(METHODS)}${b2}${d.pick(["", "", "?."])}(${b3}${literal(d, key)}${b4},${b5}${literal(d, text)}${tail})`;
}

const key = (d) => (d.chance(0.7) ? "refreshToken" : "fingerprint");
const anyCall = (d) => call(d, key(d), value(d));

/** A call in plain words, for what isn't about its spelling. */
export const plain = (d, text = value(d)) => `localStorage.setItem("refreshToken", ${word(text)})`;

/** Code that keeps nothing, closed in itself; it may use `a` to `g`. */
const CODE = [
  () => "var h = a / 2 / b;",
  () => "if (a) /[/\"'`]/.test(g);",
  () => "var o = {x: {y: '}'}}, p = {} / 2;",
  () => "var t = `a$\x7b`b$\x7b'`'}`}c$\x7b {x: `}`}.x }`;",
  (d) => `// ${plain(d)}\n`,
  (d) => `/* ${plain(d)} */`,
  (d) => `/*\n * ${plain(d)}\n **/`,
  (d) => `var s = ${literal(d, plain(d, "no"))};`,
  (d) => `var s = 'localStorage.setItem("refreshToken", "' + a + '")';${d.pick(["", "\n"])}`,
  () => 'var r = /localStorage.setItem("refreshToken", "no")/g;',
  () => 'var r = a ? /[/]localStorage.setItem("refreshToken", "no")/ : /\\//;',
  () => 'var foo = {localStorage: {setItem() {}}}; foo.localStorage.setItem("refreshToken", "no");',
  () => 'foo = {setItem() {}}; foo.setItem("refreshToken", "no");',
  () => 'localStorage.getItem("refreshToken", "no");',
  () => 'localStorage.setItem("other", "refreshToken");',
  () => 'localStorage.setItem("RefreshToken", "no");',
  () => 'localStorage.setItem("refreshToken ", "no");',
  () => "function f() { return /'/ }\n",
  () => "var q = a?.b?.[c] ? .5 : d++ / e--;",
  () => "(() => {})();",
  () => "a++\n/ 2 / b;",
  () => "for (var i of [1, 2]) { /[}]/.test(i) }",
  () => "var n = 1_000 / 2, m = 0x1F / 3, l = 1.5e-3 / .5, k = 1. / 2;",
  () => "switch (a) { case /'/.test(g): break; default: b / 2 }",
  () => "class C { static x = 1 / 2; #y = '}'; get z() { return this.#y } }\n",
  () => "label: { if (b) break label; }",
  () => "try { throw {x: 1} } catch { /'/ } finally { /\"/ }",
  () => "do /'/.test(g); while (false)\n",
  () => "var u = typeof /'/, v = void 0, w = [/\"/, {}, []];",
  () => "a = b\n/c/ d;",
  () => "var x = async () => { await /'/ };",
  () => "function* y() { yield /'/ }\n",
  () => "var z = String.raw`\\u`;",
  () => "(function () { return })();",
  () => "if (a) {} /'/.test(g);",
  () => "while (false) /`/.test(g);",
  () => "var of = 4;",
];
const PRELUDE = "var a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 'x', foo;";

/** A script's code: calls and other code by turns. */
function code(d) {
  const parts = times(1 + d.below(6), () =>
    d.chance(0.4) ? `${anyCall(d)};${d.pick(["", "\n", " "])}` : d.pick(CODE)(d),
  );
  // In a function of its own, so that no script's names are in another's way; it is called.
  return `(function () {${d.pick(["", "\n"])}${PRELUDE}${parts.join("")}\n})();`;
}

const OPENINGS = [
  ...[
    "<script>",
    "<script>",
    "<script>",
    "<SCRIPT>",
    "<script >",
    "<script/>",
    "<script/x>",
    '<script type="text/javascript">',
  ],
  ...[
    "<script type='TEXT/JavaScript' defer>",
    "<script type=' text/ecmascript '>",
    "<script type>",
    '<script type="" language=x>',
  ],
  ...[
    "<script language=JavaScript>",
    "<script language=''>",
    "<script async nonce=x data-x='>'>",
    "<script\n\tid=a\r\n>",
  ],
  ...["<script type=text/javascript type=module>", "<script data-src=x>", "<script for=window event=onload>"],
];
const CLOSINGS = ["</script>", "</script>", "</SCRIPT >", "</script/x>", "</script\n>", "</script x=y>"];
const script = (d, text = code(d)) => `${d.pick(OPENINGS)}${text}${d.pick(CLOSINGS)}`;

/** A call's script, where no browser runs it. */
const inert = (d) => `<script>${plain(d)}</script>`;

/** Pieces that both must read alike, each closed in itself. */
export const PIECES = {
  script: (d) => script(d),
  "several scripts": (d) => script(d) + script(d),
  "a script with a call": (d) => script(d, `${anyCall(d)};`),
  "a value with a NUL": (d) => script(d, `${plain(d, "a\0b")};`),
  "a call overwritten": (d) => script(d, `${call(d, "refreshToken", value(d))};${call(d, "refreshToken", value(d))}`),
  "a call as value": (d) => script(d, `var a = void ${plain(d)}, b = [${plain(d)}];`),
  "a call among others": (d) => script(d, `console.log(${plain(d)}, ${plain(d)})`),
  "a call by a comma": (d) => script(d, `1, ${plain(d)}`),
  "a call in a substitution": (d) => script(d, `\`\${${plain(d)}}\``),
  "a call in a called function": (d) => script(d, `(() => { if (1) { ${anyCall(d)} } })()`),
  "a call that is last before an error": (d) => script(d, `${plain(d)};nowhere();`),
  "a call with CDATA about": (d) => script(d, `//<![CDATA[\n${plain(d)}\n//]]>`),
  "a call in an old script's comment": (d) => script(d, `<!-- hidden\n${plain(d)}\n//-->`),
  "what follows an HTML comment's end": (d) => script(d, `/*\n*/ --> ${plain(d)}\n--> ${plain(d)}`),
  "an escaped script": (d) => script(d, `<!--\n${plain(d)}\n// <script> </script>\n--> ${plain(d)}\n`),
  "a script that isn't JavaScript": (d) => script(d, `var s = "open;\n${plain(d)}`),
  "a script with a bracket too many": (d) => script(d, `); ${plain(d)}`),
  "another type": (d) =>
    `<script type="${d.pick(["text/plain", "application/json", "application/ld+json", "text/template", " ", "text/javascript; charset=utf-8", "x", "text/javascript1.6", "importmap", "speculationrules"])}">${plain(d)}</script>`,
  "another language": (d) =>
    `<script language="${d.pick(["VBScript", "javascript1.6", "typescript", "java script", "javascript "])}">${plain(d)}</script>`,
  "for browsers without modules": (d) => `<script nomodule>${plain(d)}</script>`,
  "a script for another event": (d) =>
    `<script ${d.pick(["for=foo event=onload", "for=window event=onclick", "event=x for=''"])}>${plain(d)}</script>`,
  "a script with a source": (d) => `<script src=${d.pick(["", "''", "/nothing.js", "data:,"])}>${plain(d)}</script>`,
  "an HTML comment": (d) =>
    d.pick([`<!-- ${inert(d)} -->`, `<!--${inert(d)}--!>`, `<!-->${inert(d)}<!-- -->`, `<!-- -- > ${inert(d)} -->`]),
  "a bogus comment": (d) => d.pick(["<![CDATA[ <p> ]]>", "<!x>", "</ p>", "<?php x ?>"]) + inert(d),
  "a template": (d) => `<template>${inert(d)}<template>${inert(d)}</template>${inert(d)}</template>`,
  "what isn't parsed": (d) => {
    const name = d.pick(["noscript", "textarea", "title", "style", "xmp", "iframe", "noframes", "noembed"]);
    return `<${name}>${inert(d)}</${name}>`;
  },
  "an attribute": (d) =>
    `<p title="${inert(d).replaceAll('"', "&quot;")}" data-x='${inert(d).replaceAll("'", "&#39;")}'>`,
  "an unquoted attribute": (d) =>
    `<p title=<script>${plain(d).replaceAll(" ", "")}</script>`.replaceAll("'", "x").replaceAll('"', "x"),
  "a broken tag": (d) =>
    d.pick(["< script>", "<scr ipt>", "<&script>", "<script-x>"]) +
    plain(d).replaceAll("<", "") +
    d.pick(["", "</scr ipt>"]),
  "a table": (d) => `<table><tr><td>${script(d)}<tr>${script(d)}</table>`,
  "a select": (d) => `<select><option>${inert(d)}</select>`,
  "a paragraph in SVG": (d) => `<svg><p>${inert(d)}`,
  "HTML in SVG": (d) => `<svg><foreignObject>${inert(d)}</foreignObject><desc>${inert(d)}</desc></svg>`,
  "a script in MathML": (d) => `<math><script>${plain(d)}</script></math>`,
  "HTML in MathML": (d) =>
    `<math><mi>${inert(d)}</mi><annotation-xml encoding="text/html">${inert(d)}</annotation-xml></math>`,
  "CDATA in SVG": (d) => `<svg><![CDATA[ ${inert(d)} ]]></svg>`,
  "markup that is out of order": (d) =>
    d.pick([
      "<b><i></b></i>",
      "</p></div>",
      "<div><span>",
      "</body></html>",
      "<p><p><table>",
      "</template>",
      "<li><li>",
    ]) + inert(d),
  "character references": (d) => `&lt;script>${plain(d).replaceAll("<", "")}&lt;/script>`,
  "text like a script": (d) => plain(d).replaceAll("<", ""),
};

/** Pieces after which nothing more can be told, or runs otherwise: a page's last. */
export const LAST = {
  "a module": (d) => `<script type=module>${plain(d)};import.meta;</script>`,
  "a module in its own grammar": (d) =>
    `<script type="${d.pick(["module", "MODULE"])}">var a = 1; a--> ${plain(d)}</script>`,
  "a comment that never ends": (d) => `<!-- ${inert(d)}`,
  "a template that never ends": (d) => `<template>${inert(d)}`,
  "a tag that never ends": (d) => `<p title="${inert(d).replaceAll('"', "'")}`,
  "a textarea that never ends": (d) => `<textarea>${inert(d)}`,
  plaintext: (d) => `<plaintext>${inert(d)}`,
};

const DOCTYPES = [
  "<!doctype html>",
  "<!DOCTYPE html>\n<html lang=es><head>",
  "",
  "\ufeff<!doctype html>",
  "<!doctype html PUBLIC 'x'>",
];

export const utf8 = (text) => ({ contentType: "text/html; charset=utf-8", page: Buffer.from(text) });

/** How a page says its charset: each makes of a page's begin and rest what is served. */
const CHARSETS = [
  (begin, rest) => utf8(begin + rest),
  (begin, rest) => ({ contentType: 'text/html;Charset="UTF-8"', page: Buffer.from(begin + rest) }),
  (begin, rest) => ({ contentType: "text/html", page: Buffer.from(`${begin}<meta charset=utf-8>${rest}`) }),
  (begin, rest) => ({ contentType: "text/html", page: Buffer.from(`${begin}<meta charset=latin1>${rest}`, "latin1") }),
  (begin, rest) => ({
    contentType: "text/html",
    page: Buffer.from(
      `${begin}<meta http-equiv=Content-Type content="text/html; charset=windows-1252">${rest}`,
      "latin1",
    ),
  }),
  (begin, rest) => ({ contentType: "text/html; charset=iso-8859-1", page: Buffer.from(begin + rest, "latin1") }),
];

/** Whether each charset can hold a text. */
const isLatin1 = (text) => /^[\0-\xff]*$/.test(text);

/** A page of pieces that both must read alike: `{ name, contentType, page }`. */
export function agreedPage(seed) {
  const d = dice(seed);
  const names = times(1 + d.below(4), () => d.pick(Object.keys(PIECES)));
  const last = d.chance(0.15) ? [d.pick(Object.keys(LAST))] : [];
  const pieces = [...names.map((name) => PIECES[name](d)), ...last.map((name) => LAST[name](d))];
  const begin = d.pick(DOCTYPES);
  const rest = pieces.join(d.pick(["", "\n", "<p>text</p>", "\r\n<div>"]));
  const charset = isLatin1(begin + rest) ? d.pick(CHARSETS) : CHARSETS[0];
  return { name: `seed ${seed}: ${[...names, ...last].join(", ")}`, ...charset(begin, rest) };
}
