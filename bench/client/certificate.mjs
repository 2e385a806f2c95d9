// A certificate that lasts as long as this process: some clients ask nobody but https.

import { createHash, generateKeyPairSync, sign } from "node:crypto";

const ECDSA_SHA256 = object("06082a8648ce3d040302");
const COMMON_NAME = object("0603550403");
const ALTERNATIVE_NAMES = object("0603551d11");

/** For a host: key and certificate in PEM, and the key's hash, by which Chromium can be told to trust it. */
export function certificate(host) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const content = contentOf(host, spki);
  const signature = sign("sha256", content, privateKey);
  const der = sequence(content, sequence(ECDSA_SHA256), bits(signature));
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    cert: `-----BEGIN CERTIFICATE-----\n${der.toString("base64")}\n-----END CERTIFICATE-----\n`,
    hash: createHash("sha256").update(spki).digest("base64"),
  };
}

function contentOf(host, spki) {
  const version = tagged(0xa0, tagged(0x02, Buffer.from([2])));
  const serial = tagged(0x02, Buffer.from([1]));
  const name = sequence(tagged(0x31, sequence(COMMON_NAME, tagged(0x0c, Buffer.from(host)))));
  const day = 24 * 60 * 60 * 1000;
  const validity = sequence(time(Date.now() - day), time(Date.now() + day));
  const hosts = sequence(tagged(0x82, Buffer.from(host)));
  const extensions = tagged(0xa3, sequence(sequence(ALTERNATIVE_NAMES, tagged(0x04, hosts))));
  return sequence(version, serial, sequence(ECDSA_SHA256), name, validity, name, spki, extensions);
}

/** A value in DER: its tag, its length, itself. */
function tagged(tag, ...parts) {
  const value = Buffer.concat(parts);
  const { length } = value;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}

function object(hex) {
  return Buffer.from(hex, "hex");
}

const sequence = (...parts) => tagged(0x30, ...parts);
const bits = (value) => tagged(0x03, Buffer.from([0]), value);
const time = (at) => tagged(0x17, Buffer.from(`${new Date(at).toISOString().slice(2, 19).replace(/[-T:]/g, "")}Z`));
