// What the pages say. The indicator brings its own words.

const en = {
  language: "Language",
  signOut: "Sign out",
  skip: "Skip to content",
  tagline: "Your classes, booked the second they open.",
  footer: "An example app for aimharder-keepalive.",
  states: "All states of the indicator",

  signInTitle: "Who trains today?",
  signInNote: "Development only: anybody can sign in as any of these users, without a password.",
  signInOff: "This build has no sign-in. Start it with DEMO=1, or connect your own.",
  fates: {
    ana: "Everything works",
    bruno: "aimharder answers with a huge page",
    carla: "aimharder stumbles once",
    diego: "aimharder asks for a pause",
    elena: "aimharder is down for a while",
    fermin: "The session is over",
    gala: "The cron leaves her alone: the browser refreshes",
  } as Record<string, string>,

  hello: "Hello, {name}.",
  intro: "Your aimharder session stays fresh by itself. That is how we get you a place the second a class opens.",
  next: "Your next class",
  upcoming: "Upcoming classes",
  today: "Today",
  tomorrow: "Tomorrow",
  minutes: "{n} min",
  taken: "{n} of {places} places taken",
  booked: "Booked",
  automatic: "Books itself at {time}",
  open: "Places left",
  full: "Full",

  details: "Session details",
  detailsNote: "Live from useRefresh().",
  state: "State",
  health: "Health",
  lastRefresh: "Last refresh",
  nextDue: "Next due",
  count: "Refreshes",
  needsRefresh: "Refresh needed",
  canRefresh: "By hand",
  error: "Last error",
  yes: "Yes",
  no: "No",
  none: "None",
  possible: "Possible now",
  blocked: { busy: "Busy", wait: "Not before {time}", sign_in: "After a sign-in" },
  stateNames: {
    unknown: "Not known yet",
    active: "Active",
    expired: "Over",
    exhausted: "Given up for today",
    signed_out: "Signed out",
    unavailable: "Without WebAssembly",
  },
  healthNames: { unknown: "Not known yet", healthy: "Healthy", due: "Due", degraded: "Degraded", expired: "Over" },

  over: "Your aimharder session is over, so nothing can be booked.",
  overAction: "Sign in to aimharder",
  aimharderTitle: "Sign in to aimharder",
  aimharderText:
    "Here a real app asks for the aimharder password, signs in there, and stores the token and the cookies in auth_sessions. This example leaves that out.",
  aimharderAction: "I have signed in: check again",
  aimharderStill: "Still over. Nothing new has been stored.",
  back: "Back to your classes",

  notFound: "There is nothing here.",

  statesTitle: "The indicator in every state",
  statesNote: "With made-up values, in both languages. Countdowns run out and start no refresh.",
};

export type Texts = typeof en;
export type Language = "en" | "es";

const es: Texts = {
  language: "Idioma",
  signOut: "Salir",
  skip: "Ir al contenido",
  tagline: "Tus clases, reservadas en cuanto se abren.",
  footer: "Una aplicación de ejemplo de aimharder-keepalive.",
  states: "Todos los estados del indicador",

  signInTitle: "¿Quién entrena hoy?",
  signInNote: "Solo para desarrollo: cualquiera puede entrar como cualquiera de estos usuarios, sin contraseña.",
  signInOff: "Esta versión no tiene acceso. Arráncala con DEMO=1 o conecta el tuyo.",
  fates: {
    ana: "Todo funciona",
    bruno: "aimharder responde con una página enorme",
    carla: "aimharder tropieza una vez",
    diego: "aimharder pide una pausa",
    elena: "aimharder no responde durante un rato",
    fermin: "La sesión ha terminado",
    gala: "El cron no la toca: refresca el navegador",
  },

  hello: "Hola, {name}.",
  intro: "Tu sesión de aimharder se mantiene al día sola. Así conseguimos tu plaza en cuanto se abre una clase.",
  next: "Tu próxima clase",
  upcoming: "Próximas clases",
  today: "Hoy",
  tomorrow: "Mañana",
  minutes: "{n} min",
  taken: "{n} de {places} plazas ocupadas",
  booked: "Reservada",
  automatic: "Se reserva a las {time}",
  open: "Quedan plazas",
  full: "Completa",

  details: "Detalles de la sesión",
  detailsNote: "En directo, de useRefresh().",
  state: "Estado",
  health: "Salud",
  lastRefresh: "Última renovación",
  nextDue: "Próxima",
  count: "Renovaciones",
  needsRefresh: "Toca renovar",
  canRefresh: "A mano",
  error: "Último error",
  yes: "Sí",
  no: "No",
  none: "Ninguno",
  possible: "Posible ahora",
  blocked: { busy: "Ocupada", wait: "A partir de las {time}", sign_in: "Tras iniciar sesión" },
  stateNames: {
    unknown: "Aún no se sabe",
    active: "Activa",
    expired: "Terminada",
    exhausted: "Sin más intentos hoy",
    signed_out: "Sin acceso",
    unavailable: "Sin WebAssembly",
  },
  healthNames: {
    unknown: "Aún no se sabe",
    healthy: "Buena",
    due: "Pendiente",
    degraded: "Con problemas",
    expired: "Terminada",
  },

  over: "Tu sesión de aimharder ha terminado: no se puede reservar nada.",
  overAction: "Iniciar sesión en aimharder",
  aimharderTitle: "Inicia sesión en aimharder",
  aimharderText:
    "Aquí una aplicación real pide la contraseña de aimharder, inicia sesión allí y guarda el token y las cookies en auth_sessions. Este ejemplo lo omite.",
  aimharderAction: "Ya he iniciado sesión: comprobar",
  aimharderStill: "Sigue terminada. No se ha guardado nada nuevo.",
  back: "Volver a tus clases",

  notFound: "Aquí no hay nada.",

  statesTitle: "El indicador en todos sus estados",
  statesNote: "Con valores inventados y en los dos idiomas. Las cuentas atrás terminan sin renovar nada.",
};

export const TEXTS: Record<Language, Texts> = { en, es };

/** How times and dates are written. */
export const REGIONS: Record<Language, string> = { en: "en-GB", es: "es-ES" };

/** Fills `{name}` places. */
export const fill = (text: string, values: Record<string, string | number>): string =>
  text.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
