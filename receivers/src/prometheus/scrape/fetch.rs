//! Fetching a page.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use tidegate_component::Admission;
use tidegate_transport::client::{Answer, Call, HttpChannel, Pieces};
use tidegate_transport::compression::{Codec, DecompressError, decompress};

use super::Shared;
use super::credentials::Credentials;
use super::target::Target;
use crate::prometheus::exposition::Format;
use crate::prometheus::job::Job;

/// A page as it came.
pub(super) struct Fetched {
    pub(super) bytes: Bytes,
    pub(super) format: Format,
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum NoPage {
    /// The page is larger than it may be.
    TooLarge(usize),
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for NoPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge(most) => {
                write!(
                    f,
                    "the page is larger than {most} bytes (`body_size_limit`)"
                )
            }
            Self::Other(fault) => f.write_str(fault),
        }
    }
}

/// Fetches the page of a target; `hold` grows with what has come.
pub(super) async fn page(
    shared: &Shared,
    target: &Target,
    hold: &mut Admission,
) -> Result<Fetched, NoPage> {
    let job = &shared.job;
    let headers = headers(job, target.timeout);
    let most = job.limits.body;
    let answer = get(
        &shared.channel,
        &job.credentials,
        &target.uri,
        headers,
        most,
        hold,
    )
    .await?;
    let format = format_of(&answer.headers).unwrap_or(job.fallback);
    Ok(Fetched {
        bytes: inflated(answer, most, hold)?,
        format,
    })
}

/// What a server answers that lists targets; at most `most` bytes, all of them.
pub(in crate::prometheus) async fn answer_of(
    channel: &HttpChannel,
    credentials: &Credentials,
    uri: &Uri,
    headers: HeaderMap,
    most: usize,
) -> Result<Answer, String> {
    let mut hold = tidegate_pdata::Budget::new(usize::MAX).overdraw(0);
    let answer = get(channel, credentials, uri, headers, most, &mut hold).await;
    answer.map_err(|fault| fault.to_string())
}

async fn get(
    channel: &HttpChannel,
    credentials: &Credentials,
    uri: &Uri,
    mut headers: HeaderMap,
    most: usize,
    hold: &mut Admission,
) -> Result<Answer, NoPage> {
    credentials
        .add_to(&mut headers)
        .await
        .map_err(NoPage::Other)?;
    let call = Call {
        method: Method::GET,
        uri: uri.clone(),
        headers,
        body: Pieces::default(),
    };
    let mut room = true;
    let mut held = hold.bytes();
    let answer = channel
        .send_within(call, most, &mut |bytes| {
            if bytes > held {
                // In steps, so that a page of many pieces is not reckoned with piece by piece.
                let wanted = bytes.saturating_mul(2).max(1 << 16);
                room = hold.try_resize(wanted);
                held = if room { wanted } else { held };
            }
            room
        })
        .await
        .map_err(|error| NoPage::Other(error.to_string()))?;
    if !room {
        return Err(no_room());
    }
    if answer.status != StatusCode::OK {
        let fault = format!("the server answers {}", answer.status);
        return Err(NoPage::Other(fault));
    }
    match answer.complete {
        true => Ok(answer),
        false => Err(NoPage::TooLarge(most)),
    }
}

fn no_room() -> NoPage {
    NoPage::Other("there is no room for the page in the memory budget".to_owned())
}

fn headers(job: &Job, timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let encodings = if job.compression { "gzip" } else { "identity" };
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings));
    let timeout = timeout.as_secs_f64().to_string();
    for (name, text) in [
        ("accept", &job.accept),
        ("x-prometheus-scrape-timeout-seconds", &timeout),
    ] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The bytes that an answer stands for.
fn inflated(answer: Answer, most: usize, hold: &mut Admission) -> Result<Bytes, NoPage> {
    let encoding = answer.headers.get(header::CONTENT_ENCODING);
    let encoding = encoding.map(|value| value.to_str().unwrap_or("of unknown letters"));
    let codec = match encoding {
        None | Some("" | "identity") => return Ok(answer.body),
        Some("gzip" | "x-gzip") => Codec::Gzip,
        Some(other) => {
            let fault = format!("the page is encoded as \"{other}\", which was not asked for");
            return Err(NoPage::Other(fault));
        }
    };
    let came = answer.body.len();
    let mut room = |bytes: usize| hold.try_resize(came.saturating_add(bytes));
    let made = decompress(codec, &answer.body, most, &mut room);
    made.map(Bytes::from).map_err(|fault| match fault {
        DecompressError::TooLarge { max } => NoPage::TooLarge(max),
        DecompressError::NoRoom => no_room(),
        DecompressError::Corrupt { .. } => NoPage::Other(fault.to_string()),
    })
}

/// The format that the `Content-Type` names; none where it names none that is known.
fn format_of(headers: &HeaderMap) -> Option<Format> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    match media_type.as_str() {
        "text/plain" => Some(Format::Text),
        "application/openmetrics-text" => Some(Format::OpenMetrics),
        "application/vnd.google.protobuf" => {
            let mut delimited = false;
            for part in parts {
                let (name, value) = part.split_once('=')?;
                match (name.trim(), value.trim().trim_matches('"')) {
                    ("encoding", value) => delimited = value == "delimited",
                    ("proto", "io.prometheus.client.MetricFamily") => {}
                    ("proto", _) => return None,
                    _ => {}
                }
            }
            delimited.then_some(Format::Protobuf)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_told_apart() {
        for (value, format) in [
            (
                "text/plain; version=0.0.4; charset=utf-8",
                Some(Format::Text),
            ),
            ("text/plain", Some(Format::Text)),
            (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                Some(Format::OpenMetrics),
            ),
            (
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
                Some(Format::Protobuf),
            ),
            ("application/vnd.google.protobuf; encoding=text", None),
            ("application/json", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(format_of(&headers), format, "{value}");
        }
        assert_eq!(format_of(&HeaderMap::new()), None);
    }
}
