//! Many connections at a time that do nothing.

use super::*;

/// HTTP/2's preface and empty settings (RFC 9113, section 3.4), as a client begins.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The settings of the other side, acknowledged.
const ACKNOWLEDGED: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

/// As many as the limit of open files allows, with both sides in one process, of 4,000.
fn most() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    let files: usize = soft.unwrap_or(1024);
    // The rest is for what runs beside this.
    (files.saturating_sub(400) / 2).clamp(100, 4000)
}

#[tokio::test]
async fn thousands_of_idle_connections_live_on_and_others_are_answered() {
    let running = started().await;
    let mut silent = Vec::new();
    let mut greeted = Vec::new();
    for number in 0..most() {
        let mut stream = running.connect().await;
        if number % 4 == 0 {
            silent.push(stream);
            continue;
        }
        stream.write_all(GREETING).await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        stream.write_all(ACKNOWLEDGED).await.unwrap();
        greeted.push(stream);
    }
    assert_eq!(say(&running, b"hello").await.status().code, Code::Ok);
    for stream in greeted.iter_mut().step_by(50) {
        // A ping, whose answer has the same eight bytes.
        stream
            .write_all(b"\0\0\x08\x06\0\0\0\0\0whatever")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"whatever") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
    }
    drop((silent, greeted));
    assert_eq!(say(&running, b"hello").await.status().code, Code::Ok);
}
