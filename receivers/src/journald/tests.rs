//! The receiver before a `journalctl` that is a script, and before the real one where there is one.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValueList, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tidegate_component::metrics::Series;
use tidegate_component::testing::FakeDoor;
use tidegate_component::{BuildContext, ComponentConfig, Storages};
use tidegate_pdata::{Outcome, Refusal};
use tokio::time::Instant;

use super::*;
use crate::shelf::Shelf;

const PATIENCE: Duration = Duration::from_secs(60);

fn read(yaml: &str) -> Config {
    let node = tidegate_document::yaml::parse_str(yaml).unwrap();
    tidegate_document::read::<Config>(&node).unwrap()
}

fn fault(yaml: &str) -> String {
    let cx = BuildContext::detached("receiver", Config::TYPE.parse().unwrap());
    let error = read(yaml).build(&cx).err().unwrap();
    format!("{}: {error}", error.path)
}

/// A folder with a `journalctl` that tells of its arguments, and then does as the script says.
struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new(body: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("arguments");
        let text = format!("#!/bin/sh\necho \"$@\" >>{}\n{body}\n", said.display());
        let path = folder.path().join("journalctl");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journalctl")
    }

    /// The arguments of each time that it was run.
    fn arguments(&self) -> Vec<String> {
        let said = std::fs::read_to_string(self.folder.path().join("arguments"));
        said.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Waits until it was called.
    async fn called(&self) {
        let call = async {
            while self.arguments().is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, call).await.unwrap();
    }

    fn yaml(&self, more: &str) -> String {
        format!("{{journalctl_path: '{}', {more}}}", self.path().display())
    }
}

struct Rig {
    receiver: Journald,
    door: Arc<FakeDoor>,
    build: BuildContext,
}

impl Rig {
    async fn start(yaml: &str, storages: Storages) -> Self {
        let mut build = BuildContext::detached("receiver", Config::TYPE.parse().unwrap());
        build.storages = storages;
        let mut receiver = read(yaml).receiver(&build).unwrap();
        let door = Arc::new(FakeDoor::default());
        let cx = door.receiver(Config::TYPE.parse().unwrap());
        receiver.start(cx).await.unwrap();
        Self {
            receiver,
            door,
            build,
        }
    }

