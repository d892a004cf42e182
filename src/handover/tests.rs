//! Two processes in one: what one gives, the other takes.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_transport::pages::{Handler, Pages, not_found};
use tidegate_transport::sockets::{Local, Sockets};
use tokio::sync::mpsc;

use super::*;

/// A process that listens on a port and waits for the one that follows.
struct Old {
    place: tempfile::TempDir,
    address: SocketAddr,
    committed: mpsc::UnboundedReceiver<Committed>,
    _pages: Pages,
}

impl Old {
    async fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let handler: Handler = Arc::new(|_| Box::pin(std::future::ready(not_found())));
        let pages = Pages::serve("127.0.0.1:0", handler).await.unwrap();
        let mut giving = Giving::open(&place.path().join("handover.sock")).unwrap();
        giving.publish().unwrap();
        let sockets = Sockets::of_process().clone();
        let committed = giving.serve(sockets, Duration::from_secs(3)).unwrap();
        Self {
            address: pages.address(),
            _pages: pages,
            place,
            committed,
        }
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("handover.sock")
    }
}

#[tokio::test]
async fn nothing_ends_before_the_commit_and_the_commit_waits_for_the_end() {
    let mut old = Old::start().await;
    let taken = Sockets::default();
    let first = prepare(&old.path(), &taken).unwrap().unwrap();
    let wanted = Local::Tcp(old.address);
    let came = taken.close_unclaimed();
    assert!(came.iter().any(|(local, _)| *local == wanted), "{came:?}");
    drop(first);
    // The one that gave up changed nothing: the next one is served as well.
    let second = prepare(&old.path(), &taken).unwrap().unwrap();
    assert!(old.committed.try_recv().is_err());
    let waiting = std::thread::spawn(move || second.commit());
    let committed = old.committed.recv().await.unwrap();
    assert_eq!(committed.pid(), std::process::id());
    assert!(!waiting.is_finished());
    committed.release();
    waiting.join().unwrap().unwrap();
    // Nobody else is served any more.
    assert!(old.committed.recv().await.is_none());
    assert!(prepare(&old.path(), &taken).unwrap().is_none());
}

#[tokio::test]
async fn end_of_the_process_stands_for_its_last_word() {
    let mut old = Old::start().await;
    let prepared = prepare(&old.path(), &Sockets::default()).unwrap().unwrap();
    let waiting = std::thread::spawn(move || prepared.commit());
    drop(old.committed.recv().await.unwrap());
    waiting.join().unwrap().unwrap();
}

#[tokio::test]
async fn another_version_is_refused_with_what_is_spoken() {
    let old = Old::start().await;
    let mut stream = UnixStream::connect(old.path()).unwrap();
    stream.write_all(b"tidegate-handover 9 prepare\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "refused this process speaks version 1\n");
    assert!(prepare(&old.path(), &Sockets::default()).unwrap().is_some());
}

#[tokio::test]
async fn socket_is_private_and_takes_the_place_of_one_left_behind() {
    let old = Old::start().await;
    let mode = std::fs::metadata(old.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let Old { place, .. } = old;
    let path = place.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(prepare(&path, &Sockets::default()).unwrap().is_none());
    // One that is not published leaves everything as it is.
    drop(Giving::open(&path).unwrap());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
    Giving::open(&path).unwrap().publish().unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let none = place.path().join("none.sock");
    assert!(prepare(&none, &Sockets::default()).unwrap().is_none());
}
