//! Answers that are read as they come.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{HttpError, chain};

/// An answer whose body comes bit by bit. Dropping it ends the exchange.
pub struct Flow(Response<Incoming>);

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flow").field(&self.0.status()).finish()
    }
}

impl Flow {
    pub(super) const fn new(answer: Response<Incoming>) -> Self {
        Self(answer)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// The next bit of the body; none at its end.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        while let Some(frame) = self.0.body_mut().frame().await {
            let frame = frame
                .map_err(|error| HttpError(format!("the answer broke off: {}", chain(&error))))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// What is left of the body, up to so many bytes.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn rest(&mut self, most: usize) -> Result<Bytes, HttpError> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.next().await? {
            let left = most - whole.len();
            whole.extend_from_slice(&data[..data.len().min(left)]);
            if whole.len() == most {
                break;
            }
        }
        Ok(whole.freeze())
    }
}
