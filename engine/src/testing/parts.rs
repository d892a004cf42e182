//! Components that do what a test says, and such that do nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_component::{
    ComponentId, Delivered, ExportError, Exporter, Extension, ExtensionContext, InlineExporter,
    Intake, Outbox, Processor, Receiver, ReceiverContext, StartError, async_trait,
};
use tidegate_pdata::{Batch, Outcome};
use tokio::time::Instant;

/// Something that a fake stops being, and says when it started and stopped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// An exporter that says when it started and stopped.
pub(super) struct Remote(pub(super) ComponentId, pub(super) Diary);

#[async_trait]
impl Exporter for Remote {
    async fn start(&self, _: tidegate_component::ExporterContext) -> Result<(), StartError> {
        self.1.note(format!("start exporter {}", self.0));
        Ok(())
    }

    async fn export(&self, _: &Batch) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }

    async fn stop(&self) {
        self.1.note(format!("stop exporter {}", self.0));
    }
}

/// The doors that receivers were started with.
pub(super) type Taps = Arc<Mutex<BTreeMap<ComponentId, [Option<Intake>; 3]>>>;

/// What every fake receiver does wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// It cannot be started.
    pub(super) start: AtomicBool,
    /// It never stops.
    pub(super) stop: AtomicBool,
}

/// A receiver that leaves its doors to the test.
pub(super) struct FakeReceiver(
    pub(super) ComponentId,
    pub(super) Taps,
    pub(super) Diary,
    pub(super) Arc<Faults>,
);

#[async_trait]
impl Receiver for FakeReceiver {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        if self.3.start.load(SeqCst) {
            return Err(StartError::new("cannot listen on 127.0.0.1:1", "taken"));
        }
        self.2.note(format!("start receiver {}", self.0));
        self.1.lock().unwrap().insert(cx.id.clone(), cx.intakes);
        Ok(())
    }

    async fn stop(&mut self) {
        if self.3.stop.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        self.2.note(format!("stop receiver {}", self.0));
    }
}

/// An exporter that takes on the spot and does what a closure says.
pub(crate) struct InlineFake<F>(pub(crate) F);

#[async_trait]
impl<F> InlineExporter for InlineFake<F>
where
    F: Fn(&Batch) -> Result<Delivered, ExportError> + Send + Sync,
{
    fn apply(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        (self.0)(batch)
    }
}

/// A processor made of a closure.
pub(crate) struct ProcessorFake<F>(pub(crate) F);

impl<F: FnMut(Batch, &mut Outbox)> Processor for ProcessorFake<F> {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        (self.0)(batch, out);
    }
}

/// Holds batches for a while, then emits them merged.
pub(crate) struct Hold {
    wait: Duration,
    held: Option<Batch>,
    due: Option<Instant>,
}

impl Hold {
    pub(crate) const fn new(wait: Duration) -> Self {
        Self {
            wait,
            held: None,
            due: None,
        }
    }
}

impl Processor for Hold {
    fn process(&mut self, mut batch: Batch, _: &mut Outbox) {
        batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
        self.due.get_or_insert_with(|| Instant::now() + self.wait);
        self.held = Some(match self.held.take() {
            None => batch,
            Some(held) => {
                let (mut payload, context, receipt) = held.into_parts();
                payload.append(batch.into_parts().0);
                Batch::new(payload, context, receipt)
            }
        });
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn flush(&mut self, now: Instant, out: &mut Outbox) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.held
                .take()
                .into_iter()
                .for_each(|batch| out.push(batch));
        }
    }

    fn held(&self) -> (usize, usize) {
        let held = self.held.as_ref();
        held.map_or((0, 0), |batch| (batch.items(), batch.payload().bytes()))
    }
}

/// A receiver that brings nothing.
pub(crate) struct Idle;

#[async_trait]
impl Receiver for Idle {
    async fn start(&mut self, _: ReceiverContext) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&mut self) {}
}

/// An exporter that takes everything.
pub(crate) struct Quiet;

#[async_trait]
impl Exporter for Quiet {
    async fn export(&self, _: &Batch) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}

/// An extension that does nothing.
pub(crate) struct Still;

#[async_trait]
impl Extension for Still {
    async fn start(&self, _: ExtensionContext) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self) {}
}
