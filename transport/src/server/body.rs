//! Bodies: read into one buffer, with room asked for first, and not for ever.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::Body as _;
use hyper::body::Incoming;
use tidegate_pdata::{Refusal, Reservation};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::compression::{Codec, DecompressError, decompress};

/// How slowly a body may come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time in which a body may come as it likes.
    pub grace: Duration,
    /// Bytes a second that it must then have come with, from its beginning on.
    pub rate: usize,
    /// Time for the whole of it.
    pub total: Option<Duration>,
}

impl Default for Pace {
    /// Ten seconds as it likes, then 1 KiB a second; no limit for the whole.
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(10),
            rate: 1024,
            total: None,
        }
    }
}

impl Pace {
    fn due(&self, started: Instant, received: usize) -> Instant {
        let paced = self.grace + Duration::from_secs((received / self.rate.max(1)) as u64);
        started + self.total.map_or(paced, |total| total.min(paced))
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than what is taken.
    #[error("the body is larger than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// There is no room for it now.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// It came too slowly.
    #[error("the body came too slowly: {received} bytes in {} s", .elapsed.as_secs())]
    Slow {
        /// What came of it.
        received: usize,
        /// In this time.
        elapsed: Duration,
    },
    /// The client's deadline passed before it was there.
    #[error("the deadline passed before the body was there")]
    Deadline,
    /// The connection or the stream broke.
    #[error("the body is cut off")]
    CutOff(#[source] hyper::Error),
    /// It is not what its encoding says, or too large behind it.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
}

impl BodyError {
    /// A body that outgrew the room there is.
    #[must_use]
    pub const fn no_room() -> Self {
        Self::Refused(no_room())
    }
}

/// A body that is being read.
pub(super) struct Frames {
    body: Incoming,
    pace: Pace,
    started: Instant,
    deadline: Option<Instant>,
    received: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Frames {
    pub(super) fn new(body: Incoming, pace: Pace, deadline: Option<Instant>) -> Self {
        Self {
            body,
            pace,
            started: Instant::now(),
            deadline,
            received: 0,
            timer: None,
        }
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = poll_fn(|cx| self.poll_frame(cx)).await?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            // Trailers of a request say nothing to us.
            if let Ok(data) = frame.into_data() {
                self.received += data.len();
                return Ok(Some(data));
            }
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<http_body::Frame<Bytes>>, BodyError>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.transpose().map_err(BodyError::CutOff));
        }
        loop {
            let due = self.pace.due(self.started, self.received);
            let at = self.deadline.map_or(due, |deadline| deadline.min(due));
            if at <= Instant::now() {
                return Poll::Ready(Err(self.late()));
            }
            // The timer is only made for a body that does not come at once, and is left alone
            // while the time allowed grows.
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }

    fn late(&self) -> BodyError {
        if self.deadline.is_some_and(|at| at <= Instant::now()) {
            return BodyError::Deadline;
        }
        BodyError::Slow {
            received: self.received,
            elapsed: self.started.elapsed(),
        }
    }
}

/// What a body is read with.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// The request's version.
    pub version: Version,
    /// How it is compressed.
    pub codec: Option<Codec>,
    /// The most bytes taken, as they come and after decompression.
    pub max: usize,
    /// How slowly it may come.
    pub pace: Pace,
}

/// Reads a body into one buffer of exactly its size, decompressed.
///
/// Room is asked for before anything is read, and again as the body grows where its length
/// was not known.
///
/// # Errors
/// When there is no room, or the body is too large, too slow, cut off or wrongly compressed.
pub async fn read_body<F>(
    body: Incoming,
    settings: Body,
    admit: impl FnOnce(usize) -> F,
) -> Result<(Bytes, Reservation), BodyError>
where
    F: Future<Output = Result<Reservation, Refusal>>,
{
    /// Room asked for where the length is not known.
    const FIRST: usize = 16 << 10;
    let too_large = || BodyError::TooLarge { max: settings.max };
    let length = match body.size_hint().exact() {
        Some(length) if length > settings.max as u64 => {
            discard(settings.version, body);
            return Err(too_large());
        }
        length => length.map(|length| length as usize),
    };
    let mut hold = match admit(length.unwrap_or(FIRST)).await {
        Ok(hold) => hold,
        Err(refusal) => {
            discard(settings.version, body);
            return Err(BodyError::Refused(refusal));
        }
    };
    let mut buffer = Vec::with_capacity(length.unwrap_or(0));
    let mut frames = Frames::new(body, settings.pace, None);
    while let Some(data) = frames.next().await? {
        let size = buffer.len() + data.len();
        if size > settings.max {
            return Err(too_large());
        }
        if size > buffer.capacity() {
            let capacity = size.max(buffer.capacity() * 2).max(FIRST).min(settings.max);
            if !hold.try_resize(capacity.max(hold.bytes())) {
                return Err(BodyError::Refused(no_room()));
            }
            buffer.reserve_exact(capacity - buffer.len());
        }
        buffer.extend_from_slice(&data);
    }
    match settings.codec {
        None => {
            buffer.shrink_to_fit();
            shrink(&mut hold, buffer.len());
            Ok((Bytes::from(buffer), hold))
        }
        Some(codec) => inflate(codec, buffer, settings.max, hold).await,
    }
}

/// Reads a body that nobody wants, within bounds, beside the answer to its request.
///
/// Closing an HTTP/1 connection on which a body is still coming in would reset it, and the
/// client might never read the answer. HTTP/2 has no such trouble.
pub fn discard(version: Version, body: Incoming) {
    const MOST: usize = 256 << 10;
    if version > Version::HTTP_11 || body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let pace = Pace {
            total: Some(Duration::from_secs(2)),
            ..Pace::default()
        };
        let mut frames = Frames::new(body, pace, None);
        while frames.received < MOST
            && let Ok(Some(_)) = frames.next().await
        {}
    });
}

/// Decompresses a body, on the blocking pool where it would keep the worker for long.
pub(super) async fn inflate(
    codec: Codec,
    packed: Vec<u8>,
    max: usize,
    mut hold: Reservation,
) -> Result<(Bytes, Reservation), BodyError> {
    /// Bytes that take about a millisecond.
    const INLINE: usize = 128 << 10;
    let large = packed.len() > INLINE;
    let run = move || {
        let mut room = |bytes: usize| hold.try_resize(packed.len() + bytes);
        let unpacked = decompress(codec, &packed, max, &mut room).map_err(|error| match error {
            DecompressError::NoRoom => BodyError::Refused(no_room()),
            other => BodyError::Decompress(other),
        })?;
        shrink(&mut hold, unpacked.len());
        Ok((Bytes::from(unpacked), hold))
    };
    if !large {
        return run();
    }
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(BodyError::Refused(STOPPING)),
        },
    }
}

/// What is said where a body outgrows the room.
pub(super) const fn no_room() -> Refusal {
    Refusal::new("the memory budget is spent", Duration::from_secs(1))
}

const STOPPING: Refusal = Refusal::new("the server is stopping", Duration::from_secs(1));

/// Gives room back that a body does not need in the end.
pub(super) fn shrink(hold: &mut Reservation, bytes: usize) {
    if bytes < hold.bytes() {
        let _ = hold.try_resize(bytes);
    }
}
