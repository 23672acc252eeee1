//! Passwords and tokens: made, hashed, verified, and never shown again.

use std::fmt;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

/// What tokens begin with, so that people and scanners of secrets know one when they see it.
const TOKEN_START: &str = "fanlight_";
/// Of the second of OWASP's equal settings for argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SALT_BYTES: usize = 16;
/// Whoever gives an unknown name is made to wait as long as for a wrong password.
const NOBODYS_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5a25vd3NpdA$\
    mO6Xk0m4w9dO2xXG4m1Wb0QyY5m7y0y2b8nM3g1xJpQ";

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("these are within its bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A password's hash, in the PHC format. Takes tens of milliseconds, by intent.
pub(crate) fn hash_password(password: &str) -> String {
    let salt = SaltString::encode_b64(&random_bytes::<SALT_BYTES>()).expect("a salt of 16 bytes");
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    hash.expect("a password that was looked at can be hashed").to_string()
}

/// Whether a password has this hash; None: there is no such user, which takes as long to find out.
pub(crate) fn verify_password(password: &str, hash: Option<&str>) -> bool {
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODYS_PASSWORD)) else { return false };
    argon2().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some()
}

/// Whether this is a password's hash that can be verified.
pub(crate) fn is_password_hash(hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2"))
}

/// A new token: 256 random bits, shown once.
pub(crate) struct Token(String);

impl Token {
    /// Another that nobody has seen.
    pub(crate) fn new() -> Token {
        Token(format!("{TOKEN_START}{}", BASE64URL_NOPAD.encode(&random_bytes::<32>())))
    }

    /// What is kept of it. There is nothing to try out: 256 random bits need no slow hash.
    pub(crate) fn hash(&self) -> String {
        token_hash(&self.0)
    }

    /// To show it, once.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What is kept of a token.
pub(crate) fn token_hash(token: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(token.as_bytes()))
}

/// A digest of several texts, which does not depend on where one ends and the next begins.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_hash_and_no_other() {
        let hash = hash_password("correct horse");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hash_password("correct horse"), "each has a salt of its own");
        assert!(verify_password("correct horse", Some(&hash)));
        assert!(!verify_password("correct horse ", Some(&hash)));
        assert!(!verify_password("correct horse", None));
        assert!(!verify_password("correct horse", Some("plain")));
        assert!(is_password_hash(&hash) && is_password_hash(NOBODYS_PASSWORD));
        assert!(!is_password_hash("plain"));
    }

    #[test]
    fn tokens_are_long_differ_and_do_not_print() {
        let token = Token::new();
        assert_eq!(token.reveal().len(), TOKEN_START.len() + 43);
        assert_ne!(token.reveal(), Token::new().reveal());
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert_eq!(token.hash(), token_hash(token.reveal()));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(token.reveal().chars().all(plain), "it fits into a header as it is");
    }

    #[test]
    fn a_digest_tells_where_parts_end() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
    }
}
