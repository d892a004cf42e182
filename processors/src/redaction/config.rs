//! The keys of `redaction`.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Processor, Stability, pattern,
};
use tidegate_document::Secret;

use super::hash::{Hash, Mask};
use super::rules::Rules;
use super::{Redaction, Summary};

/// Takes out attributes that are not on a list, and masks values that must not be seen, of resources, scopes,
/// spans and their events, log records and their bodies, and data points.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether attributes stay that are not on the list of `allowed_keys`.
    allow_all_keys: bool,
    /// The attributes that stay; without `allow_all_keys` all others are taken out.
    allowed_keys: Vec<String>,
    /// Attributes that stay as they are, whatever their values.
    ignored_keys: Vec<String>,
    /// Patterns of such attributes.
    ignored_key_patterns: Vec<String>,
    /// Patterns of attributes whose whole values are masked.
    blocked_key_patterns: Vec<String>,
    /// Patterns of which all that matches is masked in values.
    blocked_values: Vec<String>,
    /// Patterns of values that stay as they are.
    allowed_values: Vec<String>,
    /// Whether values that are no text are looked at as text; one that is masked becomes text.
    redact_all_types: bool,
    /// What stands in place of what is masked: a hash of it by `md5`, `sha1`, `sha3`, `hmac-sha256` or
    /// `hmac-sha512`, or four asterisks unless told.
    hash_function: String,
    /// The key of `hmac-sha256` (32 bytes at least) and `hmac-sha512` (64 bytes at least).
    hmac_key: Option<Secret>,
    /// Whether attributes tell what was done: keys and counts (`debug`), counts (`info`), or nothing (`silent`).
    summary: Summary,
    /// Taking what varies out of URLs: not built.
    url_sanitizer: Sanitizer,
    /// Taking values out of database queries: not built.
    db_sanitizer: DbSanitizer,
}

/// A sanitizer that is not built; it may be there as long as it is off.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Sanitizer {
    /// Whether it is on; it cannot be.
    enabled: bool,
    /// The attributes to which it applies.
    attributes: Vec<String>,
    /// Whether it applies to names of spans too.
    sanitize_span_name: bool,
}

/// Sanitizers of queries that are not built; they may be there as long as they are off.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct DbSanitizer {
    /// For SQL.
    sql: Sanitizer,
    /// For Redis.
    redis: Sanitizer,
    /// For Valkey.
    valkey: Sanitizer,
    /// For Memcached.
    memcached: Sanitizer,
    /// For MongoDB.
    mongo: Sanitizer,
    /// For OpenSearch.
    opensearch: Sanitizer,
    /// For Elasticsearch.
    es: Sanitizer,
    /// Whether they apply to names of spans too.
    sanitize_span_name: bool,
}

impl Config {
    /// Refuses what is not built.
    fn check(&self) -> Result<(), BuildError> {
        let db = &self.db_sanitizer;
        let sanitizers = [
            ("url_sanitizer", &self.url_sanitizer),
            ("db_sanitizer::sql", &db.sql),
            ("db_sanitizer::redis", &db.redis),
            ("db_sanitizer::valkey", &db.valkey),
            ("db_sanitizer::memcached", &db.memcached),
            ("db_sanitizer::mongo", &db.mongo),
            ("db_sanitizer::opensearch", &db.opensearch),
            ("db_sanitizer::es", &db.es),
        ];
        match sanitizers.iter().find(|(_, of)| of.enabled) {
            Some((path, _)) => Err(BuildError::at(
                format!("{path}::enabled"),
                "this sanitizer is not built",
            )
            .remedy("mask what must not be seen with `blocked_values`, and switch it off")),
            None => Ok(()),
        }
    }

    fn hash(&self) -> Result<Option<Hash>, BuildError> {
        let key = self.hmac_key.as_ref().map_or("", Secret::reveal).as_bytes();
        let long = |least: usize| {
            if key.len() >= least {
                return Ok(key);
            }
            let message = format!("the key has {} bytes, {least} are needed", key.len());
            Err(BuildError::at("hmac_key", message)
                .remedy("take a longer secret, as `${env:REDACTION_KEY}`"))
        };
        Ok(match self.hash_function.to_ascii_lowercase().as_str() {
            "" => None,
            "md5" => Some(Hash::Md5),
            "sha1" => Some(Hash::sha1()),
            "sha3" => Some(Hash::sha3()),
            "hmac-sha256" => Some(Hash::hmac_sha256(long(32)?)),
            "hmac-sha512" => Some(Hash::hmac_sha512(long(64)?)),
            other => {
                let message = format!("{other:?} is no hash function");
                return Err(BuildError::at("hash_function", message).remedy(
                    "write `md5`, `sha1`, `sha3`, `hmac-sha256` or `hmac-sha512`, or leave it out",
                ));
            }
        })
    }

    fn rules(&self) -> Result<Rules, BuildError> {
        let set = |patterns: &[String], path: &str| {
            pattern::compile_set(patterns)
                .map_err(|fault| BuildError::at(path, fault).remedy("write a regular expression"))
        };
        let keys = |list: &[String]| -> HashSet<Box<[u8]>> {
            list.iter().map(|key| key.as_bytes().into()).collect()
        };
        let blocked = set(&self.blocked_values, "blocked_values")?;
        let each = self.blocked_values.iter();
        let each = each.map(|text| {
            let compiled = pattern::compile(text);
            compiled.map_err(|fault| BuildError::at("blocked_values", fault))
        });
        Ok(Rules {
            allowed_keys: (!self.allow_all_keys).then(|| keys(&self.allowed_keys)),
            ignored_keys: keys(&self.ignored_keys),
            ignored_patterns: set(&self.ignored_key_patterns, "ignored_key_patterns")?,
            blocked_patterns: set(&self.blocked_key_patterns, "blocked_key_patterns")?,
            allowed_values: set(&self.allowed_values, "allowed_values")?,
            blocked_values: each.collect::<Result<_, _>>()?,
            any_blocked_value: blocked,
            all_types: self.redact_all_types,
            mask: Mask::new(self.hash()?),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "redaction";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        self.check()?;
        Ok(Box::new(Redaction::new(cx, self.rules()?, self.summary)))
    }
}
