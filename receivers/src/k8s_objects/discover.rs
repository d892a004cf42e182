//! Where in the API a kind of objects is: `pods` at `/api/v1`, `deployments` at `/apis/apps/v1`.

use std::collections::HashMap;

use serde::Deserialize;
use tidegate_transport::kubernetes::{Api, ApiError};

/// The most that is read of one answer.
const MOST: usize = 16 << 20;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Group {
    name: String,
    preferred_version: Version,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    group_version: String,
}

/// What the API said of itself so far.
#[derive(Default)]
pub(super) struct Discovery {
    /// The groups with their preferred versions; the first is the core, which has no name.
    groups: Vec<(String, String)>,
    resources: HashMap<String, Vec<String>>,
}

impl Discovery {
    /// The path before a kind's name, of the group that is named or of the first that knows it.
    ///
    /// # Errors
    /// Says that the cluster has none, or cannot be asked.
    pub(super) async fn find(
        &mut self,
        api: &Api,
        name: &str,
        group: Option<&str>,
    ) -> Result<String, String> {
        let fault =
            |error: ApiError| format!("the cluster does not say which objects it has: {error}");
        if self.groups.is_empty() {
            self.groups = groups(api).await.map_err(fault)?;
        }
        let mut first = None;
        for (known, path) in self.groups.clone() {
            // Who names a group that has none such gets the first, as of the original.
            if first.is_some() && group.is_none_or(|group| group != known) {
                continue;
            }
            let listed = match self.resources.get(&path) {
                Some(listed) => listed.iter().any(|one| one == name),
                None => {
                    let Ok(listed) = resources(api, &path).await else {
                        // A group whose server is down is no fault of the others.
                        continue;
                    };
                    let found = listed.iter().any(|one| one == name);
                    self.resources.insert(path.clone(), listed);
                    found
                }
            };
            if listed && group.is_none_or(|group| group == known) {
                return Ok(path);
            }
            if listed {
                first.get_or_insert(path);
            }
        }
        first.ok_or_else(|| format!("the cluster has no objects that are called {name:?}"))
    }
}

async fn groups(api: &Api) -> Result<Vec<(String, String)>, ApiError> {
    let body = api.get("/apis", MOST).await?;
    let groups: Groups =
        serde_json::from_slice(&body).map_err(|error| ApiError::Senseless(error.to_string()))?;
    let core = (String::new(), "/api/v1".to_owned());
    let others = groups.groups.into_iter().map(|group| {
        let path = format!("/apis/{}", group.preferred_version.group_version);
        (group.name, path)
    });
    Ok(std::iter::once(core).chain(others).collect())
}

async fn resources(api: &Api, path: &str) -> Result<Vec<String>, ApiError> {
    let body = api.get(path, MOST).await?;
    let resources: Resources =
        serde_json::from_slice(&body).map_err(|error| ApiError::Senseless(error.to_string()))?;
    let names = resources
        .resources
        .into_iter()
        .map(|resource| resource.name);
    Ok(names.collect())
}
