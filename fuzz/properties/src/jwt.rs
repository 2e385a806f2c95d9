//! Users' access tokens, and the key sets that they are checked with.

use std::sync::LazyLock;

use access_token::{
    email::Email,
    key::{Key, KeySet},
    token::{Rules, TokenError, Unverified, WantedKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use session_core::secret::Secret;
use sha2::Sha256;

use crate::{NOW, PARTING, choices};

const SECRET: &str = "a-secret-with-at-least-thirty-two-characters";

const RULES: Rules<'_> = Rules {
    issuer: "https://project.supabase.co/auth/v1",
    audience: "authenticated",
};

/// Longer ones are not read at all.
const LONGEST: usize = 8 * 1024;

/// What a clock may be off, in seconds.
const LEEWAY: f64 = 30.0;

/// What must hold of any token, any key set, any header and any claims.
pub fn holds(data: &[u8]) {
    let ([place_low, place_high, change, byte], rest) = choices::<4>(data);
    let mut texts = rest
        .splitn(4, |byte| *byte == PARTING)
        .map(String::from_utf8_lossy);
    let mut next = || texts.next().unwrap_or_default();
    let (token, keys, header, claims) = (next(), next(), next(), next());
    nothing_unsigned_passes(&token, keys.as_bytes());
    what_passes_says_so(&header, &claims);
    let place = usize::from(u16::from_le_bytes([place_low, place_high]));
    for (algorithm, sign) in [("HS256", by_secret as Sign), ("EdDSA", by_pair)] {
        let token = as_supabase_signs(algorithm, sign, &claims);
        if token.len() > LONGEST {
            assert!(Unverified::read(&token).is_err());
            continue;
        }
        let expected = Email::parse(&claims).ok_or(TokenError::NoEmail);
        assert_eq!(check(&token), expected, "{algorithm} {claims}");
        let changed = changed(&token, place, change, byte);
        assert!(
            changed == token || check(&changed).is_err(),
            "{changed} for {token}"
        );
    }
}

/// Nobody can have signed what is made up here, with any key.
fn nothing_unsigned_passes(token: &str, keys: &[u8]) {
    let set = KeySet::parse(keys);
    let Ok((unverified, wanted)) = Unverified::read(token) else {
        return;
    };
    let mut tried = vec![secret()];
    if let (WantedKey::Listed(id), Ok(set)) = (wanted, set) {
        tried.extend(set.find(&id).cloned());
    }
    for key in tried {
        assert!(unverified.verify(&key, RULES, NOW).is_err(), "{token}");
    }
}

/// Any header and any claims, rightly signed: what is accepted must be so by a reading of its own.
fn what_passes_says_so(header: &str, claims: &str) {
    let token = by_secret(header, claims);
    let Ok((unverified, wanted)) = Unverified::read(&token) else {
        return;
    };
    let Ok(email) = unverified.verify(&secret(), RULES, NOW) else {
        return;
    };
    let header: Value = serde_json::from_str(header).unwrap();
    assert_eq!(
        (wanted, header["alg"].as_str()),
        (WantedKey::Secret, Some("HS256"))
    );
    assert!(header.get("crit").is_none_or(Value::is_null), "{header}");
    let claims: Value = serde_json::from_str(claims).unwrap();
    assert_eq!(claims["email"], email.as_str());
    assert_eq!(claims["iss"], RULES.issuer);
    let mut audience = vec![&claims["aud"]];
    audience.extend(claims["aud"].as_array().into_iter().flatten());
    assert!(audience.iter().any(|one| **one == RULES.audience), "{claims}");
    let now = std::time::Duration::from_millis(NOW.as_millis().unsigned_abs()).as_secs_f64();
    assert!(claims["exp"].as_f64().unwrap() > now - LEEWAY, "{claims}");
    for start in ["nbf", "iat"] {
        assert!(
            claims[start].as_f64().is_none_or(|time| time <= now + LEEWAY),
            "{claims}"
        );
    }
}

type Sign = fn(&str, &str) -> String;

/// A token of today, with a text as e-mail address and as whatever else a token may hold.
fn as_supabase_signs(algorithm: &str, sign: Sign, text: &str) -> String {
    let now = NOW.as_millis() / 1000;
    let header = json!({ "alg": algorithm, "kid": "ed", "typ": "JWT" });
    let claims = json!({
        "iss": RULES.issuer, "aud": RULES.audience, "exp": now + 3600, "iat": now, "email": text,
        "user_metadata": serde_json::from_str(text).unwrap_or(Value::Null),
    });
    sign(&header.to_string(), &claims.to_string())
}

/// As the Worker does it.
fn check(token: &str) -> Result<Email, TokenError> {
    let (unverified, wanted) = Unverified::read(token)?;
    let key = match wanted {
        WantedKey::Secret => Some(secret()),
        WantedKey::Listed(id) => LISTED.find(&id).cloned(),
    };
    unverified.verify(&key.ok_or(TokenError::Invalid)?, RULES, NOW)
}

fn changed(token: &str, place: usize, change: u8, byte: u8) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let place = place % bytes.len();
    let last = bytes.len() - 1;
    let (range, with) = match change % 5 {
        0 => (place..place + 1, Some(byte & 0x7F)),
        1 => (place..place, Some(byte & 0x7F)),
        2 => (place..place + 1, None),
        3 => (place..last + 1, None),
        // The last character of a part has bits to spare.
        _ => (last..last + 1, Some(byte & 0x7F)),
    };
    bytes.splice(range, with);
    String::from_utf8(bytes).unwrap()
}

fn secret() -> Key {
    Key::from_secret(&Secret::new(SECRET))
}

static PAIR: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[7; 32]));

/// What the pair's public half is listed in.
static LISTED: LazyLock<KeySet> = LazyLock::new(|| {
    let public = URL_SAFE_NO_PAD.encode(PAIR.verifying_key());
    let set = json!({ "keys": [{ "kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": public }] });
    KeySet::parse(set.to_string().as_bytes()).unwrap()
});

fn by_secret(header: &str, claims: &str) -> String {
    signed(header, claims, |message| {
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.chain_update(message).finalize().into_bytes().to_vec()
    })
}

fn by_pair(header: &str, claims: &str) -> String {
    signed(header, claims, |message| PAIR.sign(message).to_bytes().to_vec())
}

fn signed(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let signature = encode(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}
