//! What a URL names.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::local::directory;
use super::{Azure, Gcs, S3, Target};

/// The stores that a URL may name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stores {
    /// How S3 is reached, for URLs as `s3://bucket/prefix`.
    pub s3: S3,
    /// How Google Cloud Storage is reached, for URLs as `gs://bucket/prefix`.
    pub gcs: Gcs,
    /// How Azure is reached, for URLs as `az://container/prefix`.
    pub azure: Azure,
}

impl Stores {
    /// The target that a URL or a path names.
    pub(in super::super) fn target(&self, url: &str) -> Result<Target, BuildError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            if url.is_empty() {
                return Err(BuildError::at("url", "there is no URL").remedy(REMEDY));
            }
            return directory(url);
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let named = |what: &str| {
            if bucket.is_empty() {
                return Err(BuildError::at("url", format!("\"{url}\" names no {what}"))
                    .remedy(format!("write `{scheme}://{what}/prefix`")));
            }
            Ok(())
        };
        match scheme {
            "file" => directory(rest),
            "s3" | "s3a" => named("bucket").and_then(|()| self.s3.target(bucket, prefix)),
            "gs" | "gcs" => named("bucket").and_then(|()| self.gcs.target(bucket, prefix, "url")),
            "az" | "azure" | "abfs" | "abfss" => {
                named("container")?;
                // abfss://container@account.dfs.core.windows.net/prefix
                let Some((container, host)) = bucket.split_once('@') else {
                    return self.azure.target(bucket, prefix);
                };
                let mut azure = self.azure.clone();
                let account = host.split('.').next().unwrap_or(host);
                azure.account.get_or_insert_with(|| account.to_owned());
                azure.target(container, prefix)
            }
            other => Err(
                BuildError::at("url", format!("the scheme \"{other}\" names no store"))
                    .remedy(REMEDY),
            ),
        }
    }
}

const REMEDY: &str = "write a directory as `./data/lake`, or `s3://bucket/prefix`, \
                      `gs://bucket/prefix` or `az://container/prefix`";

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, BuildError> {
        let mut stores = Stores::default();
        stores.gcs.anonymous = true;
        stores.azure.account = Some("account".to_owned());
        stores.target(url)
    }

    #[test]
    fn urls_name_stores_and_prefixes() {
        for (url, name, root) in [
            ("s3://bucket/a/b/", "s3://bucket", "a/b"),
            ("s3a://bucket", "s3://bucket", ""),
            ("gs://bucket/a", "gs://bucket", "a"),
            ("az://container/a", "az://container", "a"),
            (
                "abfss://container@host.dfs.core.windows.net/a",
                "az://container",
                "a",
            ),
            ("/var/lake", "/var/lake", "var/lake"),
            ("file:///var/lake", "/var/lake", "var/lake"),
        ] {
            let target = target(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((&*target.name, target.root.as_ref()), (name, root), "{url}");
        }
        assert!(target("./data/lake").unwrap().name.ends_with("/data/lake"));
    }

    #[test]
    fn what_names_no_store_is_refused_with_what_to_write() {
        for url in ["", "ftp://a/b", "s3://", "gs:///a", "az://"] {
            let error = target(url).err().unwrap();
            assert_eq!(error.path, "url", "{url}");
            assert!(error.remedy.unwrap().contains("write"), "{url}");
        }
    }
}
