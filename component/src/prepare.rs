//! What must be found out before data comes, by components whose building opens nothing.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_document::ComponentId;

use crate::{StartError, Workers};

type Work = Pin<Box<dyn Future<Output = Result<(), StartError>> + Send>>;
type Begin = Box<dyn FnOnce(Workers) -> Work + Send>;

/// Where a component that is being built leaves what is to be done before the first batch.
///
/// It is done once a graph is started: after exporters, before receivers, everything at a time.
/// A graph that is built to be validated does nothing of it.
#[derive(Clone, Default)]
pub struct Preparations(Arc<Mutex<Vec<Preparation>>>);

/// One thing that is to be done.
pub struct Preparation {
    /// The kind of the component, as in metric labels.
    pub kind: &'static str,
    /// The component.
    pub id: ComponentId,
    begin: Begin,
}

impl Preparations {
    /// Adds what a component has to do. It is told where tasks run that outlive it.
    ///
    /// Instances of a component are built for each pipeline and worker: [`crate::Shared`] tells the
    /// first of them.
    pub fn add<W>(
        &self,
        kind: &'static str,
        id: ComponentId,
        begin: impl FnOnce(Workers) -> W + Send + 'static,
    ) where
        W: Future<Output = Result<(), StartError>> + Send + 'static,
    {
        let begin: Begin = Box::new(|workers| Box::pin(begin(workers)));
        self.lock().push(Preparation { kind, id, begin });
    }

    /// Takes all that was added.
    #[must_use]
    pub fn take(&self) -> Vec<Preparation> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Preparation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Preparations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Preparations")
            .field(&self.lock().len())
            .finish()
    }
}

impl fmt::Debug for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preparation")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Preparation {
    /// Does it.
    ///
    /// # Errors
    /// When the component cannot be started so.
    pub async fn run(self, workers: Workers) -> Result<(), StartError> {
        (self.begin)(workers).await
    }
}