    async fn records(&self, count: usize) -> Vec<LogRecord> {
        let end = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while all.len() < count {
            assert!(Instant::now() < end, "{} of {count} came", all.len());
            for (payload, _) in self.door.take() {
                for segment in payload.segments() {
                    let request = ExportLogsServiceRequest::decode(&**segment.bytes()).unwrap();
                    let resources = request.resource_logs.into_iter();
                    let scopes = resources.flat_map(|one| one.scope_logs);
                    all.extend(scopes.flat_map(|one| one.log_records));
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        all
    }

    fn counted(&self, name: &str) -> u64 {
        let families = self.build.metrics.registry().families();
        let series = families[name].series.values();
        series
            .map(|series| match series {
                Series::Counter(counter) => counter.value(),
                other => panic!("{other:?}"),
            })
            .sum()
    }

    async fn stop(mut self) {
        timeout(PATIENCE, self.receiver.stop()).await.unwrap();
    }
}

fn body(record: &LogRecord) -> KeyValueList {
    match record.body.as_ref().and_then(|body| body.value.clone()) {
        Some(any_value::Value::KvlistValue(list)) => list,
        other => panic!("{other:?}"),
    }
}

/// The text of a field of the body.
fn field(record: &LogRecord, key: &str) -> Option<String> {
    let list = body(record);
    let found = list.values.into_iter().find(|one| one.key == key)?;
    match found.value?.value? {
        any_value::Value::StringValue(text) => Some(text),
        other => Some(format!("{other:?}")),
    }
}

fn entry(number: u32, message: &str) -> String {
    format!(
        "echo '{{\"MESSAGE\":{message},\"PRIORITY\":\"6\",\"__CURSOR\":\"c{number}\",\"__REALTIME_TIMESTAMP\":\"17645000000{number:05}\"}}'"
    )
}

#[test]
fn keys_are_the_arguments_of_the_original() {
    let cx = BuildContext::detached("receiver", Config::TYPE.parse().unwrap());
    let arguments = |yaml: &str| {
        let receiver = read(yaml).receiver(&cx).unwrap();
        receiver.parts.unwrap().program.arguments.join(" ")
    };
    assert_eq!(arguments("{}"), "--priority info");
    assert_eq!(
        arguments(
            "{directory: /d, files: [/f], units: [ssh, docker], identifiers: [a], priority: 0..3, grep: 'x y', dmesg: true, \
             namespace: n, all: true, merge: true, matches: [{_SYSTEMD_UNIT: ssh}, {_UID: '1000', _SYSTEMD_UNIT: kubelet}]}"
        ),
        "--unit ssh --unit docker --identifier a --priority 0..3 --grep x y --dmesg --namespace n --directory /d --all \
         --merge _SYSTEMD_UNIT=ssh + _SYSTEMD_UNIT=kubelet _UID=1000"
    );
    assert_eq!(
        arguments("{files: [/a, /b], priority: ''}"),
        "--file /a --file /b"
    );
}

#[test]
fn keys_that_cannot_act_are_refused() {
    assert_eq!(
        fault("{matches: [{unit: ssh}]}"),
        "matches::0::unit: \"unit\" is no name of a field"
    );
    assert_eq!(
        fault("{journalctl_path: ' '}"),
        "journalctl_path: the program has no name"
    );
    assert_eq!(
        fault("{root_path: /host}"),
        "journalctl_path: with `root_path` paths begin at a root"
    );
    assert_eq!(
        fault("{root_path: host, journalctl_path: /bin/journalctl}"),
        "root_path: with `root_path` paths begin at a root"
    );
}

#[tokio::test]
async fn entries_come_with_their_fields_and_their_time() {
    let script = Script::new(&format!(
        "{}\n{}\nexec sleep 600",
        entry(1, "\"started\""),
        entry(2, "[104,105]")
    ));
    let yaml = script.yaml("convert_message_bytes: true, units: [ssh], attributes: {a: b}");
    let rig = Rig::start(&yaml, Storages::default()).await;
    let records = rig.records(2).await;
    assert_eq!(field(&records[0], "MESSAGE").as_deref(), Some("started"));
    assert_eq!(field(&records[0], "PRIORITY").as_deref(), Some("6"));
    assert_eq!(field(&records[0], "__CURSOR").as_deref(), Some("c1"));
    assert_eq!(field(&records[0], "__REALTIME_TIMESTAMP"), None);
    assert_eq!(records[0].time_unix_nano, 1_764_500_000_000_001_000);
    assert_eq!(records[0].attributes[0].key, "a");
    assert_eq!(field(&records[1], "MESSAGE").as_deref(), Some("hi"));
    rig.stop().await;
    let expected = "--utc --output=json --follow --lines=0 --unit ssh --priority info";
    assert_eq!(script.arguments(), [expected]);
}

#[tokio::test]
async fn the_next_process_goes_on_behind_what_was_answered_for() {
    let folder = tempfile::tempdir().unwrap();
    let storages = Shelf::storages(folder.path());
    let script = Script::new(&format!("{}\nexec sleep 600", entry(1, "\"one\"")));
    let yaml = script.yaml("storage: file_storage, start_at: beginning");
    let rig = Rig::start(&yaml, storages.clone()).await;
    rig.records(1).await;
    rig.stop().await;
    // What nobody answers for is read again.
    let refused = Script::new(&format!("{}\nexec sleep 600", entry(2, "\"two\"")));
    let yaml = refused.yaml("storage: file_storage, retry_on_failure: {initial_interval: 10ms}");
    let rig = Rig::start(&yaml, storages.clone()).await;
    let refusal = Refusal::new("not now", Duration::ZERO);
    rig.door.answer(Some(Outcome::Refused(refusal)));
    rig.records(1).await;
    rig.stop().await;
    let last = Script::new("exec sleep 600");
    let yaml = last.yaml("storage: file_storage");
    let rig = Rig::start(&yaml, storages.clone()).await;
    last.called().await;
    rig.stop().await;
    let [first] = &script.arguments()[..] else {
        panic!("{:?}", script.arguments());
    };
    assert!(
        first.contains("--no-tail") && !first.contains("cursor"),
        "{first}"
    );
    for later in [&refused, &last] {
        let [later] = &later.arguments()[..] else {
            panic!("{:?}", later.arguments());
        };
        assert!(later.contains("--no-tail --after-cursor c1 "), "{later}");
    }
}

#[tokio::test]
async fn a_journalctl_that_ends_is_started_again_behind_what_was_read() {
    let script = Script::new(&format!(
        "case \"$*\" in *--after-cursor*) {}; exec sleep 600;; *) {}; echo broken >&2; exit 1;; esac",
        entry(2, "\"two\""),
        entry(1, "\"one\"")
    ));
    let rig = Rig::start(&script.yaml("start_at: beginning"), Storages::default()).await;
    let records = rig.records(2).await;
    assert_eq!(field(&records[1], "MESSAGE").as_deref(), Some("two"));
    assert!(script.arguments()[1].contains("--after-cursor c1"));
    assert_eq!(rig.counted("tidegate_journald_restarts"), 1);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_no_entry_is_counted_and_the_rest_goes_on() {
    let script = Script::new(&format!(
        "echo nonsense\necho '[1]'\necho '{{\"MESSAGE\":\"a\"}}'\necho '{{\"__REALTIME_TIMESTAMP\":\"x\",\"__CURSOR\":\"c\"}}'\n\
         printf '\\377\\n'\nhead -c 17000000 /dev/zero | tr '\\0' x\necho\n{}\nexec sleep 600",
        entry(1, "\"good\"")
    ));
    let rig = Rig::start(&script.yaml("start_at: beginning"), Storages::default()).await;
    let records = rig.records(1).await;
    assert_eq!(field(&records[0], "MESSAGE").as_deref(), Some("good"));
    assert_eq!(rig.counted("tidegate_journald_unread_entries"), 6);
    rig.stop().await;
}

#[tokio::test]
async fn without_a_program_it_does_not_start_and_says_what_to_do() {
    let build = BuildContext::detached("receiver", Config::TYPE.parse().unwrap());
    let mut receiver = read("{journalctl_path: /none/journalctl}")
        .receiver(&build)
        .unwrap();
    let door = Arc::new(FakeDoor::default());
    let error = receiver
        .start(door.receiver(Config::TYPE.parse().unwrap()))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("/none/journalctl"),
        "{}",
        error.message
    );
    assert!(
        error.message.contains("journalctl_path"),
        "{}",
        error.message
    );
}

/// The real program over a directory without a journal: it takes the arguments, says that there is nothing, and
/// is ended with the receiver.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "it tells what was left out")]
async fn the_real_program_takes_the_arguments() {
    let program = Path::new("/usr/bin/journalctl");
    if !program.exists() {
        return println!("skipped: there is no {}", program.display());
    }
    let folder = tempfile::tempdir().unwrap();
    let cx = BuildContext::detached("receiver", Config::TYPE.parse().unwrap());
    let yaml = format!(
        "{{directory: '{}', units: [ssh], matches: [{{_UID: '0'}}, {{_UID: '1'}}], priority: warning, all: true, start_at: beginning}}",
        folder.path().display()
    );
    let receiver = read(&yaml).receiver(&cx).unwrap();
    let program = receiver.parts.unwrap().program;
    let mut child = program.start(None).unwrap();
    let mut errors = child.stderr.take().unwrap();
    let mut said = String::new();
    let ended = timeout(Duration::from_secs(2), child.wait()).await;
    child.kill().await.ok();
    tokio::io::AsyncReadExt::read_to_string(&mut errors, &mut said)
        .await
        .unwrap();
    for fault in [
        "nrecognized option",
        "Failed to parse",
        "invalid option",
        "Failed to add match",
    ] {
        assert!(!said.contains(fault), "{ended:?}: {said}");
    }
}
