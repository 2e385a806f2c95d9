// What the booking job asks of the Worker, and what its tests look at. `world`: a function, since worlds start later.

import { ago, INTERNAL_KEY } from "./world.mjs";

export const ROUTE = "/api/internal/ensure-fresh";
export const key = { "x-api-key": INTERNAL_KEY };
export const results = ({ body }) => body.sessions.map(({ result }) => result);
export const ids = (sessions) => sessions.map(({ id }) => id);

export function bookingJob(world) {
  const ensure = (json, worker = world().worker) => worker.call(ROUTE, { method: "POST", json, headers: key });

  /** A session whose last sign of life was ten minutes ago. It isn't due. */
  const signInOld = (name, options) =>
    world().signIn({ email: `${name}@example.com`, row: { signed_in_at: ago(600) }, ...options });

  async function signInMany(count, options) {
    const sessions = [];
    for (let index = 0; index < count; index += 1) sessions.push(await signInOld(`user${index}`, options));
    return sessions;
  }

  /** What is stored is what upstream would accept, and nobody holds a lease. */
  async function nothingIsLost(sessions) {
    for (const session of sessions) {
      const told = [await world().isInStep(session), (await world().row(session)).lease_holder];
      if (told[0] !== true || told[1] !== null) throw new Error(`user ${session.userId}: in step, lease: ${told}`);
    }
  }

  return { ensure, signInOld, signInMany, nothingIsLost };
}
