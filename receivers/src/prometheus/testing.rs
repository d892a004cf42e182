//! What tests of several parts share.

use super::config::jobs_of;
use super::job::Job;

/// A job with these keys beside its name.
pub(super) fn job(keys: &str) -> Job {
    let text = match keys {
        "" => "{job_name: shop}".to_owned(),
        keys => format!("{{job_name: shop, {keys}}}"),
    };
    let text = format!("config: {{scrape_configs: [{text}]}}");
    let mut jobs = jobs_of(&text).unwrap_or_else(|fault| panic!("`{text}`: {fault}"));
    jobs.remove(0)
}
