//! Clients that are asked who they are.

use ::http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tidegate_component::{
    Extension, ExtensionContext, Identity, ServerAuthenticator, StartError, Unauthenticated,
};
use tonic::Code;

use super::*;

/// Knows one token and whose it is.
struct Keyring;

#[async_trait]
impl Extension for Keyring {
    async fn start(&self, _: ExtensionContext) -> Result<(), StartError> {
        Ok(())
    }

    fn server_authenticator(&self) -> Option<Arc<dyn ServerAuthenticator>> {
        Some(Arc::new(Self))
    }

    async fn stop(&self) {}
}

#[async_trait]
impl ServerAuthenticator for Keyring {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, Unauthenticated> {
        match headers.get("token").map(|token| token.as_bytes()) {
            Some(b"right") => Ok(Identity::default().with("username", "jo")),
            Some(b"panic") => panic!("as asked"),
            Some(_) => Err(Unauthenticated::new("wrong token")),
            None => Err(Unauthenticated::new("no token")),
        }
    }
}

async fn rig(protocols: &str) -> Rig {
    let keyring: Arc<dyn Extension> = Arc::new(Keyring);
    let extensions = Extensions::new([("keyring".parse().unwrap(), keyring)]);
    Rig::start_beside(extensions, protocols, &Signal::ALL).await
}

fn user(rig: &Rig) -> Option<String> {
    let (_, context) = rig.taken().pop()?;
    context.auth("username").next().map(str::to_owned)
}

#[tokio::test]
async fn a_call_says_who_sends_it_or_is_turned_away() {
    let rig = rig("{grpc: {endpoint: '127.0.0.1:0', auth: {authenticator: keyring}}}").await;
    let uri = format!("http://{}", rig.address());
    let mut client = TraceServiceClient::connect(uri).await.unwrap();
    for (token, told) in [
        (Some("right"), None),
        (Some("other"), Some((Code::Unauthenticated, "wrong token"))),
        (None, Some((Code::Unauthenticated, "no token"))),
        (
            Some("panic"),
            Some((Code::Internal, "the request made the server panic")),
        ),
        (Some("right"), None),
    ] {
        let mut request = tonic::Request::new(traces());
        if let Some(token) = token {
            request
                .metadata_mut()
                .insert("token", token.parse().unwrap());
        }
        let answer = client.export(request).await;
        let status = answer.err();
        let answered = status
            .as_ref()
            .map(|status| (status.code(), status.message()));
        assert_eq!(answered, told, "{token:?}");
        assert_eq!(user(&rig).as_deref(), told.is_none().then_some("jo"));
    }
    assert_eq!(rig.failed_requests(), 3);
}

#[tokio::test]
async fn a_post_says_who_sends_it_or_is_turned_away() {
    let keys = "endpoint: '127.0.0.1:0', auth: {authenticator: keyring, request_params: [token]}, \
                cors: {allowed_origins: ['https://a.b']}";
    let rig = rig(&format!("{{http: {{{keys}}}}}")).await;
    let body = traces().encode_to_vec();
    let post = async |path: &str, more: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\ncontent-type: {PROTOBUF}\r\norigin: https://a.b{more}"
        );
        rig.send(&head, &body).await
    };
    assert_eq!(post("/v1/traces", "\r\ntoken: right").await.status, 200);
    assert_eq!(user(&rig).as_deref(), Some("jo"));
    // A parameter stands for the header, and comes before it.
    assert_eq!(
        post("/v1/traces?token=right", "\r\ntoken: other")
            .await
            .status,
        200
    );
    assert_eq!(user(&rig).as_deref(), Some("jo"));
    for (path, more) in [
        ("/v1/traces", ""),
        ("/v1/traces?token=other", "\r\ntoken: right"),
        ("/nowhere", ""),
    ] {
        let answer = post(path, more).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (401, Some(PROTOBUF))
        );
        let status = tidegate_transport::grpc::Status::decode(&answer.body).unwrap();
        assert_eq!(status.code, tidegate_transport::grpc::Code::Unauthenticated);
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://a.b"), "a page could not read why");
    }
    assert!(rig.taken().is_empty());
    assert_eq!(rig.failed_requests(), 3);
    let preflight = "OPTIONS /v1/traces HTTP/1.1\r\norigin: https://a.b\r\n\
                     access-control-request-method: POST";
    assert_eq!(rig.send(preflight, b"").await.status, 204);
}
