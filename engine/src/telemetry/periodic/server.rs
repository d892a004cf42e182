//! A server of OTLP that takes own metrics, over gRPC or HTTP.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use tidegate_component::{BuildError, StartError};
use tidegate_config::telemetry::{OtlpProtocol, OtlpReader};
use tidegate_pdata::{Signal, json};
use tidegate_transport::client::{
    Call, GrpcChannel, GrpcClient, GrpcCompression, GrpcSettings, Headers, HttpChannel, HttpClient,
    HttpCompression, HttpSettings, Pieces,
};
use tidegate_transport::tls::ClientTls;
use tokio::time::timeout;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// The most that is read of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// For one request, as OpenTelemetry's SDKs have it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The keys, checked.
#[derive(Debug)]
pub(super) struct Settings {
    way: Way,
    timeout: Duration,
}

#[derive(Debug)]
enum Way {
    Grpc(Box<GrpcSettings>),
    Http {
        client: Box<HttpSettings>,
        uri: Uri,
        json: bool,
    },
}

impl Settings {
    /// Checks the keys and opens nothing.
    pub(super) fn new(keys: &OtlpReader) -> Result<Self, BuildError> {
        let timeout = keys.timeout.filter(|millis| *millis > 0);
        Ok(Self {
            way: match keys.protocol {
                OtlpProtocol::Grpc => Way::Grpc(Box::new(grpc(keys)?)),
                OtlpProtocol::HttpProtobuf => over_http(keys, false)?,
                OtlpProtocol::HttpJson => over_http(keys, true)?,
            },
            timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
        })
    }

    /// Reads the files of `tls`; connects to nothing yet.
    pub(super) fn start(self) -> Result<Server, StartError> {
        Ok(Server {
            channel: match self.way {
                Way::Grpc(settings) => Channel::Grpc(settings.start(None)?),
                Way::Http { client, uri, json } => Channel::Http {
                    channel: client.start(None)?,
                    uri,
                    json,
                },
            },
            timeout: self.timeout,
        })
    }
}

/// A client of the server.
pub(super) struct Server {
    channel: Channel,
    timeout: Duration,
}

enum Channel {
    Grpc(GrpcChannel),
    Http {
        channel: HttpChannel,
        uri: Uri,
        json: bool,
    },
}

impl Server {
    /// Sends a request; what the server rejects of it is said in the log.
    pub(super) async fn send(&self, request: &ExportMetricsServiceRequest) -> Result<(), String> {
        let body = Bytes::from(request.encode_to_vec());
        let answer = match &self.channel {
            Channel::Grpc(channel) => {
                let message = channel.message([&body].into_iter()).await?;
                let answer = channel.unary(EXPORT, &message, Some(self.timeout)).await;
                Some(answer.map_err(|error| error.to_string())?)
            }
            Channel::Http { channel, uri, json } => {
                let call = post(channel, uri, body, *json);
                let answer = timeout(self.timeout, call).await;
                answer.map_err(|_| format!("{uri} gave no answer within {:?}", self.timeout))??
            }
        };
        let answer = answer.and_then(|body| ExportMetricsServiceResponse::decode(body).ok());
        if let Some(partial) = answer.and_then(|answer| answer.partial_success)
            && partial.rejected_data_points > 0
        {
            tracing::warn!(
                points = partial.rejected_data_points,
                reason = partial.error_message,
                "own metrics were rejected"
            );
        }
        Ok(())
    }
}

/// Posts a request; gives the answer where it is protobuf.
async fn post(
    channel: &HttpChannel,
    uri: &Uri,
    body: Bytes,
    as_json: bool,
) -> Result<Option<Bytes>, String> {
    let (kind, body) = match as_json {
        false => ("application/x-protobuf", body),
        true => {
            let mut text = Vec::new();
            json::to_json(Signal::Metrics, [&*body], &mut text);
            ("application/json", Bytes::from(text))
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let body = channel.encode(Pieces::from(body), &mut headers).await;
    let call = Call {
        method: Method::POST,
        uri: uri.clone(),
        headers,
        body: body.map_err(|error| error.to_string())?,
    };
    let answer = channel.send(call, MAX_ANSWER).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("{uri} answered HTTP {}", answer.status));
    }
    Ok((!as_json).then_some(answer.body))
}

fn grpc(keys: &OtlpReader) -> Result<GrpcSettings, BuildError> {
    let endpoint = keys.endpoint.as_deref().filter(|text| !text.is_empty());
    let client = GrpcClient {
        endpoint: Some(endpoint.unwrap_or("localhost:4317").to_owned()),
        tls: tls(keys),
        headers: headers(keys),
        compression: Some(match compressed(keys)? {
            true => GrpcCompression::Gzip,
            false => GrpcCompression::None,
        }),
        ..GrpcClient::default()
    };
    client.build(GrpcCompression::None)
}

fn over_http(keys: &OtlpReader, json: bool) -> Result<Way, BuildError> {
    let client = HttpClient {
        tls: tls(keys),
        headers: headers(keys),
        compression: Some(match compressed(keys)? {
            true => HttpCompression::Gzip,
            false => HttpCompression::None,
        }),
        ..HttpClient::default()
    };
    Ok(Way::Http {
        client: Box::new(client.build(HttpCompression::None)?),
        uri: uri(keys)?,
        json,
    })
}

/// The endpoint; a path that is written is taken as it is.
fn uri(keys: &OtlpReader) -> Result<Uri, BuildError> {
    let endpoint = keys.endpoint.as_deref().filter(|text| !text.is_empty());
    let endpoint = endpoint.unwrap_or("localhost:4318");
    let endpoint = match (endpoint.contains("://"), keys.insecure) {
        (true, _) => endpoint.to_owned(),
        (false, true) => format!("http://{endpoint}"),
        (false, false) => format!("https://{endpoint}"),
    };
    let wrong = |error: &dyn Display| {
        BuildError::at("endpoint", format!("\"{endpoint}\" is no URL: {error}"))
            .remedy("write it as `http://collector:4318`")
    };
    let uri: Uri = endpoint.parse().map_err(|error| wrong(&error))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong(&"it begins with neither http:// nor https://"));
    }
    if !matches!(uri.path(), "" | "/") {
        return Ok(uri);
    }
    let whole = format!("{}/v1/metrics", endpoint.trim_end_matches('/'));
    whole.parse().map_err(|error| wrong(&error))
}

fn tls(keys: &OtlpReader) -> ClientTls {
    ClientTls {
        insecure: keys.insecure,
        ca_file: keys.certificate.clone(),
        cert_file: keys.client_certificate.clone(),
        key_file: keys.client_key.clone(),
        ..ClientTls::default()
    }
}

fn headers(keys: &OtlpReader) -> Headers {
    let pairs = keys.headers().into_iter();
    pairs.map(|(name, value)| (name, value.reveal())).collect()
}

fn compressed(keys: &OtlpReader) -> Result<bool, BuildError> {
    match keys.compression.as_deref() {
        None | Some("" | "none") => Ok(false),
        Some("gzip") => Ok(true),
        Some(other) => {
            let message = format!("\"{other}\" is not known");
            Err(BuildError::at("compression", message).remedy("write `gzip` or `none`"))
        }
    }
}
