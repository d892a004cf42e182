//! The network fails: toxiproxy between the collector and the backend, and packets lost by the kernel.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::clients::Pattern;
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::support::{Process, free_port, http};
use crate::{lasting, rounds, system};

const DRAIN: Duration = Duration::from_secs(90);

/// toxiproxy with one proxy, told what to do over its API.
struct Toxiproxy {
    _server: Process,
    api: String,
    listen: String,
}

impl Toxiproxy {
    fn start(upstream: &str) -> Result<Self, String> {
        let program = system::program("toxiproxy-server")?;
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["-host", "127.0.0.1", "-port", &port.to_string()]);
        let mut server = Process::start("toxiproxy", &mut command);
        let proxy = Self {
            api: format!("127.0.0.1:{port}"),
            listen: format!("127.0.0.1:{}", free_port()),
            _server: {
                server.wait_listening(&format!("127.0.0.1:{port}"));
                server
            },
        };
        let listen = &proxy.listen;
        proxy.tell(
            "POST /proxies",
            &format!(
                r#"{{"name":"sink","listen":"{listen}","upstream":"{upstream}","enabled":true}}"#
            ),
        );
        Ok(proxy)
    }

    fn tell(&self, what: &str, body: &str) {
        let request = format!("{what} HTTP/1.1\r\ncontent-type: application/json");
        let (head, answer) = http(&self.api, &request, body.as_bytes()).expect("an answer");
        let well = head.split(' ').nth(1).is_some_and(|s| s.starts_with('2'));
        assert!(well, "{what}: {head}\n{}", String::from_utf8_lossy(&answer));
    }

    fn toxic(&self, kind: &str, stream: &str, attributes: &str) {
        let name = format!("{kind}-{stream}");
        self.tell(
            "POST /proxies/sink/toxics",
            &format!(
                r#"{{"name":"{name}","type":"{kind}","stream":"{stream}","attributes":{{{attributes}}}}}"#
            ),
        );
    }

    fn cure(&self, kind: &str, stream: &str) {
        self.tell(&format!("DELETE /proxies/sink/toxics/{kind}-{stream}"), "");
    }

    fn cut(&self, cut: bool) {
        self.tell("POST /proxies/sink", &format!(r#"{{"enabled":{}}}"#, !cut));
    }
}

/// Runs a scenario through toxiproxy in every mode.
fn through_toxiproxy(id: &str, happen: impl Fn(&Toxiproxy, Duration)) {
    let spell = lasting(Duration::from_millis(600), Duration::from_secs(3));
    let rounds = rounds(2, 4);
    for mode in Mode::ALL {
        let mut plan = Plan::new(mode);
        plan.exporter = "timeout: 1s";
        let mut rig = Rig::new(plan);
        let proxy = match Toxiproxy::start(&rig.sink.address()) {
            Ok(proxy) => proxy,
            Err(why) => {
                Finding::skip(id, mode, &why);
                continue;
            }
        };
        rig.plan.through = Some(proxy.listen.clone());
        rig.start();
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(300));
        for _ in 0..rounds {
            happen(&proxy, spell);
            std::thread::sleep(Duration::from_millis(300));
        }
        load.stop();
        let audit = rig.drain(DRAIN);
        let ledger = rig.terminate().ledger;
        Finding::new(id, mode, rounds, &audit)
            .ledger(&ledger)
            .exactly(&ledger, &audit)
            .judge();
    }
}

fn while_toxic(proxy: &Toxiproxy, spell: Duration, kind: &str, streams: &[&str], attributes: &str) {
    for stream in streams {
        proxy.toxic(kind, stream, attributes);
    }
    std::thread::sleep(spell);
    for stream in streams {
        proxy.cure(kind, stream);
    }
}

#[test]
fn delay_loses_nothing() {
    through_toxiproxy("toxi-latency", |proxy, spell| {
        let attributes = r#""latency":150,"jitter":100"#;
        while_toxic(
            proxy,
            spell,
            "latency",
            &["upstream", "downstream"],
            attributes,
        );
    });
}

#[test]
fn resets_by_a_peer_lose_nothing() {
    through_toxiproxy("toxi-reset", |proxy, spell| {
        while_toxic(proxy, spell, "reset_peer", &["upstream"], r#""timeout":30"#);
    });
}

#[test]
fn silence_loses_nothing() {
    through_toxiproxy("toxi-timeout", |proxy, spell| {
        while_toxic(proxy, spell, "timeout", &["downstream"], r#""timeout":300"#);
    });
}

#[test]
fn cuts_lose_nothing() {
    through_toxiproxy("toxi-cut", |proxy, spell| {
        for _ in 0..4 {
            proxy.cut(true);
            std::thread::sleep(spell / 8);
            proxy.cut(false);
            std::thread::sleep(spell / 8);
        }
    });
}

/// Set in the copy of this test that runs where packets are lost; says how.
const INSIDE: &str = "TIDEGATE_FAULTS_LOSSY";

/// The status of the script that says that packets cannot be lost here.
const CANNOT: i32 = 77;

#[test]
fn lost_packets_lose_no_items() {
    if let Some(how) = std::env::var_os(INSIDE) {
        for mode in Mode::ALL {
            lossy(mode, &how.to_string_lossy());
        }
        return;
    }
    let test = std::env::current_exe().expect("this test is a file");
    let mut command = Command::new("unshare");
    command
        .args(["-rn", "sh"])
        .arg(crate::support::repository("tests/faults/lossy"))
        .arg(test)
        .args([
            "network::lost_packets_lose_no_items",
            "--exact",
            "--nocapture",
        ]);
    if let Ok(nft) = system::program("nft") {
        command.env("NFT", nft);
    }
    let why = match command.output() {
        Err(error) => format!("no network namespace: {error}"),
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            println!("{said}");
            if output.status.success() {
                return;
            }
            // `unshare` itself ends with 1 where it is not permitted.
            let refused = output.status.code() == Some(CANNOT) || said.contains("unshare:");
            assert!(refused, "the test where packets are lost failed");
            said.lines().last().unwrap_or_default().to_owned()
        }
    };
    for mode in Mode::ALL {
        Finding::skip("packet-loss", mode, &why);
    }
}

fn lossy(mode: Mode, how: &str) {
    let start = Instant::now();
    let mut rig = Rig::running(Plan::new(mode));
    let load = rig.load(&Pattern::default());
    std::thread::sleep(lasting(Duration::from_secs(3), Duration::from_secs(30)));
    load.stop();
    let audit = rig.drain(DRAIN);
    let ledger = rig.terminate().ledger;
    println!("{mode:?}: {:?}", start.elapsed());
    Finding::new("packet-loss", mode, 1, &audit)
        .ledger(&ledger)
        .exactly(&ledger, &audit)
        .note(how)
        .judge();
}
