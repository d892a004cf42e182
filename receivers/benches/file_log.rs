//! What reading files costs: bytes of a file per second of CPU, from the file to the door.
//!
//! `cargo bench -p tidegate-receivers --bench file_log --profile bench-quick [WORD]`, where only what
//! has the word in its name is run.

#![allow(clippy::print_stdout, reason = "the figures are its output")]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::testing::{FakeDoor, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_receivers::file_log::Config;

/// Bytes of the file.
const SIZE: usize = 256 << 20;

const JSON: &str = r#"{"level":"info","msg":"request served","method":"GET","path":"/cart/{id}","status":200,"duration_ms":12.5,"user_id":"u-48151623","trace_id":"480140f3d770a5ae32f0a22b6a812cff"}"#;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let pods = folder
        .path()
        .join("shop_cart-6d4cf56db6-x2x9z_49cc7c1f-d370-2c40-b268-6ea7486091d6/cart");
    std::fs::create_dir_all(&pods).expect("folders can be made");
    let plain = folder.path().join("plain.log");
    write(&plain, |number| {
        format!(
            "2024-05-06T07:08:09.123Z INFO request {number} of a shop was served in some milliseconds, GET /cart\n"
        )
    });
    let container = pods.join("0.log");
    write(&container, |number| {
        format!(
            "2024-05-06T07:08:{:02}.123456789Z stdout F {JSON}\n",
            number % 60
        )
    });
    println!("MB of a file per second of CPU, best of 3");
    for (name, path, keys) in [
        ("plain lines", &plain, ""),
        (
            "plain lines, path and number",
            &plain,
            "include_file_path: true\ninclude_file_record_number: true",
        ),
        ("container", &container, "operators: [{type: container}]"),
        (
            "container, JSON",
            &container,
            "operators: [{type: container}, {type: json_parser}]",
        ),
        (
            "container, JSON, severity",
            &container,
            "operators: [{type: container}, {type: json_parser, severity: {parse_from: attributes.level}}, {type: remove, field: attributes.level}]",
        ),
        (
            "regex",
            &plain,
            r"operators: [{type: regex_parser, regex: '^(?P<time>\S+) (?P<level>\w+) (?P<msg>.*)$', timestamp: {parse_from: attributes.time, layout: '%Y-%m-%dT%H:%M:%S.%LZ'}, severity: {parse_from: attributes.level}}]",
        ),
    ] {
        let mut words = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        if words.next().is_some_and(|word| !name.contains(&word)) {
            continue;
        }
        let best = (0..3).map(|_| run(path, keys)).fold(0.0, f64::max);
        println!("{name:30} {best:6.0}");
    }
}

fn write(path: &Path, line: impl Fn(usize) -> String) {
    let file = std::fs::File::create(path).expect("the file can be made");
    let mut file = std::io::BufWriter::new(file);
    let mut written = 0;
    for number in 0.. {
        let line = line(number);
        file.write_all(line.as_bytes()).expect("there is room");
        written += line.len();
        if written >= SIZE {
            break;
        }
    }
    file.flush().expect("there is room");
}

/// CPU that the process has used.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("there is /proc");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || {
        fields
            .next()
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0)
    };
    // A tick is a hundredth of a second on every Linux that matters.
    Duration::from_millis(10 * (ticks() + ticks()))
}

fn run(path: &Path, keys: &str) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    let yaml = format!(
        "include: ['{}']\nstart_at: beginning\n{keys}",
        path.display()
    );
    let lines = std::fs::read(path).expect("the file can be read");
    let bytes = lines.len();
    let lines = lines.iter().filter(|byte| **byte == b'\n').count();
    runtime.block_on(async {
        let context = BuildContext::detached("receiver", "file_log".parse().expect("a name"));
        let mut receiver = read::<Config>(&yaml).build(&context).expect("it is valid");
        let door = Arc::new(FakeDoor::default());
        let before = cpu();
        receiver
            .start(door.receiver("file_log".parse().expect("a name")))
            .await
            .expect("it starts");
        let mut taken = 0;
        while taken < lines {
            taken += door
                .take()
                .iter()
                .map(|(payload, _)| payload.items())
                .sum::<usize>();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let used = cpu() - before;
        receiver.stop().await;
        bytes as f64 / 1e6 / used.as_secs_f64()
    })
}
