//! Lists and watches, against the scripted server.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_document::Secret;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::scripted::Server;
use super::{Api, Collection, Event, Token, Watch};

const PATIENCE: Duration = Duration::from_secs(60);
const PODS: &str = "/api/v1/pods";

/// What a watch knows, as one who keeps to its events does.
#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    listing: Option<BTreeSet<String>>,
    lists: usize,
    bodies: usize,
}

impl Known {
    fn take(&mut self, event: Event<'_>) {
        let name = |json: &str| {
            let object: Value = serde_json::from_str(json).unwrap();
            let body = object.get("spec").is_some();
            (
                object["metadata"]["name"].as_str().unwrap().to_owned(),
                body,
            )
        };
        match event {
            Event::Begun => self.listing = Some(BTreeSet::new()),
            Event::Put(json, _) => {
                let (name, body) = name(json);
                self.bodies += usize::from(body);
                if let Some(listing) = &mut self.listing {
                    listing.insert(name.clone());
                }
                self.names.insert(name);
            }
            Event::Gone(json) => {
                self.names.remove(&name(json).0);
            }
            Event::Listed => {
                self.names = self.listing.take().unwrap();
                self.lists += 1;
            }
            Event::Idle => {}
        }
    }
}

struct Rig {
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rig {
    fn follow(server: &Server, collection: Collection) -> Self {
        Self::with(server, collection, Token::None)
    }

    fn with(server: &Server, collection: Collection, token: Token) -> Self {
        let api = Api::new(&server.access(token), None).unwrap();
        let known = Arc::new(Mutex::new(Known::default()));
        let own = Arc::clone(&known);
        let task = tokio::spawn(async move {
            let mut sink = |event: Event<'_>| {
                own.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(event);
            };
            Watch::new(&api, collection).follow(&mut sink).await;
        });
        Self { known, task }
    }

    fn look<T>(&self, look: impl Fn(&Known) -> T) -> T {
        look(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn until(&self, is: impl Fn(&Known) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !self.look(&is) {
            let names = self.look(|known| known.names.clone());
            assert!(Instant::now() < end, "it did not come to be: {names:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn knows(&self, names: &[&str]) {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.until(|known| known.listing.is_none() && known.names == names)
            .await;
    }
}

fn pods() -> Collection {
    Collection {
        path: PODS.to_owned(),
        ..Collection::default()
    }
}

fn pod(name: &str, node: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
        "spec": {"nodeName": node},
    })
}

async fn requests(server: &Server, parts: &[&str], count: usize) {
    let end = Instant::now() + PATIENCE;
    while server.count(parts) < count {
        assert!(Instant::now() < end, "{parts:?}: {:?}", server.requests());
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_collection_is_listed_and_followed() {
    let server = Server::start().await;
    server.chunks(7);
    server.put(PODS, pod("a", "n1"));
    let rig = Rig::follow(&server, pods());
    rig.knows(&["a"]).await;
    server.put(PODS, pod("b", "n1"));
    rig.knows(&["a", "b"]).await;
    server.delete(PODS, "shop", "a");
    rig.knows(&["b"]).await;
    assert_eq!(rig.look(|known| known.lists), 1);
}

#[tokio::test]
async fn what_is_selected_by_fields_and_labels_comes_and_goes_with_them() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    server.put(PODS, pod("b", "n2"));
    server.put(PODS, pod("c", "n1"));
    let rig = Rig::follow(
        &server,
        Collection {
            fields: "spec.nodeName=n1".to_owned(),
            labels: "app!=c".to_owned(),
            ..pods()
        },
    );
    rig.knows(&["a"]).await;
    server.put(PODS, pod("a", "n2"));
    server.put(PODS, pod("b", "n1"));
    rig.knows(&["b"]).await;
    assert!(
        server.count(&[
            "fieldSelector=spec.nodeName%3Dn1",
            "labelSelector=app%21%3Dc"
        ]) > 1
    );
}

#[tokio::test]
async fn of_metadata_alone_nothing_else_is_sent() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    let metadata_only = true;
    let rig = Rig::follow(
        &server,
        Collection {
            metadata_only,
            ..pods()
        },
    );
    rig.knows(&["a"]).await;
    server.put(PODS, pod("b", "n1"));
    rig.knows(&["a", "b"]).await;
    assert_eq!(rig.look(|known| known.bodies), 0);
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    let rig = Rig::follow(&server, pods());
    rig.knows(&["a"]).await;
    for name in ["b", "c", "d"] {
        requests(&server, &["watch=1"], 1).await;
        server.cut_watches();
        server.put(PODS, pod(name, "n1"));
        rig.until(|known| known.names.contains(name)).await;
    }
    assert_eq!(rig.look(|known| known.lists), 1, "nothing is listed again");
}

#[tokio::test]
async fn a_version_that_is_gone_means_to_list_again() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    let rig = Rig::follow(&server, pods());
    rig.knows(&["a"]).await;
    requests(&server, &["watch=1"], 1).await;
    server.cut_watches();
    server.delete(PODS, "shop", "a");
    server.put(PODS, pod("b", "n1"));
    server.compact();
    rig.knows(&["b"]).await;
    requests(&server, &["watch=1"], 2).await;
    server.expire_watches();
    rig.until(|known| known.lists >= 2 && known.listing.is_none())
        .await;
    rig.knows(&["b"]).await;
    // The server may have an older list at hand than the one that was seen already.
    assert_eq!(server.count(&["limit=", "resourceVersion=0"]), 1);
}

#[tokio::test]
async fn bookmarks_move_the_version_on() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    let rig = Rig::follow(&server, pods());
    rig.knows(&["a"]).await;
    requests(&server, &["watch=1"], 1).await;
    for name in ["x", "y", "z"] {
        server.put("/api/v1/configmaps", json!({"metadata": {"name": name}}));
    }
    server.bookmark();
    // The watch that follows tells how far the one before has come.
    let end = Instant::now() + PATIENCE;
    while server.count(&["watch=1", "resourceVersion=4"]) == 0 {
        assert!(Instant::now() < end, "{:?}", server.requests());
        sleep(Duration::from_millis(50)).await;
        server.cut_watches();
    }
    assert_eq!(rig.look(|known| known.lists), 1);
}

