//! The pages of an extension, from its start to its stop.

use std::sync::Arc;

use http::request::Parts;
use tidegate_component::StartError;
use tidegate_transport::pages::{Handler, Page, Pages};
use tokio::sync::Mutex;

/// Pages that are served while the extension runs.
#[derive(Default)]
pub(crate) struct Site(Mutex<Option<Pages>>);

impl Site {
    /// Has requests answered on an endpoint.
    ///
    /// # Errors
    ///
    /// When it cannot listen there.
    pub(crate) async fn open(
        &self,
        endpoint: &str,
        answer: impl Fn(&Parts) -> Page + Send + Sync + 'static,
    ) -> Result<(), StartError> {
        let handler: Handler =
            Arc::new(move |request| Box::pin(std::future::ready(answer(&request))));
        let pages = Pages::serve(endpoint, handler)
            .await
            .map_err(|error| StartError::new(format!("cannot listen on {endpoint}"), error))?;
        *self.0.lock().await = Some(pages);
        Ok(())
    }

    /// Answers no more.
    pub(crate) async fn close(&self) {
        if let Some(pages) = self.0.lock().await.take() {
            pages.stop().await;
        }
    }
}
