//! The stores that objects go to.

use std::path::{Path, PathBuf};

use super::gate::Gate;
use super::proxy::Proxy;
use super::read;
use super::shim::Shim;
use crate::rig::Rig;
use crate::support::objects::{AWS, AZURE, Objects};

/// How objects are made: two partitions for each batch, several row groups, many objects.
const SHAPE: &str = "partition_by: [date, minute], row_group_rows: 64, roll: {max_age: 250ms}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    S3,
    Azure,
}

pub enum Store {
    Directory(PathBuf, Shim),
    Server(Objects, Proxy),
}

impl Store {
    /// Makes a store and has a collector, which does not run yet, put its objects there; none where its
    /// server is missing.
    pub fn of(kind: Kind, rig: &mut Rig) -> Option<Self> {
        let (store, keys) = match kind {
            Kind::Directory => {
                let lake = rig.directory.path().join("lake");
                let shim = Shim::new(rig.directory.path());
                rig.environment = shim.environment().into();
                let keys = format!("url: '{}'", lake.display());
                (Self::Directory(lake, shim), keys)
            }
            Kind::S3 => {
                let server = Objects::s3()?;
                let proxy = Proxy::start(&server.url);
                let environment = AWS.map(|(key, value)| (key.to_owned(), value.to_owned()));
                rig.environment = environment.into();
                let s3 = format!("{{endpoint: '{}', force_path_style: true}}", proxy.url());
                (
                    Self::Server(server, proxy),
                    format!("url: 's3://lake', s3: {s3}"),
                )
            }
            Kind::Azure => {
                let server = Objects::azure()?;
                let proxy = Proxy::start(&server.url);
                let (account, key) = AZURE;
                let azure = format!(
                    "{{endpoint: '{}/{account}', account: {account}, access_key: '{key}'}}",
                    proxy.url()
                );
                (
                    Self::Server(server, proxy),
                    format!("url: 'az://lake', azure: {azure}"),
                )
            }
        };
        rig.plan.objects = Some(format!("{keys}, {SHAPE}"));
        Some(store)
    }

    pub fn gate(&self) -> &dyn Gate {
        match self {
            Self::Directory(_, shim) => shim,
            Self::Server(_, proxy) => proxy,
        }
    }

    /// The numbers of all objects, and how many objects there are.
    pub fn read(&self) -> (Vec<u64>, usize) {
        match self {
            Self::Directory(lake, _) => read::objects(lake),
            Self::Server(server, _) => {
                let folder = tempfile::tempdir().expect("a temporary directory");
                let lake: &Path = folder.path();
                server.fetch(lake);
                read::objects(lake)
            }
        }
    }
}
