//! Lines, and descriptors beside them, over a unix socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};

use super::MOST_SOCKETS;

/// The longest line.
const MOST_BYTES: usize = 1024;
/// Room for the descriptors of one message.
const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST_SOCKETS));

/// A connection between two processes of one user.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    /// What came and is no whole line yet.
    buffer: Vec<u8>,
    sockets: VecDeque<OwnedFd>,
    /// The process at the other end.
    pub(super) pid: u32,
}

impl Wire {
    /// Makes sure that the other end is a process of the same user.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        let peer = sockopt::socket_peercred(&stream)?;
        if peer.uid != rustix::process::geteuid() {
            let message = format!("the process at the other end runs as user {:?}", peer.uid);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(Self {
            stream,
            buffer: Vec::new(),
            sockets: VecDeque::new(),
            pid: peer.pid.as_raw_nonzero().get().unsigned_abs(),
        })
    }

    /// How long to wait for a line from here on; none is for ever.
    pub(super) fn patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(patience)?;
        self.stream.set_write_timeout(patience)
    }

    /// Sends a line, with descriptors beside it.
    pub(super) fn send(&self, line: &str, sockets: &[OwnedFd]) -> io::Result<()> {
        let text = format!("{line}\n");
        let borrowed: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !borrowed.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&borrowed)) {
            let message = format!("{} sockets are too many to hand over", sockets.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let parts = [IoSlice::new(text.as_bytes())];
        let sent = sendmsg(&self.stream, &parts, &mut beside, SendFlags::NOSIGNAL)?;
        // A line is far shorter than any socket's buffer.
        if sent == text.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// The next line; none where the other end is gone.
    pub(super) fn receive(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.buffer.len() > MOST_BYTES {
                let message = "the other end does not speak lines";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; MOST_BYTES];
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(&self.stream, parts, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                self.sockets.extend(sockets);
            }
        }
        self.buffer.extend_from_slice(&bytes[..received.bytes]);
        Ok(received.bytes)
    }

    /// The descriptors that came so far.
    pub(super) fn sockets(&mut self) -> Vec<OwnedFd> {
        self.sockets.drain(..).collect()
    }
}
