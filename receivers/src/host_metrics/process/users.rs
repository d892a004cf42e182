//! The names of users: `/etc/passwd`.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::host_metrics::host::Files;
use crate::host_metrics::text;

/// Names by numbers, read again when the file changes.
#[derive(Debug, Default)]
pub(super) struct Users {
    names: HashMap<u64, String>,
    changed: Option<SystemTime>,
}

impl Users {
    /// Looks whether the file has changed, once a scrape.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn refresh(&mut self, files: &mut Files) -> Result<(), String> {
        let path = files.host.etc("passwd");
        let changed = std::fs::metadata(&path)
            .and_then(|file| file.modified())
            .ok();
        if changed.is_some() && changed == self.changed {
            return Ok(());
        }
        self.names = parse(files.read(&path)?);
        self.changed = changed;
        Ok(())
    }

    /// The name of a user.
    pub(super) fn name(&self, number: u64) -> Option<&str> {
        self.names.get(&number).map(String::as_str)
    }
}

/// Reads lines as `root:x:0:0:root:/root:/bin/sh`; the first that has a number names it.
fn parse(passwd: &[u8]) -> HashMap<u64, String> {
    let mut names = HashMap::new();
    for line in text::lines(passwd) {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, number) = (fields.next(), fields.nth(1).and_then(text::number));
        if let (Some(name), Some(number)) = (name, number) {
            names
                .entry(number)
                .or_insert_with(|| text::text(name).into_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_by_the_first_line_that_has_their_number() {
        let names = parse(b"# a comment\nroot:x:0:0::/:/bin/sh\ntoor:x:0:0::/:\nnone\nweb:x:33:33");
        assert_eq!(names[&0], "root");
        assert_eq!(names[&33], "web");
        assert_eq!(names.len(), 2);
    }
}
