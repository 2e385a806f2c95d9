// What upstream's page holds: the token that a script of it stores, or its login form.

export interface Page {
  token?: string;
  fingerprint?: string;
  loginForm: boolean;
}

const CALL = /localStorage\s*\.\s*setItem\(\s*(["'`])(refreshToken|fingerprint)\1\s*,\s*(["'`])(.*?)\3\s*\)/g;

/** Reads a page as it comes. */
export async function readPage(response: Response): Promise<Page> {
  const page: Page = { loginForm: false };
  const inputs = new Set<string>();
  let script = "";
  const rewriter = new HTMLRewriter()
    .on("script", {
      text(chunk) {
        script += chunk.text;
        if (!chunk.lastInTextNode) return;
        readScript(script, page);
        script = "";
      },
    })
    .on("input[name=mail], input[name=pw]", {
      element(element) {
        inputs.add(element.getAttribute("name") ?? "");
      },
    });
  // The handlers see it in pieces; what comes out is not wanted, and dropped fastest as a whole.
  await rewriter.transform(response).arrayBuffer();
  page.loginForm = inputs.size === 2;
  return page;
}

/** Of several calls the last counts: that is what a browser would be left with. */
function readScript(script: string, page: Page) {
  for (const [, , name, , value] of script.matchAll(CALL)) {
    if (value === undefined) continue;
    if (name === "refreshToken") page.token = value;
    else page.fingerprint = value;
  }
}
