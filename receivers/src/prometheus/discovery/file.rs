//! `file_sd_configs`: targets listed in files, which are read anew when they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tidegate_document::{read, yaml};
use tokio::time::sleep;

use crate::prometheus::config::StaticKeys;
use crate::prometheus::labels::Group;
use crate::prometheus::scrape::Updates;

/// How often files are looked at, whatever the interval at which they are read at the latest.
const LOOK: Duration = Duration::from_secs(2);

/// Bytes of a file that are read at most.
const MOST: u64 = 64 << 20;

/// Files to read.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct Files {
    patterns: Vec<Pattern>,
    refresh: Duration,
}

/// A path whose last part may hold a `*`.
#[derive(Clone, Debug)]
struct Pattern {
    folder: PathBuf,
    name: String,
}

/// What a file held when it was read last.
struct Known {
    stamp: Option<(SystemTime, u64)>,
    groups: Vec<Group>,
    /// Why it could not be read, as it was logged.
    fault: Option<String>,
}

impl Files {
    /// Checks the paths; a fault comes with the number of its path, as part of a key.
    pub(in crate::prometheus) fn new(
        paths: &[String],
        refresh: Duration,
    ) -> Result<Self, (String, String)> {
        if paths.is_empty() {
            return Err((String::new(), "no file is named".to_owned()));
        }
        let patterns = paths.iter().enumerate().map(|(at, path)| {
            Pattern::new(path).map_err(|fault| (format!("::{at}"), fault.to_owned()))
        });
        Ok(Self {
            patterns: patterns.collect::<Result<_, _>>()?,
            refresh,
        })
    }

    /// Brings the targets of all files, again whenever one changes.
    pub(in crate::prometheus) async fn watch(self, updates: Updates) {
        let mut known: BTreeMap<PathBuf, Known> = BTreeMap::new();
        let mut told = None;
        let pause = LOOK.min(self.refresh);
        let mut since = Duration::ZERO;
        loop {
            let all = since >= self.refresh;
            if all {
                since = Duration::ZERO;
            }
            let files = self.clone();
            let before = std::mem::take(&mut known);
            let looked = tokio::task::spawn_blocking(move || files.look(before, all)).await;
            let Ok(now) = looked else {
                return; // the process is going
            };
            for (path, file) in &now {
                if let Some(fault) = &file.fault {
                    tracing::warn!(job = %updates.job, file = %path.display(), %fault, "cannot read targets");
                }
            }
            known = now;
            for file in known.values_mut() {
                file.fault = None;
            }
            let groups: Vec<Group> = known
                .values()
                .flat_map(|file| file.groups.clone())
                .collect();
            if told.as_ref() != Some(&groups) {
                told = Some(groups.clone());
                updates.set(groups).await;
            }
            sleep(pause).await;
            since += pause;
        }
    }

    /// Reads the files that changed; what cannot be read keeps the targets that it had.
    fn look(&self, mut before: BTreeMap<PathBuf, Known>, all: bool) -> BTreeMap<PathBuf, Known> {
        let mut now = BTreeMap::new();
        for path in self.patterns.iter().flat_map(Pattern::matching) {
            let stamp = std::fs::metadata(&path)
                .ok()
                .and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
            let earlier = before.remove(&path);
            if let Some(same) = earlier.as_ref()
                && !all
                && same.stamp == stamp
            {
                now.extend(earlier.map(|same| (path, same)));
                continue;
            }
            let (groups, fault) = match groups_of(&path) {
                Ok(groups) => (groups, None),
                Err(fault) => (
                    earlier.map_or_else(Vec::new, |known| known.groups),
                    Some(fault),
                ),
            };
            now.insert(
                path,
                Known {
                    stamp,
                    groups,
                    fault,
                },
            );
        }
        now
    }
}

