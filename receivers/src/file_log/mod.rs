//! `file_log`: log files, read as they grow.
//!
//! One task a receiver looks for files, reads what is new in them off the worker's thread, and hands
//! batches to the pipelines. A few batches may wait for their answers at a time; as they are answered
//! for, in order, the places in the files move on and are noted. What is refused is handed over again,
//! and the files wait.

mod config;
mod header;
mod lane;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::metrics::Metrics;
use tidegate_component::{Intake, Receiver, ReceiverContext, StartError, Storage, async_trait};
use tidegate_pdata::{Budget, Context, Signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use config::Config;

use crate::files::{Fingerprint, Place, Settings};
use crate::offering::{Ended, Retry, deliver};
use crate::operators::{Chain, Stamps};
use header::Header;
use lane::{BATCH, Batch, Gauges, Lane, Moves};

/// Batches that may wait for their answers at a time.
const WINDOW: usize = 4;

/// The note of a place in a file that another program has read up to `offset`, of which it knew what the
/// file begins with.
///
/// Notes of a receiver have numbers for names, and of two that fit a file the higher one counts.
#[must_use]
pub fn place_note(first: &[u8], offset: u64, entries: u64, path: &str) -> Vec<u8> {
    let fingerprint = Fingerprint::of(first);
    // It was not known by a number of the file system.
    let mut place = Place::at(fingerprint, (0, 0), offset);
    (place.entries, place.kept_entries) = (entries, entries);
    place.note(path)
}

/// What the receiver is made of.
struct Parts {
    settings: Settings,
    chain: Chain,
    stamps: Stamps,
    header: Option<Header>,
    storage: Option<Arc<dyn Storage>>,
    retry: Retry,
    metrics: Metrics,
}

/// The receiver.
struct FileLog {
    /// Until it starts.
    parts: Option<Parts>,
    running: Option<(watch::Sender<bool>, oneshot::Receiver<()>)>,
}

impl FileLog {
    const fn new(parts: Parts) -> Self {
        Self {
            parts: Some(parts),
            running: None,
        }
    }
}

#[async_trait]
impl Receiver for FileLog {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let (Some(parts), Some(intake)) = (self.parts.take(), cx.intake(Signal::Logs)) else {
            return Ok(());
        };
        let gauges = Gauges {
            open: parts.metrics.gauge(
                "otelcol_fileconsumer_open_files",
                "Files that are open.",
                &[],
            ),
            reading: parts.metrics.gauge(
                "otelcol_fileconsumer_reading_files",
                "Files that are being read.",
                &[],
            ),
        };
        let poll = *parts.settings.keys.poll_interval;
        let name = cx.id.to_string();
        let lane = tokio::task::spawn_blocking(move || {
            let notes = parts
                .storage
                .map(|storage| storage.notes(&name))
                .transpose()?;
            let making = (parts.chain, parts.stamps, parts.header);
            let lane = Lane::new(parts.settings, making, notes, gauges);
            Ok::<_, StartError>((Box::new(lane), parts.retry))
        });
        let lane = lane
            .await
            .map_err(|error| StartError::new("cannot begin to read", error))?;
        let (lane, retry) = lane?;
        let (stop, stopping) = watch::channel(false);
        let (done, ended) = oneshot::channel();
        let task = Task {
            intake: intake.clone(),
            budget: Arc::clone(&cx.budget),
            retry,
            poll,
            stopping,
            waiting: VecDeque::new(),
        };
        cx.workers.spawn(cx.workers.next(), async move {
            task.run(lane).await;
            // Whoever stops it may be gone.
            let _ = done.send(());
        });
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

/// Batches that wait for their answer, in order.
type Waiting = VecDeque<Handed>;

/// A batch that was handed over.
struct Handed {
    task: JoinHandle<Ended>,
    moves: Moves,
    records: usize,
}

/// What runs on a worker.
struct Task {
    intake: Intake,
    budget: Arc<Budget>,
    retry: Retry,
    poll: Duration,
    stopping: watch::Receiver<bool>,
    waiting: Waiting,
}

/// Does something that may block, on another thread.
async fn aside<T: Send + 'static>(
    mut lane: Box<Lane>,
    work: impl FnOnce(&mut Lane) -> T + Send + 'static,
) -> Option<(Box<Lane>, T)> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&mut lane);
        (lane, result)
    });
    match done.await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, "reading files has failed and ends; restart to go on");
            None
        }
    }
}

