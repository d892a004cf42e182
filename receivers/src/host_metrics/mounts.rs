//! The list of mounts: `/proc/1/mountinfo`.

use std::collections::HashMap;
use std::path::Path;

use super::host::{Host, fault_in};
use super::text;
use crate::scrape::Faults;

/// A file system where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    pub(super) point: String,
    pub(super) kind: String,
    pub(super) mode: &'static str,
}

impl Mount {
    /// The values of its attributes, in the order of the table.
    pub(super) fn attributes(&self) -> [&str; 4] {
        [&self.device, self.mode, &self.point, &self.kind]
    }
}

/// A line, taken apart.
struct Line<'t> {
    /// The numbers of the device.
    number: &'t [u8],
    /// The folder of the file system that is mounted.
    root: &'t [u8],
    point: &'t [u8],
    options: &'t [u8],
    kind: &'t [u8],
    source: &'t [u8],
}

impl<'t> Line<'t> {
    fn parse(line: &'t [u8]) -> Option<Self> {
        // Optional fields come before the lone hyphen.
        let hyphen = line.windows(3).position(|three| three == b" - ")?;
        let mut before = text::words(&line[..hyphen]);
        let mut behind = text::words(&line[hyphen + 3..]);
        Some(Self {
            number: before.nth(2)?,
            root: before.next()?,
            point: before.next()?,
            options: before.next().unwrap_or_default(),
            kind: behind.next()?,
            source: behind.next()?,
        })
    }

    fn mode(&self) -> &'static str {
        let has = |option: &[u8]| {
            self.options
                .split(|byte| *byte == b',')
                .any(|one| one == option)
        };
        if has(b"rw") {
            "rw"
        } else if has(b"ro") {
            "ro"
        } else {
            "unknown"
        }
    }
}

/// The mounts of a list; those that no device is behind, and those of a folder of a file system
/// that is mounted elsewhere, only where all are asked for.
pub(super) fn parse(
    list: &[u8],
    all: bool,
    host: &Host,
    path: &Path,
    faults: &mut Faults,
) -> Vec<Mount> {
    // The device of a number as it was first named: a bind mount may name it otherwise.
    let mut devices: HashMap<&[u8], String> = HashMap::new();
    let mut mounts = Vec::new();
    for text in text::lines(list).filter(|line| !line.trim_ascii().is_empty()) {
        let Some(line) = Line::parse(text) else {
            faults.add("a line about a mount makes no sense", 0, || {
                fault_in(path, &text::text(text))
            });
            continue;
        };
        let on_device = line.source.first() == Some(&b'/');
        if !all && !on_device {
            continue;
        }
        let named = match on_device || line.root == b"/" {
            true => line.source,
            false => line.root,
        };
        let device = devices
            .entry(line.number)
            .or_insert_with(|| text::text(named).into_owned());
        let is_bind = on_device && line.root != b"/";
        if is_bind && !all {
            continue;
        }
        mounts.push(Mount {
            device: real_name(device, line.number, host),
            point: unescaped(line.point),
            kind: text::text(line.kind).into_owned(),
            mode: line.mode(),
        });
    }
    mounts
}

/// The name of the device itself where the list names a link to it.
fn real_name(device: &str, number: &[u8], host: &Host) -> String {
    if let Some(mapped) = device.strip_prefix("/dev/mapper/") {
        let link = std::fs::canonicalize(host.dev("mapper").join(mapped));
        return link.map_or(device.to_owned(), |path| {
            path.to_string_lossy().into_owned()
        });
    }
    if device == "/dev/root" {
        let link = host.sys("dev/block").join(&*text::text(number));
        let target = std::fs::read_link(link).ok();
        let name = target.as_deref().and_then(Path::file_name);
        if let Some(name) = name {
            return format!("/dev/{}", name.to_string_lossy());
        }
    }
    device.to_owned()
}

/// A path whose spaces, tabs, line ends and backslashes the kernel wrote as `\040` and the like.
fn unescaped(path: &[u8]) -> String {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| {
                let text = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(text, 8).ok()
            });
        match octal {
            Some(byte) => {
                plain.push(byte);
                rest = &behind[3..];
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mounts(list: &str, all: bool) -> (Vec<Mount>, usize) {
        let mut faults = Faults::default();
        let host = Host::new("/nowhere", |_| None);
        let mounts = parse(
            list.as_bytes(),
            all,
            &host,
            Path::new("mountinfo"),
            &mut faults,
        );
        let faults = faults.iter().map(|fault| fault.times).sum();
        (mounts, faults)
    }

    const LIST: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n\
24 22 254:1 /srv/a /mnt/my\\040files ro,relatime - ext4 /dev/root rw\n\
25 22 254:16 / /data ro - xfs /dev/vdb rw\n\
26 22 0:4 net:[4026532] /run/netns/a rw - nsfs nsfs rw\n\
no mount\n";

    #[test]
    fn mounts_of_devices_are_listed_once_each() {
        let (found, faults) = mounts(LIST, false);
        let found: Vec<_> = found.iter().map(Mount::attributes).collect();
        assert_eq!(
            found,
            [
                ["/dev/vda1", "rw", "/", "ext4"],
                ["/dev/vdb", "ro", "/data", "xfs"]
            ]
        );
        assert_eq!(faults, 1);
    }

    #[test]
    fn all_mounts_are_listed_where_they_are_asked_for() {
        let (found, _) = mounts(LIST, true);
        let found: Vec<_> = found.iter().map(Mount::attributes).collect();
        assert_eq!(
            found,
            [
                ["/dev/vda1", "rw", "/", "ext4"],
                ["proc", "rw", "/proc", "proc"],
                ["/dev/vda1", "ro", "/mnt/my files", "ext4"],
                ["/dev/vdb", "ro", "/data", "xfs"],
                ["net:[4026532]", "rw", "/run/netns/a", "nsfs"],
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut faults = Faults::default();
            let host = Host::new("/nowhere", |_| None);
            let lines = text::lines(&bytes).count();
            let found = parse(&bytes, true, &host, Path::new("x"), &mut faults);
            prop_assert!(found.len() <= lines);
        }

        #[test]
        fn any_point_is_read_as_it_was(point in "[ -~]{1,20}") {
            let written: String = point.bytes().map(|byte| match byte {
                b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}"),
                other => char::from(other).to_string(),
            }).collect();
            prop_assert_eq!(unescaped(written.as_bytes()), point);
        }
    }
}
