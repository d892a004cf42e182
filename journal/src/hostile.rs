//! What every reader of a segment must hold to, whatever bytes it is given.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::disk::File;
use crate::format::LogId;
use crate::segment::{Scanner, Step};

/// Reads bytes as a segment and checks the law: it ends, goes forward only, leaves the file and
/// every record is inside it.
///
/// # Panics
///
/// When the law is broken.
pub fn read_to_the_end(bytes: &[u8], settled: bool) {
    let file = Arc::new(Bytes(bytes.to_vec()));
    let size = bytes.len() as u64;
    let scanner = Scanner::new(file, LogId::new([0; 16]), 1, None, settled);
    let mut scanner = scanner.expect("memory can be read");
    let mut last = 0;
    loop {
        let offset = match scanner.step().expect("memory can be read") {
            Step::End => return,
            Step::Damage(damage) => {
                assert!(damage.length > 0 && damage.offset + damage.length <= size);
                damage.offset
            }
            Step::Record { header, offset } => {
                assert!(offset + header.data() <= size);
                let data = scanner.data(&header, offset).expect("memory can be read");
                assert!(data.is_none_or(|data| data.payload.len() <= bytes.len()));
                scanner
                    .damaged(&header, offset)
                    .expect("memory can be read");
                offset
            }
        };
        assert!(offset > last, "it goes back");
        last = offset;
    }
}

#[derive(Debug)]
struct Bytes(Vec<u8>);

impl File for Bytes {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).map_or(self.0.len(), |at| at.min(self.0.len()));
        let some = bytes.len().min(self.0.len() - start);
        bytes[..some].copy_from_slice(&self.0[start..start + some]);
        Ok(some)
    }

    fn write_at(&self, _parts: &[IoSlice<'_>], _offset: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn allocate(&self, _size: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_size(&self, _size: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) {}
}
