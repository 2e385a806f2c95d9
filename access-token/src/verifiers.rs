//! The four algorithms, as `jsonwebtoken` wants to have them.

use std::sync::Once;

use ed25519_dalek::VerifyingKey as Ed25519Key;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
};
use p256::ecdsa::VerifyingKey as P256Key;
use rsa::{BoxedUint, PublicKey as RsaKey, pkcs1v15};
use sha2::Sha256;
use signature::{Error, Verifier};

/// Modulus lengths in bytes: 2048 bits are the least that is safe, and a check of more than 4096 takes too long.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// A longer public exponent is nobody's, and makes a check slow.
const LONGEST_EXPONENT: usize = 4;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _: &EncodingKey| -> Result<Box<dyn JwtSigner>> {
        Err(ErrorKind::InvalidAlgorithm.into())
    },
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has `jsonwebtoken` use these. Once done it is done.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| _ = PROVIDER.install_default());
}

/// Makes a key ready for use with an algorithm; an error where it is none of that algorithm's.
pub(crate) fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let check = match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Check::hs256(key)?,
        (Algorithm::RS256, AlgorithmFamily::Rsa) => Check::rs256(key)?,
        (Algorithm::ES256, AlgorithmFamily::Ec) => Check::es256(key)?,
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Check::ed25519(key)?,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(Checker { algorithm, check }))
}

struct Checker {
    algorithm: Algorithm,
    check: Check,
}

enum Check {
    Hs256(Hmac<Sha256>),
    Rs256(Box<pkcs1v15::VerifyingKey<Sha256>>),
    Es256(P256Key),
    Ed25519(Ed25519Key),
}

impl Check {
    fn hs256(key: &DecodingKey) -> Result<Self> {
        Hmac::new_from_slice(key.try_get_as_bytes()?)
            .map(Self::Hs256)
            .map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }

    fn rs256(key: &DecodingKey) -> Result<Self> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
            return Err(ErrorKind::InvalidKeyFormat.into());
        };
        let significant = n.iter().skip_while(|byte| **byte == 0).count();
        if !MODULUS.contains(&significant) || e.len() > LONGEST_EXPONENT {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        RsaKey::new(
            BoxedUint::from_be_slice_vartime(n),
            BoxedUint::from_be_slice_vartime(e),
        )
        .map(|key| Self::Rs256(Box::new(pkcs1v15::VerifyingKey::new(key))))
        .map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }

    fn es256(key: &DecodingKey) -> Result<Self> {
        P256Key::from_sec1_bytes(key.try_get_as_bytes()?)
            .map(Self::Es256)
            .map_err(|_| ErrorKind::InvalidEcdsaKey.into())
    }

    fn ed25519(key: &DecodingKey) -> Result<Self> {
        let bytes = key.try_get_as_bytes()?.try_into();
        let key = bytes.map_err(|_| ErrorKind::InvalidEddsaKey)?;
        Ed25519Key::from_bytes(key)
            .ok()
            // With a weak key a signature can be valid for several messages.
            .filter(|key| !key.is_weak())
            .map(Self::Ed25519)
            .ok_or_else(|| ErrorKind::InvalidEddsaKey.into())
    }

    fn passes(&self, message: &[u8], signature: &[u8]) -> bool {
        use rsa::signature::Verifier as _;
        match self {
            Self::Hs256(mac) => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Self::Rs256(key) => pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

impl Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.check
            .passes(message, signature)
            .then_some(())
            .ok_or_else(Error::new)
    }
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
