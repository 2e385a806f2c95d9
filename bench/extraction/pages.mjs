// The pages that are measured. ASCII, so that characters are bytes.

export const TOKEN = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";
const FINGERPRINT = "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb";

export const PLACES = ["early", "late", "absent"];

const HEAD = `<!doctype html>
<html lang="es">
<head>
<meta charset="utf-8">
<title>AimHarder</title>
<link rel="stylesheet" href="/css/main.css">
`;

const SCRIPT = `<script>
    localStorage.setItem("refreshToken", "${TOKEN}");
    localStorage.setItem("fingerprint", "${FINGERPRINT}");
</script>
`;

/** Like a timetable's page: markup, text, and a fifth of it scripts that keep nothing. */
const UNIT = `<section class="class-card" id="class-18734" data-room="2" data-coach="17">
  <h3 class="title"><a href="/schedule/class/18734?day=20261101">Cross training &middot; 18:30</a></h3>
  <ul class="bookings">
    <li class="booking free"><span class="place">1</span> <img src="/img/avatar.png" alt="" width="24"> Free</li>
    <li class="booking"><span class="place">2</span> <img src="/img/users/8812.jpg" alt="" width="24"> Marta G.</li>
    <li class="booking"><span class="place">3</span> <img src="/img/users/1902.jpg" alt="" width="24"> Iker S.</li>
  </ul>
  <p>Bring a towel and be there five minutes before the class begins. Places are given back up to two hours before.</p>
  <form action="/api/book" method="post"><input type="hidden" name="id" value="18734"><button>Book</button></form>
</section>
<script>
  window.classes = window.classes || [];
  window.classes.push({ id: 18734, from: "18:30", free: 12 / 3, days: ["mon", "wed"], open: true });
  if (window.ga) { ga("send", "event", "class", 'seen'); } // counted once
</script>
`;

const TAIL = "</body>\n</html>\n";

/** A page of some `bytes`: `{ before, unit, units, behind }`. `place`: where its token stands. */
export function partsOf(bytes, place) {
  const before = `${HEAD}${place === "early" ? SCRIPT : ""}</head>\n<body>\n`;
  const behind = `${place === "late" ? SCRIPT : ""}${TAIL}`;
  const room = Math.max(0, bytes - before.length - behind.length);
  return { before, unit: UNIT, units: Math.round(room / UNIT.length), behind };
}
