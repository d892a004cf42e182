//! Tables of users as Apache's `htpasswd` writes them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha_crypt::{PasswordHash, PasswordVerifier, ShaCrypt};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::md5crypt::md5_crypt;

/// Users, each with what is known of the password.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<String, Known>);

/// What is known of a password.
#[derive(Debug)]
enum Known {
    /// All of it.
    Plain(String),
    /// bcrypt's hash.
    Bcrypt(String),
    /// The hash of Apache's or of crypt's MD5, after which of them and with which salt.
    Md5 {
        magic: &'static str,
        salt: String,
        hash: String,
    },
    /// SHA-1, with the salt behind the password.
    Sha1 { salt: Vec<u8>, hash: Vec<u8> },
    /// The hash of crypt's SHA-256 or SHA-512.
    Sha2(PasswordHash),
}

impl Table {
    /// Adds the users of a text, in place of those of the same names.
    ///
    /// # Errors
    /// Names the line that is none.
    pub(super) fn read(&mut self, text: &str) -> Result<(), String> {
        let lines = text.lines().map(str::trim).enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let fault = |what: &str| format!("line {} {what}", at + 1);
            let (user, hash) = line.split_once(':').ok_or_else(|| fault("has no colon"))?;
            let known =
                Known::read(hash).ok_or_else(|| fault("has a hash that is cut off or damaged"))?;
            self.0.insert(user.to_owned(), known);
        }
        Ok(())
    }

    /// Whether this is the password of the user. May take a good part of a second.
    pub(super) fn matches(&self, user: &str, password: &str) -> bool {
        self.0
            .get(user)
            .is_some_and(|known| known.matches(password))
    }
}

impl Known {
    fn read(text: &str) -> Option<Self> {
        const BCRYPT: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];
        if BCRYPT.iter().any(|prefix| text.starts_with(prefix)) {
            text.parse::<bcrypt::HashParts>().ok()?;
            return Some(Self::Bcrypt(text.to_owned()));
        }
        for magic in ["$apr1$", "$1$"] {
            if let Some(rest) = text.strip_prefix(magic) {
                let (salt, hash) = rest.split_once('$')?;
                let (salt, hash) = (salt.to_owned(), hash.to_owned());
                return (hash.len() == 22).then_some(Self::Md5 { magic, salt, hash });
            }
        }
        if text.starts_with("$5$") || text.starts_with("$6$") {
            return PasswordHash::new(text).ok().map(Self::Sha2);
        }
        let salted = text.strip_prefix("{SSHA}");
        if let Some(encoded) = salted.or_else(|| text.strip_prefix("{SHA}")) {
            let bytes = STANDARD.decode(encoded).ok()?;
            let (hash, salt) = bytes.split_at_checked(Sha1::output_size())?;
            let fits = salted.is_some() || salt.is_empty();
            return fits.then(|| Self::Sha1 {
                salt: salt.to_vec(),
                hash: hash.to_vec(),
            });
        }
        Some(Self::Plain(text.to_owned()))
    }

    fn matches(&self, password: &str) -> bool {
        let same = |known: &[u8], given: &[u8]| bool::from(known.ct_eq(given));
        match self {
            Self::Plain(known) => same(known.as_bytes(), password.as_bytes()),
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Md5 { magic, salt, hash } => {
                let made = md5_crypt(password.as_bytes(), salt.as_bytes(), magic);
                same(hash.as_bytes(), made.as_bytes())
            }
            Self::Sha1 { salt, hash } => {
                let made = Sha1::new()
                    .chain_update(password)
                    .chain_update(salt)
                    .finalize();
                same(hash, &made)
            }
            Self::Sha2(hash) => ShaCrypt::default()
                .verify_password(password.as_bytes(), hash)
                .is_ok(),
        }
    }
}
