//! `journald`: the journal of systemd, as `journalctl` tells it.
//!
//! One task runs `journalctl`, reads its lines, and hands batches to the pipelines; the next one is read when
//! somebody answers for the one before, and the place in the journal moves on then. So the journal is its own
//! log: what was not answered for is read again by the next process.

mod command;
mod config;
mod journal;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::metrics::Counter;
use tidegate_component::{
    Intake, Notes, Receiver, ReceiverContext, StartError, Storage, async_trait,
};
use tidegate_pdata::{Budget, Context, Signal};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

pub use config::Config;

use crate::offering::{Ended, Retry, deliver};
use crate::operators::{Chain, Stamps};
use command::Program;
use journal::{BATCH, Journal};

/// The name of the note that is the place in the journal.
pub const CURSOR: &str = "cursor";
/// The longest line that is read.
const LONGEST: usize = 16 << 20;
/// How long is waited for more before a batch goes.
const PAUSE: Duration = Duration::from_millis(50);
/// How long operators may wait to be asked whether they hold something for too long.
const LOOK: Duration = Duration::from_millis(200);
/// How long is waited before `journalctl` is started again.
const AGAIN: Duration = Duration::from_secs(2);
/// Lines of complaint of one `journalctl` that the log shows.
const COMPLAINTS: usize = 20;

/// What the receiver is made of.
struct Parts {
    program: Program,
    chain: Chain,
    stamps: Stamps,
    storage: Option<Arc<dyn Storage>>,
    retry: Retry,
    bytes_as_text: bool,
    unread: Counter,
    restarts: Counter,
}

/// The receiver.
struct Journald {
    /// Until it starts.
    parts: Option<Parts>,
    running: Option<(watch::Sender<bool>, oneshot::Receiver<()>)>,
}

impl Journald {
    const fn new(parts: Parts) -> Self {
        Self {
            parts: Some(parts),
            running: None,
        }
    }
}

/// The notes of the last process, if there is a storage, and the place in them.
async fn notes(
    storage: Option<Arc<dyn Storage>>,
    name: String,
) -> Result<(Option<Notes>, Option<String>), StartError> {
    let Some(storage) = storage else {
        return Ok((None, None));
    };
    let notes = tokio::task::spawn_blocking(move || storage.notes(&name)).await;
    let notes = notes.map_err(|error| StartError::new("the notes cannot be read", error))??;
    let cursor = notes.iter().find(|(name, _)| *name == CURSOR);
    let cursor = cursor.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    Ok((Some(notes), cursor))
}

#[async_trait]
impl Receiver for Journald {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let (Some(parts), Some(intake)) = (self.parts.take(), cx.intake(Signal::Logs)) else {
            return Ok(());
        };
        let (notes, cursor) = notes(parts.storage, cx.id.to_string()).await?;
        let (stop, stopping) = watch::channel(false);
        let (done, ended) = oneshot::channel();
        let (begin, begun) = oneshot::channel();
        let making = (parts.chain, parts.stamps);
        let task = Task {
            journal: Journal::new(making, parts.bytes_as_text, parts.unread),
            program: parts.program,
            intake: intake.clone(),
            retry: parts.retry,
            restarts: parts.restarts,
            notes,
            cursor,
            stopping,
            budget: Arc::clone(&cx.budget),
        };
        cx.workers.spawn(cx.workers.next(), async move {
            // It is started where it is read.
            let first = task.program.start(task.cursor.as_deref());
            let name = task.program.name();
            let said = first.as_ref().map(|_| ());
            let said = said.map_err(|error| {
                let error = io::Error::new(error.kind(), error.to_string());
                let hint = "install systemd's journalctl, or name it by `journalctl_path`";
                StartError::new(format!("cannot run {name}: {hint}"), error)
            });
            // Whoever starts it may be gone.
            let _ = begin.send(said);
            if let Ok(child) = first {
                task.run(child).await;
            }
            let _ = done.send(());
        });
        begun
            .await
            .map_err(|error| StartError::new("cannot begin to read", error))??;
        self.running = Some((stop, ended));
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some((stop, ended)) = self.running.take() {
            let _ = stop.send(true);
            let _ = ended.await;
        }
    }
}

/// What runs on a worker.
struct Task {
    journal: Journal,
    program: Program,
    intake: Intake,
    retry: Retry,
    restarts: Counter,
    notes: Option<Notes>,
    /// Behind what was read last.
    cursor: Option<String>,
    stopping: watch::Receiver<bool>,
    budget: Arc<Budget>,
}

/// Why no more is read of a `journalctl`.
enum End {
    /// It ended.
    Ended,
    /// The receiver stops.
    Stopped,
}

impl Task {
    async fn run(mut self, mut child: Child) {
        loop {
            let end = self.read(&mut child).await;
            if let Err(error) = child.kill().await {
                tracing::warn!(%error, "journalctl cannot be ended");
            }
            if matches!(end, End::Stopped) {
                break;
            }
            let status = child.wait().await.ok();
            let status = status.map(|status| status.to_string());
            tracing::warn!(status, "journalctl has ended and is started again");
            child = match self.again().await {
                Some(child) => child,
                None => break,
            };
        }
        // What is held and would be read again can wait for that.
        if self.notes.is_none() {
            let hold = self.budget.overdraw(0);
            let batch = self.journal.batch(Some(hold), true);
            self.hand_over(batch).await;
        }
        if let Some(notes) = &self.notes
            && let Err(error) = notes.sync()
        {
            tracing::error!(%error, "the place in the journal cannot be kept");
        }
    }

