//! The commit of one sealed object, with retry and timeout.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_component::{ExportError, Position, Sealed};
use tidegate_pdata::Outcome;
use tokio::time::Instant;

use super::driver::Driver;
use crate::delivery::attempt::{Failure, attempt, caught, chain, wish};
use crate::delivery::books::Why;
use crate::delivery::breaker::Leave;
use crate::delivery::deliver::LAST_WAIT;
use crate::delivery::health::Fate;
use crate::delivery::job::COME_AGAIN;

/// How often the far end is asked for an object.
const ASKED: u32 = 8;

/// How a commit ended.
pub(super) type Ended = Result<(), GivenUp>;

/// Why an object is not committed.
#[derive(Debug)]
pub(super) struct GivenUp {
    pub(super) why: Why,
    pub(super) error: String,
    /// The batches whose items another exporter keeps, and what it answered.
    pub(super) kept: HashMap<Position, Outcome>,
}

impl GivenUp {
    fn new(why: Why, error: String) -> Self {
        Self {
            why,
            error,
            kept: HashMap::new(),
        }
    }
}

/// Lets go of an object that is not committed when its commit is given up or cut off.
struct Hold<'a> {
    driver: &'a Driver,
    sealed: &'a Sealed,
    committed: bool,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if !self.committed {
            self.driver.let_go(self.sealed);
        }
    }
}

impl Driver {
    /// Tries until the object is committed or must be given up.
    pub(super) async fn commit(&self, sealed: &Arc<Sealed>) -> Ended {
        let mut hold = Hold {
            driver: self,
            sealed,
            committed: false,
        };
        let (mut began, mut failures) = (None, 0);
        let ended = loop {
            if let Some(given_up) = self.held_back(began).await {
                break given_up;
            }
            let began = *began.get_or_insert_with(Instant::now);
            let call = self.exporter.commit(sealed);
            let result = attempt(call, self.settings.timeout, &self.name).await;
            self.tell_breaker(&result);
            let Err(failure) = result else {
                hold.committed = true;
                self.health().well();
                return Ok(());
            };
            failures += 1;
            match self.wait_after(failure, failures, began).await {
                Ok(()) => {}
                Err(given_up) => break given_up,
            }
        };
        self.health().failed(&ended.error, Fate::Dropping);
        Err(ended)
    }

    /// Whether an object of a former life is visible, as far as can be found out.
    ///
    /// Nobody can make it again, so what is left of it goes to other objects if it is not.
    pub(super) async fn is_committed(&self, sealed: &Sealed) -> bool {
        let mut fault = String::new();
        for failures in 1..=ASKED {
            let call = self.exporter.is_committed(sealed);
            match attempt(call, self.settings.timeout, &self.name).await {
                Ok(is_there) => return is_there,
                Err(Failure::Export(error)) => fault = chain(&error),
                Err(Failure::Panic(said)) => fault = format!("the exporter panicked: {said}"),
            }
            self.health().failed(&fault, Fate::Retrying);
            tokio::time::sleep(COME_AGAIN * failures).await;
        }
        tracing::error!(
            exporter = %self.name,
            object = sealed.name,
            error = fault,
            "nobody knows whether an object is there whose records are not all there any more; \
             those that are may be delivered twice"
        );
        false
    }

    /// Tells the exporter that an object will not be committed.
    pub(super) fn let_go(&self, sealed: &Sealed) {
        if let Err(Failure::Panic(said)) = caught(|| {
            self.exporter.abandon(sealed);
            Ok(())
        }) {
            tracing::error!(exporter = %self.name, said, "abandoning an object panicked");
        }
    }

    /// Waits while the breaker lets no commit through; what may not wait for so long is given up.
    async fn held_back(&self, began: Option<Instant>) -> Option<GivenUp> {
        let backoff = self.settings.retry.as_ref()?;
        loop {
            let (hurried, freed) = (self.hurried(), self.freed());
            if self.is_draining() {
                return None;
            }
            let until = match self.breaker.leave(Instant::now()) {
                Leave::Call | Leave::Probe => return None,
                Leave::Wait(until) => until,
            };
            if began.is_some_and(|began| !backoff.allows(began, until)) {
                let error = self.health().error().unwrap_or_default();
                return Some(GivenUp::new(Why::RetryExhausted, error));
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = hurried => {}
                () = freed => {}
            }
        }
    }

    fn tell_breaker(&self, result: &Result<(), Failure>) {
        let now = Instant::now();
        match result {
            Ok(()) | Err(Failure::Export(ExportError::Permanent { .. })) => {
                if self.breaker.answered(now) {
                    self.free();
                }
            }
            Err(Failure::Export(error)) => self.breaker.failed(now, wish(error)),
            Err(Failure::Panic(_)) => self.breaker.undecided(),
        }
    }

    /// Waits for the next attempt, where there is one.
    async fn wait_after(&self, failure: Failure, failures: u32, began: Instant) -> Ended {
        let error = match failure {
            Failure::Panic(said) => {
                let error = format!("the exporter panicked: {said}");
                return Err(GivenUp::new(Why::Panic, error));
            }
            Failure::Export(error) => error,
        };
        let text = chain(&error);
        if matches!(error, ExportError::Permanent { .. }) {
            return Err(GivenUp::new(Why::Permanent, text));
        }
        let Some(backoff) = &self.settings.retry else {
            return Err(GivenUp::new(Why::RetryOff, text));
        };
        let now = Instant::now();
        let Some(at) = backoff.next(failures, wish(&error), began, now) else {
            return Err(GivenUp::new(Why::RetryExhausted, text));
        };
        self.health().failed(&text, Fate::Retrying);
        let hurried = self.hurried();
        if self.is_draining() {
            tokio::time::sleep_until(at.min(now + LAST_WAIT)).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = hurried => {}
            }
        }
        Ok(())
    }
}
