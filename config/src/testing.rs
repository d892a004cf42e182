//! Surroundings for tests: variables, files and pages that are written down.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tidegate_document::{Node, Paint};

use crate::{Loaded, Request, Surroundings, load};

#[derive(Default)]
pub(crate) struct World {
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl World {
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), text.as_ref().to_vec());
        self
    }

    pub(crate) fn load(&self, configs: &[&str], sets: &[&str]) -> Loaded {
        let own = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
        let request = Request {
            configs: own(configs),
            sets: own(sets),
        };
        load(&request, self)
    }

    /// Loads one text as `c.yaml`.
    pub(crate) fn text(self, text: &str) -> Loaded {
        self.file("c.yaml", text).load(&["c.yaml"], &[])
    }
}

impl Surroundings for World {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = path.to_string_lossy();
        self.files
            .get(&*path)
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn fetch(&self, address: &str) -> Result<String, String> {
        match self.files.get(address) {
            Some(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            None => Err("404 Not Found".to_owned()),
        }
    }
}

impl Loaded {
    pub(crate) fn rendered(&self) -> String {
        self.diagnostics.render(&self.sources, Paint::Plain)
    }

    /// Gives the node at a path of a document with which nothing is wrong.
    pub(crate) fn at(&self, path: &str) -> &Node {
        assert!(!self.diagnostics.has_errors(), "{}", self.rendered());
        self.document.at(path).unwrap()
    }

    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        serde_json::Value::from(self.at(path))
    }
}
