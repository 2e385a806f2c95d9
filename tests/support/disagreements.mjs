// What the reader of pages and a browser are known to read differently. A reader runs no code: it finds calls that are
// written out, whatever surrounds them. A token that a browser would not have kept costs no more than a refresh that is
// refused; and a page in which none is found is tried again, unless it is a login page that came whole.

/** The call that keeps `text`. */
const keep = (text) => `localStorage.setItem("refreshToken", "${text}")`;
const script = (code) => `<script>${code}</script>`;

/**
 * `[kind, why, [what the reader finds, what the browser keeps], pages]`. A page is made of two tokens, which are "one" and
 * "two" here. "nothing, but warned": the reader finds none, and says that a script may set one. "some text": another.
 */
export const DISAGREEMENTS = [
  [
    "code that is never run",
    "a reader can't know whether a function is called or a branch taken: a token that upstream wrote out is believed",
    ["one", "nothing"],
    [
      (one) => script(`function later() { ${keep(one)} }`),
      (one) => script(`if (false) ${keep(one)}`),
      (one) => script(`(() => { return; ${keep(one)} })()`),
      (one) => script(`false && ${keep(one)}`),
      (one) => script(`nowhere(); ${keep(one)}`),
      (one) => script(`addEventListener("click", () => ${keep(one)})`),
    ],
  ],
  [
    "a call whose further arguments fail",
    "they are followed, not evaluated",
    ["one", "nothing"],
    [(one) => script(`localStorage.setItem("refreshToken", "${one}", nowhere())`)],
  ],
  [
    "a script that can't be compiled",
    "the reader has no parser that would tell: calls before, or around, what is wrong count",
    ["one", "nothing"],
    [
      (one) => script(`${keep(one)}; var x = ;`),
      (one) => script(`${keep(one)}; var s = "never ends\n`),
      (one) => script(`${keep(one)}; {`),
      (one) => script(`let x; let x; ${keep(one)}`),
      (one) => script(`"use strict"; ${keep(one)}; var x = "\\07"`),
      (one) => `<script type=module>${keep(one)}\n--> in no module</script>`,
    ],
  ],
  [
    "a script that never ends",
    "a page that broke off right behind its token did hand it out",
    ["one", "nothing"],
    [(one) => `<script>${keep(one)};`, (one) => `<script>${keep(one)};</scrip`],
  ],
  [
    "scripts that a policy or an attribute forbids",
    "policies are not read",
    ["one", "nothing"],
    [
      (one) => `<meta http-equiv=Content-Security-Policy content="script-src 'none'">${script(keep(one))}`,
      (one) => `<script type=" module ">${keep(one)}</script>`,
    ],
  ],
  [
    "another order than that of the text",
    "the last call in the text counts, since nothing is run: neither functions that are called later, nor modules, which wait",
    ["two", "one"],
    [
      (one, two) => script(`function last() { ${keep(one)} } ${keep(two)}; last()`),
      (one, two) => `<script type=module>${keep(one)}</script>${script(keep(two))}`,
      (one, two) => script(`addEventListener("DOMContentLoaded", () => ${keep(one)}); ${keep(two)}`),
    ],
  ],
  [
    "a token that is taken away again",
    "only calls of setItem are followed: a token that upstream handed out and its page then dropped is still good",
    ["one", "nothing"],
    [
      (one) => script(`${keep(one)}; localStorage.removeItem("refreshToken")`),
      (one) => script(`${keep(one)}; localStorage.clear()`),
      (one) => script(`${keep(one)}; delete localStorage.refreshToken`),
    ],
  ],
  [
    "a storage of the page's own",
    "names are not resolved",
    ["one", "nothing"],
    [
      (one) => script(`{ const localStorage = { setItem() {} }; ${keep(one)} }`),
      (one) => script(`(function (localStorage) { ${keep(one)} })(sessionStorage)`),
      (one) => script(`Storage.prototype.setItem = () => {}; ${keep(one)}`),
    ],
  ],
  [
    "a property that is assigned",
    "only setItem is followed: aimharder's page calls that",
    ["nothing", "one"],
    [
      (one) => script(`localStorage.refreshToken = "${one}"`),
      (one) => script(`localStorage["refreshToken"] = "${one}"`),
      (one) => script(`window.localStorage.refreshToken = '${one}'`),
      (one) => script(`Object.assign(localStorage, { refreshToken: "${one}" })`),
    ],
  ],
  [
    "the storage by another name",
    "names are not resolved",
    ["nothing", "one"],
    [
      (one) => script(`const s = localStorage; s.setItem("refreshToken", "${one}")`),
      (one) => script(`this.${keep(one)}`),
      (one) => script(`frames.${keep(one)}`),
      (one) => script(`document.defaultView.${keep(one)}`),
      (one) => script(`const { localStorage: s } = window; s.setItem("refreshToken", "${one}")`),
      (one) => script(`with (localStorage) setItem("refreshToken", "${one}")`),
      (one) => script(`(localStorage).setItem("refreshToken", "${one}")`),
      (one) => script(`localStorage.setItem.call(localStorage, "refreshToken", "${one}")`),
      (one) => script(`localStorage.setItem.bind(localStorage)("refreshToken", "${one}")`),
    ],
  ],
  [
    "a computed name",
    "nothing is evaluated",
    ["nothing", "one"],
    [
      (one) => script(`localStorage["set" + "Item"]("refreshToken", "${one}")`),
      (one) => script(`localStorage.setItem("refresh" + "Token", "${one}")`),
      (one) => script(`const key = "refreshToken"; localStorage.setItem(key, "${one}")`),
      (one) => script(`localStorage.setItem(("refreshToken"), "${one}")`),
      (one) => script(`localStorage.setItem(\`refresh\${"Token"}\`, "${one}")`),
      (one) => script(`localStorage.setItem(...["refreshToken", "${one}"])`),
    ],
  ],
  [
    "a computed value",
    "nothing is evaluated, but the reader warns",
    ["nothing, but warned", "one"],
    [
      (one) => script(`localStorage.setItem("refreshToken", "${one.slice(0, 9)}" + "${one.slice(9)}")`),
      (one) => script(`const token = "${one}"; localStorage.setItem("refreshToken", token)`),
      (one) => script(`localStorage.setItem("refreshToken", ("${one}"))`),
      (one) => script(`localStorage.setItem("refreshToken", "${one}".trim())`),
      (one) => script(`localStorage.setItem("refreshToken", \`\${"${one}"}\`)`),
      (one) => script(`localStorage.setItem("refreshToken", String.raw\`${one}\`)`),
      (one) => script(`localStorage.setItem("refreshToken", JSON.parse('{"token": "${one}"}').token)`),
      (one) => script(`localStorage.setItem("refreshToken", "" || "${one}")`),
    ],
  ],
  [
    "code as text",
    "no text is run",
    ["nothing", "one"],
    [
      (one) => script(`eval('${keep(one)}')`),
      (one) => script(`document.write('<script>${keep(one)}<\\/script>')`),
      (one) => script(`new Function('${keep(one)}')()`),
      (one) => script(`const s = document.createElement("script"); s.text = '${keep(one)}'; document.head.append(s)`),
    ],
  ],
  [
    "code outside of scripts",
    "aimharder's page has it in scripts",
    ["nothing", "one"],
    [
      (one) => `<body onload='${keep(one)}'>`,
      (one) => `<img src=data:, onerror='${keep(one)}'>`,
      (one) => `<iframe srcdoc='${script(keep(one))}'></iframe>`,
      (one) => `<script src='data:text/javascript,${encodeURIComponent(keep(one))}'></script>`,
      (one) => `<svg onload='${keep(one)}'></svg>`,
    ],
  ],
  [
    "a script in SVG",
    "there character references and comments count within it: it would take a grammar of its own",
    ["nothing", "one"],
    [
      (one) => `<svg>${script(keep(one))}</svg>`,
      (one) => `<svg><g><textarea>${script(keep(one))}</textarea></g></svg>`,
    ],
  ],
  [
    "a character reference in a script's type",
    "lol_html leaves attributes as they are written",
    ["nothing", "one"],
    [(one) => `<script type="text&#47;javascript">${keep(one)}</script>`],
  ],
  [
    "a division behind a function or a class",
    "whether a slash divides is told by the token before: taken for a regular expression, it hides the rest of its line",
    ["nothing, but warned", "one"],
    [
      (one) => script(`var x = function () {} / 2; ${keep(one)}`),
      (one) => script(`var x = function () {} / 2; ${keep(one)};\n`),
      (one) => script(`var x = class {} / 2; ${keep(one)}`),
    ],
  ],
  [
    "UTF-16",
    "lol_html reads encodings that contain ASCII; aimharder's pages are UTF-8",
    ["nothing", "one"],
    [
      (one) => ({ contentType: "text/html; charset=utf-16le", page: Buffer.from(script(keep(one)), "utf16le") }),
      (one) => ({ contentType: "text/html", page: Buffer.from(`\ufeff${script(keep(one))}`, "utf16le") }),
    ],
  ],
  [
    "a text beyond ASCII whose charset nobody says",
    "it is read as UTF-8, where a browser guesses: tokens and fingerprints are ASCII",
    ["some text", "some text"],
    [
      (one) => ({ contentType: "text/html", page: Buffer.from(script(keep(`${one}ñ`))) }),
      // A byte order mark goes before the header.
      (one) => ({
        contentType: "text/html; charset=iso-8859-1",
        page: Buffer.from(`\ufeff${script(keep(`${one}ñ`))}`),
      }),
    ],
  ],
  [
    "a value longer than any token",
    "values are cut at 4 KiB",
    ["some text", "some text"],
    [(one) => script(keep(one.repeat(100)))],
  ],
  [
    "a call far behind the others",
    "reading ends 64 KiB after the script in which both values were found",
    ["one", "two"],
    [
      (one, two) =>
        script(`localStorage.setItem("fingerprint", "x"); ${keep(one)}`) +
        "<p>text</p>\n".repeat(7000) +
        script(keep(two)),
    ],
  ],
];
