import { CLASSES, type GymClass } from "@/lib/classes";
import { fill, type Language, REGIONS, TEXTS } from "@/lib/texts";

/** The timetable by days. */
export function Classes({ lang }: { lang: Language }) {
  const days = [...new Set(CLASSES.map(({ day }) => day))];
  return (
    <section className="card classes" aria-labelledby="upcoming">
      <h2 id="upcoming">{TEXTS[lang].upcoming}</h2>
      {days.map((day) => (
        <div key={day}>
          <h3>{dayName(day, lang)}</h3>
          <ul>
            {CLASSES.filter((each) => each.day === day).map((each) => (
              <Row key={each.time} {...each} lang={lang} />
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}

/** The first class that is booked. */
export function NextClass({ lang }: { lang: Language }) {
  const next = CLASSES.find(({ status }) => status === "booked");
  if (!next) return null;
  return (
    <section className="next" aria-labelledby="next">
      <h2 id="next">{TEXTS[lang].next}</h2>
      <p className="when">{next.time}</p>
      <p>
        <strong>{next.name}</strong> · {dayName(next.day, lang)}
      </p>
    </section>
  );
}

function Row({ time, minutes, name, taken, places, status, opens = "", lang }: GymClass & { lang: Language }) {
  const texts = TEXTS[lang];
  return (
    <li className={`class ${status}`}>
      <time>{time}</time>
      <div>
        <p className="name">{name}</p>
        <p className="muted">
          {fill(texts.minutes, { n: minutes })}
          {status !== "automatic" && ` · ${fill(texts.taken, { n: taken, places })}`}
        </p>
      </div>
      <p className="mark">{fill(texts[status], { time: opens })}</p>
    </li>
  );
}

function dayName(day: number, lang: Language): string {
  if (day < 2) return day === 0 ? TEXTS[lang].today : TEXTS[lang].tomorrow;
  const date = new Date(Date.now() + day * 24 * 60 * 60 * 1000);
  const style = { weekday: "long", day: "numeric", month: "long", timeZone: "Europe/Madrid" } as const;
  return date.toLocaleDateString(REGIONS[lang], style);
}
