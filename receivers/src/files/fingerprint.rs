//! Fingerprints: by the first bytes of a file it is known again, whatever it is called now.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::xxh3_128;

/// Bytes kept as they are, so that most files that differ are told apart at a glance.
const HEAD: usize = 32;

/// What a file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// How many bytes it is of.
    pub(crate) length: u32,
    pub(crate) hash: u128,
    head: [u8; HEAD],
}

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut head = [0; HEAD];
        let shown = bytes.len().min(HEAD);
        head[..shown].copy_from_slice(&bytes[..shown]);
        Self {
            length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            hash: xxh3_128(bytes),
            head,
        }
    }

    /// A fingerprint that was kept.
    pub(crate) const fn restored(length: u32, hash: u128, head: [u8; HEAD]) -> Self {
        Self { length, hash, head }
    }

    /// The first bytes.
    pub(crate) const fn head(&self) -> &[u8; HEAD] {
        &self.head
    }

    const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether a file with these first bytes may be the one of this fingerprint, grown or not.
    pub(crate) fn begins(&self, bytes: &[u8]) -> bool {
        let shown = self.len().min(HEAD);
        bytes.len() >= self.len()
            && bytes[..shown] == self.head[..shown]
            && xxh3_128(&bytes[..self.len()]) == self.hash
    }

    /// Whether a file with these few first bytes may become the one of this fingerprint.
    pub(crate) fn may_begin_with(&self, bytes: &[u8]) -> bool {
        let shown = bytes.len().min(self.len()).min(HEAD);
        bytes[..shown] == self.head[..shown]
    }
}

/// Reads as much of a buffer as there is at a place of a file.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grew_is_known_again_and_another_is_not() {
        let long = [7; 500];
        for length in [0, 1, 31, 32, 33, 500] {
            let fingerprint = Fingerprint::of(&long[..length]);
            assert!(fingerprint.begins(&long[..length]));
            let mut grown = long[..length].to_vec();
            grown.extend(b"more");
            assert!(fingerprint.begins(&grown) && fingerprint.may_begin_with(&grown));
            if let Some(last) = grown
                .get_mut(length.saturating_sub(1))
                .filter(|_| length > 0)
            {
                *last = 8;
                assert!(!fingerprint.begins(&grown));
            }
        }
    }
}
