//! A scripted server of objects: as much of the XML API of Google Cloud Storage as puts need, and
//! of S3's, which is alike. No real server of the first can be had for tests, so this one stands
//! for it: it takes puts, refuses those whose object must not be there and is, and fails on order.
#![allow(unreachable_pub, reason = "the files of a test are one crate")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Keeps the object.
    Keep,
    /// Keeps the object and answers that it is overloaded.
    KeepAndFail,
    /// Answers that it is overloaded.
    Fail,
    /// Answers that it knows no conditional puts, where it is asked for one.
    NoConditions,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    script: Vec<Script>,
    /// The headers of every put.
    heads: Vec<String>,
}

/// A running server.
#[derive(Clone, Debug)]
pub struct Store {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Store {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("a bound address");
        let state: Arc<Mutex<State>> = Arc::default();
        let store = Self { address, state };
        let served = store.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = served.clone();
                std::thread::spawn(move || while store.serve(&stream).is_some() {});
            }
        });
        store
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says what is done with the next puts; later ones are kept.
    pub fn script(&self, script: &[Script]) {
        self.state.lock().expect("no panic").script = script.iter().rev().copied().collect();
    }

    /// The objects by path.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.lock().expect("no panic").objects.clone()
    }

    /// The headers of every put so far, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.state.lock().expect("no panic").heads.clone()
    }

    /// Answers one request; none when the connection is at its end.
    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let (request, headers) = head.split_once("\r\n")?;
        let headers = headers.to_ascii_lowercase();
        let header = |name: &str| {
            let lines = headers.lines().filter_map(|line| line.split_once(": "));
            lines
                .filter(|(found, _)| *found == name)
                .map(|(_, value)| value.to_owned())
                .next()
        };
        let length = header("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let mut words = request.split(' ');
        let (method, path) = (words.next()?, decoded(words.next()?));
        let conditional = header("x-goog-if-generation-match").as_deref() == Some("0")
            || header("if-none-match").as_deref() == Some("*");
        let status = if method == "PUT" {
            let mut state = self.state.lock().expect("no panic");
            state.heads.push(headers.clone());
            let script = state.script.pop().unwrap_or(Script::Keep);
            let is_there = state.objects.contains_key(&path);
            match script {
                Script::Fail => "503 Service Unavailable",
                Script::NoConditions if conditional => "501 Not Implemented",
                _ if conditional && is_there => "412 Precondition Failed",
                script => {
                    state.objects.insert(path, body);
                    if script == Script::KeepAndFail {
                        "503 Service Unavailable"
                    } else {
                        "200 OK"
                    }
                }
            }
        } else if method == "HEAD" {
            let state = self.state.lock().expect("no panic");
            if state.objects.contains_key(&path) {
                "200 OK"
            } else {
                "404 Not Found"
            }
        } else {
            "405 Method Not Allowed"
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-length: 0\r\n\
             last-modified: Sat, 21 Nov 2026 20:00:00 GMT\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).ok()
    }
}

/// A path without its escapes.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
