// Access tokens of every kind: well made, and forged. And a source of keys, as Supabase Auth is one.

import { constants, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createLastingServer } from "../../local/server.mjs";

const KINDS = {
  RS256: { generate: () => generateKeyPairSync("rsa", { modulusLength: 2048 }), hash: "sha256" },
  ES256: {
    generate: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    hash: "sha256",
    options: { dsaEncoding: "ieee-p1363" },
  },
  EdDSA: { generate: () => generateKeyPairSync("ed25519"), hash: null },
  PS256: { hash: "sha256", options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } },
  RS512: { hash: "sha512" },
};

export const encode = (value) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A key pair of an algorithm: `{ kid, alg, jwk, publicKey, sign(claims, header) }`. */
export function createKey(alg, kid = randomUUID()) {
  const { privateKey, publicKey } = KINDS[alg].generate();
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" };
  return {
    kid,
    alg,
    jwk,
    publicKey,
    /** Signs claims (an object, or JSON text) under a header; `as` another algorithm of the same key. */
    sign(claims, header = {}, as = alg) {
      const head = typeof header === "string" ? header : { typ: "JWT", alg: as, kid, ...header };
      const signed = `${encode(head)}.${encode(claims)}`;
      const { hash, options } = KINDS[as];
      const signature = sign(hash, Buffer.from(signed), { key: privateKey, ...options });
      return `${signed}.${signature.toString("base64url")}`;
    },
  };
}

/** Serves a key set, and counts who asks. `fault`: what to answer in its place, `{ status, body, location }`; `delay`: ms. */
export async function startKeySource(keys) {
  const source = { keys, asked: [], fault: undefined, delay: 0 };
  const server = createLastingServer(async (request, response) => {
    source.asked.push({ url: request.url, headers: request.headers });
    await sleep(source.delay);
    const { status = 200, body = JSON.stringify({ keys: source.keys }), location } = source.fault ?? {};
    if (location) response.setHeader("location", location);
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  source.url = `http://127.0.0.1:${server.address().port}/auth/v1/.well-known/jwks.json`;
  source.stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return source;
}
