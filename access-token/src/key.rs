//! Keys that tokens are checked with, each with the one algorithm that it is for.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use session_core::secret::Secret;

use crate::verifiers::{self, verifier};

/// Supabase lists one to three.
const MOST_KEYS: usize = 32;

/// Far above any that is in use.
const LONGEST_ID: usize = 256;

/// A key and its algorithm, which a token has no say in.
#[derive(Clone, Debug)]
pub struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) material: DecodingKey,
}

impl Key {
    /// The project's secret, for HS256.
    pub fn from_secret(secret: &Secret) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            material: DecodingKey::from_secret(secret.expose().as_bytes()),
        }
    }

    /// A public key that can be used here; whatever else a set may list is `None`.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let for_signatures = jwk
            .common
            .public_key_use
            .as_ref()
            .is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let for_checking = jwk
            .common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let (algorithm, name) = algorithm_of(&jwk.algorithm)?;
        let as_named = jwk
            .common
            .key_algorithm
            .as_ref()
            .is_none_or(|named| *named == name);
        if !(for_signatures && for_checking && as_named) {
            return None;
        }
        let material = DecodingKey::from_jwk(jwk).ok()?;
        verifier(algorithm, &material).ok()?;
        Some(Self { algorithm, material })
    }
}

/// A symmetric key has no business in a public set.
fn algorithm_of(parameters: &AlgorithmParameters) -> Option<(Algorithm, KeyAlgorithm)> {
    match parameters {
        AlgorithmParameters::RSA(_) => Some((Algorithm::RS256, KeyAlgorithm::RS256)),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some((Algorithm::ES256, KeyAlgorithm::ES256))
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Some((Algorithm::EdDSA, KeyAlgorithm::EdDSA))
        }
        _ => None,
    }
}

/// The public keys of a JSON Web Key Set (RFC 7517) that can be used here, by their ids.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<(String, Key)>,
}

/// Why a text is no key set: it is not JSON, or has no list of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON Web Key Set")]
pub struct KeySetError;

impl KeySet {
    /// Reads a set. What is of another kind, incomplete, without an id, or not meant for checking signatures is left out;
    /// of two keys with one id the first is taken. A set may be empty: all its keys were revoked, or there never were any.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Listed {
            keys: Vec<Value>,
        }
        verifiers::install();
        let listed: Listed = serde_json::from_slice(json).map_err(|_| KeySetError)?;
        let keys: Vec<_> = listed
            .keys
            .into_iter()
            .take(MOST_KEYS)
            .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
            .filter_map(|jwk| {
                let key = Key::from_jwk(&jwk)?;
                let id = jwk
                    .common
                    .key_id
                    .filter(|id| (1..=LONGEST_ID).contains(&id.len()))?;
                Some((id, key))
            })
            .collect();
        Ok(Self { keys })
    }

    /// The key with this id.
    pub fn find(&self, id: &str) -> Option<&Key> {
        self.keys
            .iter()
            .find(|(known, _)| known == id)
            .map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8037, appendix A.2.
    fn ed25519() -> Value {
        json!({ "kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
    }

    /// RFC 7517, appendix A.1.
    fn p256() -> Value {
        json!({
            "kid": "ec", "kty": "EC", "crv": "P-256", "use": "sig",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        })
    }

    /// RFC 7517, appendix A.1.
    fn rsa() -> Value {
        json!({
            "kid": "rsa", "kty": "RSA", "alg": "RS256", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
                  oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6\
                  qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz\
                  KnqDKgw",
        })
    }

    fn with(mut key: Value, change: &Value) -> Value {
        key.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        key
    }

    fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn a_key_s_algorithm_is_its_own() {
        let set = parse(&[ed25519(), p256(), rsa()]).unwrap();
        for (id, algorithm) in [
            ("ed", Algorithm::EdDSA),
            ("ec", Algorithm::ES256),
            ("rsa", Algorithm::RS256),
        ] {
            assert_eq!(set.find(id).unwrap().algorithm, algorithm);
        }
        assert!(set.find("RSA").is_none() && set.find("").is_none());
    }

    #[test]
    fn what_can_t_be_used_is_left_out_and_the_rest_is_not() {
        for useless in [
            json!({}),
            json!("key"),
            json!({ "kid": "oct", "kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "alg": "HS256" }),
            with(ed25519(), &json!({ "kid": "" })),
            with(ed25519(), &json!({ "kid": "a".repeat(300) })),
            with(ed25519(), &json!({ "kid": 1 })),
            with(ed25519(), &json!({ "x": "AAAA" })),
            with(ed25519(), &json!({ "x": "" })),
            with(
                ed25519(),
                &json!({ "x": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }),
            ),
            with(ed25519(), &json!({ "use": "enc" })),
            with(ed25519(), &json!({ "key_ops": ["sign"] })),
            with(ed25519(), &json!({ "alg": "RS256" })),
            with(p256(), &json!({ "crv": "P-384" })),
            with(p256(), &json!({ "x": "AAAA" })),
            with(
                p256(),
                &json!({ "y": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4" }),
            ),
            with(rsa(), &json!({ "alg": "RS512" })),
            with(
                rsa(),
                &json!({ "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWh" }),
            ),
            with(rsa(), &json!({ "n": "" })),
            with(rsa(), &json!({ "e": "" })),
            with(rsa(), &json!({ "e": "AQ" })),
            with(rsa(), &json!({ "e": "AQABAQABAQAB" })),
        ] {
            assert!(
                parse(std::slice::from_ref(&useless)).unwrap().keys.is_empty(),
                "{useless}"
            );
            assert!(parse(&[useless, p256()]).unwrap().find("ec").is_some());
        }
    }

    #[test]
    fn what_is_no_set_is_none() {
        for text in ["", "null", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(&[]).unwrap().find("ed").is_none(), "an empty set is one");
    }

    #[test]
    fn of_two_keys_with_one_id_the_first_counts() {
        let set = parse(&[with(p256(), &json!({ "kid": "ed" })), ed25519()]).unwrap();
        assert_eq!(set.find("ed").unwrap().algorithm, Algorithm::ES256);
    }
}