impl Task {
    /// Whether the receiver stops, or is gone.
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.stopping.has_changed().is_err()
    }

    async fn run(mut self, lane: Box<Lane>) {
        let Some(mut lane) = self.follow(lane).await else {
            return;
        };
        // What is held and would be read again can wait for that.
        if !lane.is_kept() {
            let hold = self.budget.overdraw(0);
            let Some((back, batch)) = aside(lane, |lane| lane.fill(Some(hold), true)).await else {
                return;
            };
            lane = back;
            self.hand_over(batch);
        }
        while !self.waiting.is_empty() {
            let Some(back) = self.settle(lane).await else {
                return;
            };
            lane = back;
        }
        if let Some((_, Err(error))) = aside(lane, Lane::close).await {
            tracing::error!(%error, "the places in files cannot be kept");
        }
    }

    /// Reads until the process stops; none where it cannot go on.
    async fn follow(&mut self, mut lane: Box<Lane>) -> Option<Box<Lane>> {
        while !self.is_stopping() {
            (lane, ()) = aside(lane, Lane::look).await?;
            while lane.has_work() && !self.is_stopping() {
                while self.waiting.len() >= WINDOW {
                    lane = self.settle(lane).await?;
                }
                let room = self.intake.clone();
                let mut stopping = self.stopping.clone();
                let hold = tokio::select! {
                    hold = room.ready(BATCH) => hold,
                    _ = stopping.wait_for(|stopping| *stopping) => break,
                };
                let (back, batch) = aside(lane, |lane| lane.fill(Some(hold), false)).await?;
                lane = back;
                self.hand_over(batch);
                while self
                    .waiting
                    .front()
                    .is_some_and(|handed| handed.task.is_finished())
                {
                    lane = self.settle(lane).await?;
                }
            }
            lane = self.rest(lane).await?;
        }
        Some(lane)
    }

    /// Waits for the next look, and moves files on as batches are answered for.
    async fn rest(&mut self, mut lane: Box<Lane>) -> Option<Box<Lane>> {
        let until = tokio::time::Instant::now() + self.poll;
        loop {
            let mut stopping = self.stopping.clone();
            let answered = async {
                match self.waiting.front_mut() {
                    Some(handed) => handed.ended(&self.retry).await,
                    None => std::future::pending().await,
                }
            };
            let answer = tokio::select! {
                answer = answered => answer,
                () = tokio::time::sleep_until(until) => return Some(lane),
                _ = stopping.wait_for(|stopping| *stopping) => return Some(lane),
            };
            lane = self.answer(lane, answer).await?;
        }
    }

    fn hand_over(&mut self, batch: Batch) {
        let Batch { payload, moves } = batch;
        if payload.is_empty() && moves.is_empty() {
            return;
        }
        let records = payload.items();
        let task = match payload.is_empty() {
            true => tokio::spawn(async { Ended::Kept }),
            false => tokio::spawn(deliver(
                payload,
                Context::default(),
                self.intake.clone(),
                self.retry.clone(),
                self.stopping.clone(),
            )),
        };
        self.waiting.push_back(Handed {
            task,
            moves,
            records,
        });
    }

    /// Waits for the answer to the first batch that waits.
    async fn settle(&mut self, lane: Box<Lane>) -> Option<Box<Lane>> {
        let answer = match self.waiting.front_mut() {
            Some(handed) => handed.ended(&self.retry).await,
            None => return Some(lane),
        };
        self.answer(lane, answer).await
    }

    async fn answer(&mut self, lane: Box<Lane>, answer: Ended) -> Option<Box<Lane>> {
        let Some(Handed { moves, .. }) = self.waiting.pop_front() else {
            return Some(lane);
        };
        if answer == Ended::Stopped {
            // What follows is not to be moved past what nobody answers for.
            for handed in self.waiting.drain(..) {
                let _ = handed.task.await;
            }
            return Some(lane);
        }
        let (lane, ()) = aside(lane, move |lane| lane.keep(&moves)).await?;
        Some(lane)
    }
}

impl Handed {
    /// How it ended; a panic on the way loses it.
    async fn ended(&mut self, retry: &Retry) -> Ended {
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) => {
                retry.rejected.add(self.records);
                tracing::error!(%error, records = self.records, "log records that were read from files are lost");
                Ended::GivenUp
            }
        }
    }
}