#[tokio::test]
async fn long_lists_come_in_pages_and_begin_anew_when_their_place_is_gone() {
    let server = Server::start().await;
    let names: Vec<String> = (0..1200).map(|number| format!("p{number:04}")).collect();
    for name in &names {
        server.put(PODS, pod(name, "n1"));
    }
    let rig = Rig::follow(&server, pods());
    rig.until(|known| known.names.len() == 1200 && known.listing.is_none())
        .await;
    assert_eq!(
        server.count(&["continue="]),
        0,
        "the cache gives all at once"
    );
    server.compact();
    server.expire_watches();
    requests(&server, &["continue="], 2).await;
    rig.until(|known| known.lists == 2).await;
    assert_eq!(rig.look(|known| known.names.len()), 1200);
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_waited_for() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    server.refuse(1, 429, Some(3));
    let began = Instant::now();
    let rig = Rig::follow(&server, pods());
    rig.knows(&["a"]).await;
    assert!(began.elapsed() >= Duration::from_secs(3));
}

#[tokio::test]
async fn a_token_is_read_again_when_it_was_renewed() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    server.require("first");
    let rig = Rig::with(&server, pods(), Token::File(path.clone()));
    rig.knows(&["a"]).await;
    requests(&server, &["watch=1"], 1).await;
    server.require("second");
    server.cut_watches();
    server.put(PODS, pod("b", "n1"));
    requests(&server, &["watch=1"], 2).await;
    std::fs::write(&path, "second").unwrap();
    rig.knows(&["a", "b"]).await;
}

#[tokio::test]
async fn a_server_that_ends_each_watch_at_once_is_not_hurried() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "n1"));
    let rig = Rig::follow(&server, pods());
    rig.knows(&["a"]).await;
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        server.cut_watches();
        sleep(Duration::from_millis(5)).await;
    }
    let watches = server.count(&["watch=1"]);
    assert!((2..=12).contains(&watches), "{watches} watches");
    server.put(PODS, pod("b", "n1"));
    rig.knows(&["a", "b"]).await;
}

#[tokio::test]
async fn what_the_server_says_of_a_fault_is_told() {
    let server = Server::start().await;
    let token = Token::Header(Secret::new("Bearer other"));
    let api = Api::new(&server.access(token), None).unwrap();
    server.require("secret");
    let error = api.get("/api/v1/nodes/n1", 1000).await.unwrap_err();
    let expected = "the server answers 401 Unauthorized: as told: Unauthorized";
    assert_eq!(error.to_string(), expected);
}
