//! Which versions, cipher suites and groups are spoken.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, cipher_suite as suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use super::{TlsError, Version};

/// The cipher suites of TLS 1.2, by the names that Go gives them.
const SUITES: [(&str, SupportedCipherSuite); 6] = [
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The suites of TLS 1.3: as in Go, naming them neither adds nor removes one.
const SUITES_13: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

const CURVES: [(&str, &dyn SupportedKxGroup); 4] = [
    ("X25519MLKEM768", kx_group::X25519MLKEM768),
    ("X25519", kx_group::X25519),
    ("P256", kx_group::SECP256R1),
    ("P384", kx_group::SECP384R1),
];

/// The versions between the two, ends included.
pub(super) fn versions(
    min: Option<Version>,
    max: Option<Version>,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let (low, high) = (min.unwrap_or(Version::Tls12), max.unwrap_or(Version::Tls13));
    if high < Version::Tls12 {
        return Err(
            TlsError::new("max_version", "TLS below 1.2 is not spoken: it is broken")
                .remedy("write \"1.2\" or \"1.3\""),
        );
    }
    if low > high {
        return Err(TlsError::new(
            "min_version",
            "the lowest version is above the highest",
        ));
    }
    Ok(match (low, high) {
        (Version::Tls13, _) => vec![&version::TLS13],
        (_, Version::Tls13) => vec![&version::TLS13, &version::TLS12],
        _ => vec![&version::TLS12],
    })
}

/// The cryptography, limited to what is named; everything safe where nothing is.
pub(super) fn provider(
    suites: &[String],
    curves: &[String],
) -> Result<Arc<CryptoProvider>, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    if !suites.is_empty() {
        let mut named = Vec::new();
        for name in suites {
            if SUITES_13.contains(&name.as_str()) {
                continue;
            }
            let known = SUITES.iter().find(|(known, _)| known == name);
            let (_, suite) =
                known.ok_or_else(|| unknown("cipher_suites", name, &SUITES.map(|s| s.0)))?;
            named.push(*suite);
        }
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some());
        // As Go: our order of preference counts, not the one in which they are named.
        provider.cipher_suites.extend(
            aws_lc_rs::ALL_CIPHER_SUITES
                .iter()
                .filter(|suite| named.contains(suite)),
        );
    }
    if !curves.is_empty() {
        provider.kx_groups = curves
            .iter()
            .map(|name| {
                let known = CURVES.iter().find(|(known, _)| known == name);
                known
                    .map(|(_, group)| *group)
                    .ok_or_else(|| unknown("curve_preferences", name, &CURVES.map(|c| c.0)))
            })
            .collect::<Result<_, _>>()?;
    }
    Ok(Arc::new(provider))
}

fn unknown(key: &'static str, name: &str, known: &[&str]) -> TlsError {
    TlsError::new(key, format!("\"{name}\" is not supported"))
        .remedy(format!("choose from {}", known.join(", ")))
}
