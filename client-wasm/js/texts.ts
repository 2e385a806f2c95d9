// What the indicator says. Plain strings with places for values, so that a server component can pass its own.

const EN = {
  title: "aimharder session",

  healthy: "Session is fresh",
  due: "Refresh is due",
  degraded: "Trouble refreshing",
  expired: "Session has ended",
  unknown: "Checking the session…",
  signed_out: "You are signed out",
  unavailable: "No automatic refresh",
  refreshing: "Refreshing…",

  last: "Last refresh {time}",
  never: "Not refreshed yet",
  justNow: "just now",
  soon: "in a moment",
  next: "Refreshes by itself {time}.",
  retry: "Tries again by itself in {time}.",

  refresh: "Refresh now",
  signIn: "Sign in",
  busy: "A refresh is under way.",
  asking: "Asking how the session stands.",
  wait: "You can refresh again in {time}.",
  signInFirst: "Only a new sign-in helps.",
  byHand: "WebAssembly can't run in this browser. You can still refresh by hand.",

  error_session_expired: "Your aimharder session is over. Please sign in to aimharder again.",
  error_session_not_found: "No aimharder session is stored for you. Please sign in to aimharder.",
  error_unusable: "The stored aimharder session can't be used. Please sign in to aimharder again.",
  error_unauthorized: "Your sign-in to this app is no longer valid.",
  error_throttled: "aimharder asks for a pause. Your session is kept.",
  error_refused: "aimharder turned the refresh away. Your session is kept.",
  error_fault: "aimharder has a problem at the moment. Your session is kept.",
  error_unreachable: "aimharder can't be reached at the moment. Your session is kept.",
  error_timed_out: "aimharder did not answer in time. Your session is kept.",
  error_unrecognised: "aimharder answered something unexpected. Your session is kept.",
  error_server: "Our server has a problem at the moment. Your session is kept.",
  error_network: "No connection to the server. Are you online?",
  error_timeout: "The server did not answer in time.",
  error_too_soon: "It was tried a moment ago. Please wait a little.",
  error_refresh_in_progress: "A refresh is under way elsewhere.",
  error_other: "Something went wrong ({code}). Your session is kept.",
};

/** Every text of the indicator. `{time}` and `{code}` are filled in. */
export type IndicatorTexts = typeof EN;

const ES: IndicatorTexts = {
  title: "Sesión de aimharder",

  healthy: "Sesión al día",
  due: "Toca renovar la sesión",
  degraded: "Problemas al renovar",
  expired: "La sesión ha terminado",
  unknown: "Comprobando la sesión…",
  signed_out: "No has iniciado sesión",
  unavailable: "Sin renovación automática",
  refreshing: "Renovando…",

  last: "Última renovación {time}",
  never: "Aún no se ha renovado",
  justNow: "hace un momento",
  soon: "en un momento",
  next: "Se renueva sola {time}.",
  retry: "Se reintenta sola en {time}.",

  refresh: "Renovar ahora",
  signIn: "Iniciar sesión",
  busy: "Se está renovando.",
  asking: "Consultando el estado de la sesión.",
  wait: "Podrás renovar de nuevo en {time}.",
  signInFirst: "Hace falta iniciar sesión de nuevo.",
  byHand: "WebAssembly no funciona en este navegador. Aún puedes renovar a mano.",

  error_session_expired: "Tu sesión de aimharder ha terminado. Vuelve a iniciar sesión en aimharder.",
  error_session_not_found: "No hay ninguna sesión de aimharder guardada. Inicia sesión en aimharder.",
  error_unusable: "La sesión de aimharder guardada no se puede usar. Vuelve a iniciar sesión en aimharder.",
  error_unauthorized: "Tu acceso a esta aplicación ya no es válido.",
  error_throttled: "aimharder pide una pausa. Tu sesión se conserva.",
  error_refused: "aimharder ha rechazado la renovación. Tu sesión se conserva.",
  error_fault: "aimharder tiene un problema en este momento. Tu sesión se conserva.",
  error_unreachable: "No se puede contactar con aimharder en este momento. Tu sesión se conserva.",
  error_timed_out: "aimharder no ha respondido a tiempo. Tu sesión se conserva.",
  error_unrecognised: "aimharder ha respondido algo inesperado. Tu sesión se conserva.",
  error_server: "Nuestro servidor tiene un problema en este momento. Tu sesión se conserva.",
  error_network: "Sin conexión con el servidor. ¿Tienes internet?",
  error_timeout: "El servidor no ha respondido a tiempo.",
  error_too_soon: "Se ha intentado hace un momento. Espera un poco.",
  error_refresh_in_progress: "Ya se está renovando en otro sitio.",
  error_other: "Algo ha fallado ({code}). Tu sesión se conserva.",
};

export const TEXTS = { en: EN, es: ES };

/** Codes that mean the same to a user. */
const SAME: Record<string, string> = {
  expired: "session_expired",
  session_unusable: "unusable",
  http_429: "too_soon",
  spared: "fault",
  superseded: "server",
  unwritten: "server",
  interrupted: "server",
  misconfigured: "server",
};

/** An error's code in plain words. */
export function errorText(code: string, texts: IndicatorTexts): string {
  const short = code.replace(/^upstream_/, "").replace(/^(database_.*|http_5\d\d)$/, "server");
  const text = (texts as Record<string, string | undefined>)[`error_${SAME[short] ?? short}`];
  return text ?? texts.error_other.replace("{code}", code);
}