    /// Starts another one, once it can be; none where the receiver stops.
    async fn again(&mut self) -> Option<Child> {
        loop {
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = sleep(AGAIN) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
            self.restarts.add(1);
            match self.program.start(self.cursor.as_deref()) {
                Ok(child) => return Some(child),
                Err(error) => tracing::error!(%error, "journalctl cannot be started"),
            }
        }
    }

    /// Reads what one `journalctl` tells.
    async fn read(&mut self, child: &mut Child) -> End {
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return End::Ended;
        };
        let complaints = tokio::spawn(complain(BufReader::new(stderr)));
        let mut lines = Lines {
            reader: BufReader::with_capacity(64 << 10, stdout),
            line: Vec::new(),
            skipping: false,
        };
        let end = self.follow(&mut lines).await;
        if matches!(end, End::Stopped) {
            complaints.abort();
        } else {
            // It is gone, and so is what it complains by.
            let _ = timeout(AGAIN, complaints).await;
        }
        end
    }

    async fn follow(&mut self, lines: &mut Lines<BufReader<ChildStdout>>) -> End {
        loop {
            let mut stopping = self.stopping.clone();
            let intake = self.intake.clone();
            let hold = tokio::select! {
                hold = intake.ready(BATCH) => hold,
                _ = stopping.wait_for(|stopping| *stopping) => return End::Stopped,
            };
            let mut end = None;
            while end.is_none() && self.journal.has_room() {
                let pause = if self.journal.is_empty() { LOOK } else { PAUSE };
                tokio::select! {
                    line = lines.next() => match line {
                        Ok(Line::Whole) => {
                            let cursor = self.journal.take(&lines.line);
                            self.cursor = cursor.or_else(|| self.cursor.take());
                        }
                        Ok(Line::TooLong) => self.journal.passed_over(),
                        Ok(Line::End) | Err(_) => end = Some(End::Ended),
                    },
                    () = sleep(pause) => {
                        if !self.journal.is_empty() || self.journal.is_due() {
                            break;
                        }
                    }
                    _ = stopping.wait_for(|stopping| *stopping) => end = Some(End::Stopped),
                }
            }
            let batch = self.journal.batch(Some(hold), false);
            if self.hand_over(batch).await == Ended::Stopped {
                return End::Stopped;
            }
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Hands a batch over and waits until somebody answers for it; the place moves on then.
    async fn hand_over(&mut self, batch: journal::Batch) -> Ended {
        let items = batch.payload.items();
        let ended = match batch.payload.is_empty() {
            true => Ended::Kept,
            false => {
                let (intake, retry) = (self.intake.clone(), self.retry.clone());
                let stopping = self.stopping.clone();
                deliver(batch.payload, Context::default(), intake, retry, stopping).await
            }
        };
        if ended == Ended::Stopped && self.notes.is_none() {
            // Nobody reads it again.
            self.intake.failed(items);
        }
        if ended != Ended::Stopped
            && let (Some(cursor), Some(notes)) = (&batch.cursor, &mut self.notes)
            && let Err(error) = notes.change([(CURSOR, Some(cursor.as_bytes()))])
        {
            tracing::error!(%error, "the place in the journal cannot be kept: a restart would read again what was read since");
        }
        ended
    }
}

/// Lines of bounded length.
struct Lines<R> {
    reader: R,
    /// The line at hand, which goes on where it was if reading it is broken off.
    line: Vec<u8>,
    skipping: bool,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// A line.
    Whole,
    /// One that is longer than is taken.
    TooLong,
    /// Nothing, and nothing will.
    End,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Reads a line into `line`; may be broken off at any time.
    async fn next(&mut self) -> io::Result<Line> {
        if self.line.last() == Some(&b'\n') {
            self.line.clear();
        }
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(Line::End);
            }
            let end = memchr::memchr(b'\n', bytes);
            let length = end.map_or(bytes.len(), |end| end + 1);
            if !self.skipping && self.line.len() + length <= LONGEST {
                self.line.extend_from_slice(&bytes[..length]);
            } else {
                self.skipping = true;
                self.line = Vec::new();
            }
            self.reader.consume(length);
            if end.is_some() {
                return Ok(match std::mem::take(&mut self.skipping) {
                    true => Line::TooLong,
                    false => Line::Whole,
                });
            }
        }
    }
}

/// Shows what `journalctl` complains of, so far as that helps.
async fn complain(stderr: impl AsyncBufRead + Unpin) {
    let mut lines = Lines {
        reader: stderr,
        line: Vec::new(),
        skipping: false,
    };
    let mut shown = 0;
    while let Ok(line) = lines.next().await {
        match line {
            Line::End => return,
            Line::Whole if shown < COMPLAINTS => {
                shown += 1;
                let said = String::from_utf8_lossy(&lines.line);
                let said: String = said.trim_end().chars().take(500).collect();
                tracing::warn!(said, "journalctl complains");
            }
            Line::Whole | Line::TooLong => {}
        }
    }
}
