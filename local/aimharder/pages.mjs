// What aimharder's pages look like, as far as a reader of them is concerned.

const STATE = "69232|1500000000|00000000000000000000000000000000";

/** The page of a session that lives: somewhere in it a script keeps token and fingerprint. */
function refreshedPage({ token, fingerprint, filler = "", fillerFirst = false }) {
  const kept = [`localStorage.setItem("refreshToken", "${token}");`];
  if (fingerprint) kept.push(`localStorage.setItem("fingerprint", "${fingerprint}");`);
  return `<!DOCTYPE html>
<html lang="es">
<head>
  <meta charset="utf-8">
  <title>AimHarder</title>
  <!-- localStorage.setItem("refreshToken", "${STATE}"); -->
  <link rel="stylesheet" href="/css/app.css?v=1812">
  <style>.clase::before { content: "localStorage.setItem('refreshToken', '${STATE}')" }</style>
  <script src="/js/vendor.js"></script>
  <script>
    // localStorage.setItem("refreshToken", "${STATE}");
    window.dataLayer = window.dataLayer || [];
    function gtag() { dataLayer.push(arguments); }
    gtag("js", new Date());
    var patron = /["'](\\d+)\\/[a-z]+["']/g, mitad = 1 / 2;
  </script>
  <script type="application/ld+json">{"@type": "SportsActivityLocation", "name": "Box <3"}</script>
</head>
<body>
  <div id="cargando">Un momento…</div>
${fillerFirst ? filler : ""}
<script>
    ${kept.join("\n    ")}
    window.location.replace("/schedule");
</script>
${fillerFirst ? "" : filler}
</body>
</html>
`;
}

export const loginPage = `<!DOCTYPE html>
<html lang="es"><head><title>AimHarder - Login</title></head>
<body>
  <form method="post" action="/login" id="loginForm">
    <input type="email" name="mail" placeholder="Email" required>
    <input type="password" name="pw" placeholder="Contraseña" required>
    <input type="submit" name="login" value="Iniciar sesión">
  </form>
  <script>localStorage.removeItem("refreshToken");</script>
</body></html>
`;

export const shortPage = "<!DOCTYPE html><html><head><title>AimHarder</title></head><body></body></html>\n";

export const firewallPage = `<!DOCTYPE html>
<html><head><title>403 Forbidden</title></head>
<body><center><h1>403 Forbidden</h1></center><hr><center>The request could not be satisfied. Request blocked.</center></body></html>
`;

export const faultPage = (status) =>
  `<html><head><title>${status}</title></head><body><center><h1>${status}</h1></center><hr><center>nginx</center></body></html>\n`;

/** The token, but no script that keeps it: what a redesign might leave. */
const redesignedPage = ({ token, fingerprint }) => `<!DOCTYPE html>
<html><body><div id="app"></div>
<script>window.__STATE__ = ${JSON.stringify({ auth: { refreshToken: token, fingerprint } })};</script>
</body></html>
`;

/** What `tokenUpdate` says of a session that lives. */
function refreshedText({ token, filler, fillerFirst = false }) {
  const fields = [["newToken", token]];
  if (filler) fields.splice(fillerFirst ? 0 : 1, 0, ["filler", filler]);
  return JSON.stringify(Object.fromEntries(fields));
}

/** The two forms of an answer, and where each can be cut. */
export const PAGE = {
  refreshed: refreshedPage,
  redesigned: redesignedPage,
  early: () => 600,
  beforeToken: (page) => page.indexOf('    localStorage.setItem("refreshToken"'),
  afterToken: (page) => page.indexOf("window.location.replace"),
};
export const JSON_TEXT = {
  refreshed: refreshedText,
  redesigned: ({ token }) => JSON.stringify({ auth: { token } }),
  early: (text) => text.indexOf("|"),
  beforeToken: (text) => text.length - 3,
  afterToken: (text) => text.length - 1,
};

/** Some five megabytes of timetable. */
export function timetable() {
  return '<div class="clase"><span>07:00</span> WOD <a href="/schedule?day=1">Reservar</a></div>\n'.repeat(58_000);
}
