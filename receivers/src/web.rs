//! What receivers over HTTP share: their settings, bodies, CORS, and how a refusal is told.

use ::http::header::{ALLOW, RETRY_AFTER};
use ::http::request::Parts;
use ::http::uri::Authority;
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use tidegate_component::BuildError;
use tidegate_pdata::{Context, Reservation, Signal};
use tidegate_transport::compression::{Codec, DecompressError};
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::config::HttpServer;
use tidegate_transport::server::{
    Body, BodyError, Cors, Encodings, Pace, Peer, Reply, Response, read_body,
};

use crate::doors::{Doors, context};

/// What is configured of a server over HTTP, beside where it listens.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    max_body: usize,
    pace: Pace,
    encodings: Encodings,
    cors: Option<Cors>,
    response_headers: HeaderMap,
    include_metadata: bool,
}

/// Why a request is not taken, and in what words it is told.
pub(crate) type Refused = (StatusCode, Status);

/// A body that has been read.
pub(crate) struct Taken {
    /// The body, decompressed.
    pub(crate) body: Bytes,
    /// The room that it takes.
    pub(crate) hold: Reservation,
    /// Who sent it.
    pub(crate) sender: Context,
}

impl Web {
    /// The settings of these keys, which lie under `path`.
    pub(crate) fn new(keys: &HttpServer, path: &str) -> Result<Self, BuildError> {
        Ok(Self {
            max_body: keys.max_body(),
            pace: keys.pace(),
            encodings: keys.encodings(path)?,
            cors: keys.cors(path)?,
            response_headers: keys.response_headers(path)?,
            include_metadata: keys.include_metadata,
        })
    }

    /// How a body is compressed; the name of its encoding where that is not taken.
    pub(crate) fn codec(&self, headers: &HeaderMap) -> Result<Option<Codec>, String> {
        self.encodings.of(headers)
    }

    /// Reads a body, with room asked for at the door.
    pub(crate) async fn read(
        &self,
        (doors, signal): (&Doors, Signal),
        codec: Option<Codec>,
        parts: &Parts,
        body: Incoming,
        peer: &Peer,
    ) -> Result<Taken, Refused> {
        let settings = Body {
            version: parts.version,
            codec,
            max: self.max_body,
            pace: self.pace,
        };
        let headers = self.include_metadata.then(|| {
            let host = parts.uri.authority().map(Authority::as_str);
            (&parts.headers, host)
        });
        let sender = context(peer, headers);
        let admit = |bytes| doors.admit(signal, bytes, &sender, None);
        let read = read_body(body, settings, admit).await;
        let (body, hold) = read.map_err(body_status)?;
        Ok(Taken { body, hold, sender })
    }

    /// The answer to a question of a browser whether a page may send.
    pub(crate) fn preflight(&self, parts: &Parts) -> Option<Response> {
        let answer = self.cors.as_ref()?.preflight(parts)?;
        Some(self.with_headers(answer))
    }

    /// Whether a request is a browser's question before its request, which says nothing of who asks.
    pub(crate) fn is_open(&self, parts: &Parts) -> bool {
        let cors = self.cors.as_ref();
        cors.is_some_and(|cors| cors.preflight(parts).is_some())
    }

    /// Adds to an answer what browsers and the configuration ask for.
    pub(crate) fn finish(&self, parts: &Parts, mut answer: Response) -> Response {
        if let Some(cors) = &self.cors {
            cors.decorate(&parts.method, &parts.headers, answer.headers_mut());
        }
        self.with_headers(answer)
    }

    fn with_headers(&self, mut answer: Response) -> Response {
        for (name, value) in &self.response_headers {
            let headers = answer.headers_mut();
            headers.entry(name).or_insert_with(|| value.clone());
        }
        answer
    }
}

/// What a client is told of a body that could not be read.
pub(crate) fn body_status(error: BodyError) -> Refused {
    match error {
        // The original answers what is too large like anything else that it cannot read.
        BodyError::TooLarge { .. }
        | BodyError::Decompress(
            DecompressError::TooLarge { .. } | DecompressError::Corrupt { .. },
        ) => {
            let status = Status::new(Code::InvalidArgument, error.to_string());
            (StatusCode::BAD_REQUEST, status)
        }
        BodyError::Slow { .. } => (StatusCode::REQUEST_TIMEOUT, Status::from(error)),
        _ => {
            let status = Status::from(error);
            (status.code.to_http(), status)
        }
    }
}

/// The answer to what was taken where there is nothing to say.
pub(crate) fn accepted() -> Response {
    let mut response = Response::new(Reply::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The answer to a method other than POST.
pub(crate) fn wrong_method() -> Response {
    let text = "405 method not allowed, supported: [POST]";
    let mut response = Reply::text(StatusCode::METHOD_NOT_ALLOWED, text);
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// A refusal in plain text.
pub(crate) fn refusal(code: StatusCode, status: &Status) -> Response {
    let mut answer = Reply::text(code, status.message.clone().into_owned());
    tell_when(&mut answer, status);
    answer
}

/// Says in the headers of a refusal when to come again.
pub(crate) fn tell_when(answer: &mut Response, status: &Status) {
    if let Some(after) = status.retry_after
        && matches!(answer.status().as_u16(), 429 | 503)
    {
        // Whole seconds, and never "at once".
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let seconds = HeaderValue::from(seconds.max(1));
        answer.headers_mut().insert(RETRY_AFTER, seconds);
    }
}
