//! What is read of one file: its bytes as they are, or what they were before gzip.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::read::MultiGzDecoder;

use super::fingerprint::read_at;

/// How the files of gzip begin.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An open file.
#[derive(Debug)]
pub(crate) enum Source {
    Plain(File),
    Gzip(Box<Inflated>),
}

/// A file that is read through gzip, from front to back.
#[derive(Debug)]
pub(crate) struct Inflated {
    file: File,
    decoder: MultiGzDecoder<Cursor>,
    /// Where the decoder is in what it gives.
    at: u64,
    /// What it gave last: readers come back to what they had no room for.
    last: Vec<u8>,
}

/// Bytes of what was given that are kept at least, and twice the largest reading.
const KEPT: usize = 1 << 20;

/// Reads a file without moving a place that others share.
#[derive(Debug)]
pub(crate) struct Cursor {
    file: File,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Source {
    /// A file as it is.
    pub(crate) const fn plain(file: File) -> Self {
        Self::Plain(file)
    }

    /// A file that is compressed.
    pub(crate) fn gzip(file: File) -> io::Result<Self> {
        let decoder = decoder(&file)?;
        Ok(Self::Gzip(Box::new(Inflated {
            file,
            decoder,
            at: 0,
            last: Vec::new(),
        })))
    }

    /// Whether a file begins as one of gzip does.
    pub(crate) fn is_gzip(file: &File) -> io::Result<bool> {
        let mut magic = [0; 2];
        Ok(read_at(file, &mut magic, 0)? == 2 && magic == MAGIC)
    }

    /// The file itself.
    pub(crate) const fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(inflated) => &inflated.file,
        }
    }

    /// Fills a buffer with what is at a place, as far as there is something.
    pub(crate) fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => read_at(file, buffer, offset),
            Self::Gzip(inflated) => inflated.read(buffer, offset),
        }
    }
}

fn decoder(file: &File) -> io::Result<MultiGzDecoder<Cursor>> {
    let file = file.try_clone()?;
    Ok(MultiGzDecoder::new(Cursor { file, at: 0 }))
}

impl Inflated {
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset + (self.last.len() as u64) < self.at {
            self.begin_anew()?;
        }
        while self.at < offset {
            let skip = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
            let most = buffer.len().min(skip);
            if self.some(&mut buffer[..most])? == 0 {
                return Ok(0);
            }
        }
        let back = usize::try_from(self.at - offset).unwrap_or(usize::MAX);
        let mut done = back.min(buffer.len());
        let kept = self.last.len() - back;
        buffer[..done].copy_from_slice(&self.last[kept..kept + done]);
        while done < buffer.len() {
            let read = self.some(&mut buffer[done..])?;
            if read == 0 {
                break;
            }
            done += read;
        }
        let keep = KEPT.max(2 * buffer.len());
        if self.last.len() > 2 * keep {
            self.last.drain(..self.last.len() - keep);
        }
        Ok(done)
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.decoder = decoder(&self.file)?;
        self.at = 0;
        self.last.clear();
        Ok(())
    }

    /// Reads some bytes; a file that is cut off, as one that is still written, ends where it does.
    fn some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.decoder.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        if read == 0 && !buffer.is_empty() {
            // The decoder goes no further; when there is more it begins again.
            self.begin_anew()?;
            return Ok(0);
        }
        self.at += read as u64;
        self.last.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn reads_what_was_compressed_at_any_place_and_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gz");
        let text: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).unwrap();
        let whole = encoder.finish().unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let file = File::open(&path).unwrap();
        assert!(Source::is_gzip(&file).unwrap());
        let mut source = Source::gzip(file).unwrap();
        let mut buffer = vec![0; text.len() + 10];
        let half = source.read(&mut buffer, 0).unwrap();
        assert!(half < text.len() && buffer[..half] == text[..half]);
        std::fs::write(&path, &whole).unwrap();
        let rest = source.read(&mut buffer, half as u64).unwrap();
        assert_eq!(half + rest, text.len());
        assert!(buffer[..rest] == text[half..]);
        let some = source.read(&mut buffer[..10], 100).unwrap();
        assert!(some == 10 && buffer[..10] == text[100..110]);
    }
}