impl Pattern {
    fn new(path: &str) -> Result<Self, &'static str> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if folder.contains('*') {
            return Err("only the last part of a path may hold a `*`");
        }
        let known = [".json", ".yml", ".yaml"];
        if !known.iter().any(|end| name.ends_with(end)) {
            return Err("the file's name must end with .json, .yml or .yaml");
        }
        if name.matches('*').count() > 1 {
            return Err("a path may hold one `*`");
        }
        Ok(Self {
            folder: match (folder, path.starts_with('/')) {
                ("", true) => "/".into(),
                ("", false) => ".".into(),
                _ => folder.into(),
            },
            name: name.to_owned(),
        })
    }

    /// The files that are there.
    fn matching(&self) -> Vec<PathBuf> {
        let Some((start, end)) = self.name.split_once('*') else {
            return vec![self.folder.join(&self.name)];
        };
        let Ok(folder) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut paths: Vec<PathBuf> = names
            .filter(|name| {
                name.len() >= start.len() + end.len()
                    && name.starts_with(start)
                    && name.ends_with(end)
            })
            .map(|name| self.folder.join(name))
            .collect();
        paths.sort();
        paths
    }
}

/// The targets that a file lists.
fn groups_of(path: &Path) -> Result<Vec<Group>, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > MOST {
        return Err(format!("the file is larger than {MOST} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let lists: Vec<StaticKeys> = match path.extension().is_some_and(|end| end == "json") {
        true => serde_json::from_str(&text).map_err(|error| error.to_string())?,
        false => {
            let node = yaml::parse_str(&text).map_err(|found| found.to_string())?;
            match node.is_null() {
                true => Vec::new(),
                false => read(&node).map_err(|found| found.to_string())?,
            }
        }
    };
    Ok(marked(&lists, "__meta_filepath", &path.to_string_lossy()))
}

/// The groups that were listed, with a label that says where.
pub(super) fn marked(lists: &[StaticKeys], label: &str, place: &str) -> Vec<Group> {
    lists
        .iter()
        .map(|list| {
            let mut group = list.group();
            group.labels.insert(label.to_owned(), place.to_owned());
            group
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_when_they_change_and_kept_when_they_break() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(
            at("a.json"),
            r#"[{"targets": ["a:1", "b:2"], "labels": {"zone": "x"}}]"#,
        )
        .unwrap();
        std::fs::write(at("b.yaml"), "- targets: [c:3]\n  labels: {rack: 7}\n").unwrap();
        std::fs::write(at("c.txt"), "nothing").unwrap();
        let paths = ["*.json", "*.yaml"].map(|name| at(name).to_string_lossy().into_owned());
        let files = Files::new(&paths, Duration::from_secs(60)).unwrap();
        let targets = |known: &BTreeMap<PathBuf, Known>| -> Vec<String> {
            let groups = known.values().flat_map(|file| &file.groups);
            groups
                .flat_map(|group| group.targets.iter().map(|spot| spot.address.clone()))
                .collect()
        };
        let known = files.look(BTreeMap::new(), false);
        assert_eq!(targets(&known), ["a:1", "b:2", "c:3"]);
        let labels = &known[&at("b.yaml")].groups[0].labels;
        assert_eq!(labels["rack"], "7");
        assert!(labels["__meta_filepath"].ends_with("b.yaml"));
        std::fs::write(at("a.json"), "[{\"targets\": 7").unwrap();
        let known = files.look(known, false);
        assert_eq!(targets(&known), ["a:1", "b:2", "c:3"]);
        assert!(known[&at("a.json")].fault.is_some());
        std::fs::remove_file(at("a.json")).unwrap();
        assert_eq!(targets(&files.look(known, false)), ["c:3"]);
    }

    #[test]
    fn paths_that_no_file_can_have_are_refused() {
        for path in ["/a/*/b.json", "a.txt", "*a*.json"] {
            let fault = Files::new(&[path.to_owned()], Duration::ZERO).unwrap_err();
            assert_eq!(fault.0, "::0", "{path}");
        }
        assert!(Files::new(&[], Duration::ZERO).is_err());
    }
}
