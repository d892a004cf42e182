//! The files of a process, taken apart.

use crate::host_metrics::text;

/// What is read of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host_metrics) struct Stat<'t> {
    /// The name of the executable, of which the kernel keeps 15 bytes.
    pub(super) name: &'t [u8],
    /// The letter of its state.
    pub(in crate::host_metrics) state: u8,
    pub(super) parent: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    /// Ticks in user mode, in the kernel, and waiting for blocks.
    pub(super) ticks: [u64; 3],
    pub(super) threads: u64,
    /// When it was started: ticks since the boot.
    pub(super) started: u64,
}

impl<'t> Stat<'t> {
    /// Reads the line: `1 (init) S 0 1 1 …`; the name may hold anything, parentheses too.
    pub(in crate::host_metrics) fn parse(stat: &'t [u8]) -> Option<Self> {
        let opened = stat.iter().position(|byte| *byte == b'(')?;
        let closed = stat.iter().rposition(|byte| *byte == b')')?;
        let name = stat.get(opened + 1..closed)?;
        let mut fields = [&b""[..]; 40];
        let mut count = 0;
        for (field, word) in fields.iter_mut().zip(text::words(&stat[closed + 1..])) {
            *field = word;
            count += 1;
        }
        // All kernels of this century write more than 20.
        if count < 20 {
            return None;
        }
        let number = |at: usize| text::number(fields[at]);
        Some(Self {
            name,
            state: *fields[0].first()?,
            parent: number(1)?,
            minor_faults: number(7)?,
            major_faults: number(9)?,
            ticks: [number(11)?, number(12)?, number(39).unwrap_or(0)],
            threads: number(17)?,
            started: number(19)?,
        })
    }
}

/// What is read of `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// The user that it runs as.
    pub(super) user: Option<u64>,
    /// Signals that wait for the whole process, a bit each.
    pub(super) pending: Option<u64>,
    pub(super) voluntary: u64,
    pub(super) involuntary: u64,
}

impl Status {
    pub(super) fn parse(status: &[u8]) -> Self {
        let mut found = Self::default();
        for line in text::lines(status) {
            if let Some(user) = text::labelled(line, b"Uid") {
                found.user = Some(user);
            } else if let Some(signals) = line.strip_prefix(b"ShdPnd:") {
                found.pending = text::hexadecimal(signals.trim_ascii());
            } else if let Some(count) = text::labelled(line, b"voluntary_ctxt_switches") {
                found.voluntary = count;
            } else if let Some(count) = text::labelled(line, b"nonvoluntary_ctxt_switches") {
                found.involuntary = count;
            }
        }
        found
    }
}

/// What is read of `/proc/PID/io`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Io {
    /// Bytes read and written.
    pub(super) bytes: [u64; 2],
    /// Calls that read and wrote.
    pub(super) calls: [u64; 2],
}

impl Io {
    pub(super) fn parse(io: &[u8]) -> Option<Self> {
        let (mut found, mut any) = (Self::default(), false);
        let Self {
            bytes: [read, written],
            calls: [reads, writes],
        } = &mut found;
        let mut labels = [
            (&b"rchar"[..], read),
            (b"wchar", written),
            (b"syscr", reads),
            (b"syscw", writes),
        ];
        for line in text::lines(io) {
            for (label, into) in &mut labels {
                if let Some(count) = text::labelled(line, label) {
                    **into = count;
                    any = true;
                }
            }
        }
        any.then_some(found)
    }
}

/// Pages of virtual and of physical memory, of `/proc/PID/statm`.
pub(super) fn pages(statm: &[u8]) -> Option<[u64; 2]> {
    text::numbers(statm)
}

/// Makes one line of a command's words, which end in NUL each; gives the length of the first.
pub(super) fn join_words(words: &mut Vec<u8>) -> usize {
    while words.last() == Some(&0) {
        words.pop();
    }
    let first = words.iter().position(|byte| *byte == 0);
    for byte in words.iter_mut().filter(|byte| **byte == 0) {
        *byte = b' ';
    }
    first.unwrap_or(words.len())
}

/// The whole name of an executable of which the kernel keeps the beginning, if its command tells.
pub(super) fn whole_name<'n>(kept: &'n [u8], command: &'n [u8]) -> &'n [u8] {
    let base = command.rsplit(|byte| *byte == b'/').next().unwrap_or(kept);
    match base.starts_with(kept) {
        true => base,
        false => kept,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &[u8] =
        b"42 (tricky ) name) S 7 42 42 0 -1 4194560 11 12 13 14 250 50 0 0 20 0 3 0 \
        5000 22708224 5544 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 9 0 0\n";

    #[test]
    fn stat_is_read_behind_the_name_whatever_that_holds() {
        let stat = Stat::parse(STAT).unwrap();
        assert_eq!(
            stat,
            Stat {
                name: b"tricky ) name",
                state: b'S',
                parent: 7,
                minor_faults: 11,
                major_faults: 13,
                ticks: [250, 50, 9],
                threads: 3,
                started: 5000,
            }
        );
    }

    #[test]
    fn status_is_read_by_its_labels() {
        let status = Status::parse(
            b"Name:\tuid\nUid:\t1000\t0\t0\t0\nSigPnd:\t01\nShdPnd:\t0000000000004002\n\
              voluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n",
        );
        assert_eq!(
            status,
            Status {
                user: Some(1000),
                pending: Some(0x4002),
                voluntary: 150,
                involuntary: 545,
            }
        );
    }

    #[test]
    fn a_command_is_joined_and_its_first_word_known() {
        let mut words = b"/usr/bin/some\0--flag\0\0x\0\0".to_vec();
        let first = join_words(&mut words);
        assert_eq!(words, b"/usr/bin/some --flag  x");
        assert_eq!(&words[..first], b"/usr/bin/some");
        let mut none = vec![0, 0];
        assert_eq!((join_words(&mut none), none.len()), (0, 0));
    }

    #[test]
    fn a_name_that_was_cut_is_whole_again() {
        let kept = b"a-very-long-nam";
        assert_eq!(
            whole_name(kept, b"/opt/a-very-long-name"),
            b"a-very-long-name"
        );
        assert_eq!(whole_name(kept, b"/opt/other"), kept);
        assert_eq!(whole_name(kept, b""), kept);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_a_file_of_a_process(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
            cut in 0..STAT.len(),
            at in 0..STAT.len(),
        ) {
            let _ = (Stat::parse(&bytes), Status::parse(&bytes), Io::parse(&bytes), pages(&bytes));
            let _ = whole_name(&bytes, b"x");
            let length = bytes.len();
            let first = join_words(&mut bytes);
            prop_assert!(first <= bytes.len() && bytes.len() <= length);
            let _ = Stat::parse(&STAT[..cut]);
            let mut changed = STAT.to_vec();
            changed[at] = bytes.first().copied().unwrap_or(b'x');
            let _ = Stat::parse(&changed);
        }
    }
}
