//! Configurations from `http://` and `https://` addresses.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tidegate_transport::client::{Answer, Call, HttpClient, HttpCompression, Pieces};

/// For all of it, redirections included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// More than any configuration has.
const MAX: usize = 16 << 20;

/// Gets the text at an address.
pub(crate) fn fetch(address: &str) -> Result<String, String> {
    fetch_within(address, TIMEOUT)
}

fn fetch_within(address: &str, limit: Duration) -> Result<String, String> {
    let call = call(address)?;
    // On a thread of its own, as the caller may have a runtime already.
    let fetched = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let sent = tokio::time::timeout(limit, send(call)).await;
            sent.map_err(|_| format!("there was no answer within {limit:?}"))?
        })
    });
    let answer = fetched
        .join()
        .map_err(|_| "the request panicked".to_owned())??;
    text(answer)
}

async fn send(call: Call) -> Result<Answer, String> {
    let settings = HttpClient::default().build(HttpCompression::None);
    let settings = settings.map_err(|error| error.to_string())?;
    let channel = settings.start(None).map_err(|error| error.to_string())?;
    let answer = channel.send(call, MAX).await;
    answer.map_err(|error| error.to_string())
}

fn text(answer: Answer) -> Result<String, String> {
    if !answer.status.is_success() {
        return Err(format!("the server answered HTTP {}", answer.status));
    }
    if !answer.complete {
        return Err(format!("it is larger than {} MiB", MAX >> 20));
    }
    String::from_utf8(answer.body.into()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("byte {at} is not UTF-8")
    })
}

/// The request; a user and a password before the host become its authorization.
fn call(address: &str) -> Result<Call, String> {
    let (scheme, rest) = address.split_once("://").ok_or_else(|| {
        let rest = address.split_once(':').map_or(address, |(_, rest)| rest);
        format!("`//` is missing; write `http://{rest}` or `https://{rest}`")
    })?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (user, host) = match rest[..end].rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, &rest[..end]),
    };
    let path = rest[end..].split('#').next().unwrap_or_default();
    let uri = format!("{scheme}://{host}{path}");
    let uri: Uri = uri
        .parse()
        .map_err(|error| format!("it is no URL: {error}"))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(user) = user {
        let word = format!("Basic {}", STANDARD.encode(unescaped(user)));
        let mut value = HeaderValue::try_from(word).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(Call {
        method: Method::GET,
        uri,
        headers,
        body: Pieces::new([]),
    })
}

/// `%40` is `@`, as URLs write what means something else there (RFC 3986, section 2.1).
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = escaped.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread::JoinHandle;

    use super::*;

    /// Answers one request with these bytes; gives what was asked.
    fn server(answer: Vec<u8>) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            // Whoever has read enough closes.
            let _ = stream.write_all(&answer);
            String::from_utf8(asked).unwrap()
        });
        (address, served)
    }

    fn ok(body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn text_at_an_address_is_fetched() {
        let (address, served) = server(ok(b"receivers: {}"));
        let text = fetch(&format!("http://{address}/a/b.yaml?c=d#e")).unwrap();
        assert_eq!(text, "receivers: {}");
        let asked = served.join().unwrap();
        assert!(
            asked.starts_with("GET /a/b.yaml?c=d HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(!asked.contains("authorization"), "{asked}");
    }

    #[test]
    fn user_and_password_are_the_authorization() {
        let (address, served) = server(ok(b""));
        fetch(&format!("http://me:p%40ss@{address}/")).unwrap();
        let asked = served.join().unwrap();
        assert!(
            asked.contains("authorization: Basic bWU6cEBzcw==\r\n"),
            "{asked}"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let fault = |answer: &[u8]| {
            let (address, _) = server(answer.to_vec());
            fetch(&format!("http://{address}/")).unwrap_err()
        };
        let missing = fault(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(missing, "the server answered HTTP 404 Not Found");
        assert_eq!(fault(&ok(b"ab\xff")), "byte 2 is not UTF-8");
        assert_eq!(fault(&ok(&vec![b'#'; MAX + 1])), "it is larger than 16 MiB");
        let error = fetch("http:host/a.yaml").unwrap_err();
        assert!(error.contains("write `http://host/a.yaml`"), "{error}");
    }

    #[test]
    fn server_that_is_silent_or_away_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let error = fetch_within(&address, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error, "there was no answer within 50ms");
        drop(listener);
        assert!(fetch(&address).is_err());
    }

    #[tokio::test]
    async fn runtime_of_the_caller_is_no_hindrance() {
        let (address, _) = server(ok(b"a"));
        assert_eq!(fetch(&format!("http://{address}/")).unwrap(), "a");
    }
}
