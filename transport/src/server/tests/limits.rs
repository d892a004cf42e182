//! What one client cannot take from others.

use super::*;

/// A connection from another address of this machine.
async fn from(address: &str, running: &Running) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("{address}:0").parse().unwrap())
        .unwrap();
    socket
        .connect(running.server.address().unwrap())
        .await
        .unwrap()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 8]).await.unwrap_or(0) == 0
}

/// Whether a client is answered.
async fn is_served(stream: TcpStream) -> bool {
    let Ok((client, connection)) = h2::client::handshake(stream).await else {
        return false;
    };
    tokio::spawn(connection);
    let answer = exchange(client, request(), &[message(0, b"x")]).await;
    answer.status().code == Code::Ok
}

#[tokio::test]
async fn one_client_cannot_take_every_connection() {
    let running = start(|settings| settings.max_connections = 18, Pace::default()).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let client = running.client().await;
        let answer = exchange(client.clone(), request(), &[message(0, b"x")]).await;
        assert_eq!(answer.status().code, Code::Ok);
        held.push(client);
    }
    assert!(is_closed(&mut running.connect().await).await);
    assert!(is_served(from("127.0.0.2", &running).await).await);
}

#[tokio::test]
async fn one_client_cannot_keep_others_from_greeting() {
    let running = start(|settings| settings.max_handshakes = 9, Pace::default()).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(running.connect().await);
    }
    assert!(is_closed(&mut running.connect().await).await);
    assert!(is_served(from("127.0.0.2", &running).await).await);
    // Those who have said something need no place for it.
    let mut greeted = silent.pop().unwrap();
    greeted
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    assert!(greeted.read(&mut [0; 8]).await.unwrap() > 0);
    assert!(is_served(running.connect().await).await);
}

#[tokio::test]
async fn streams_past_the_limit_are_turned_away_and_the_connection_lives() {
    let running = start(
        |settings| settings.max_concurrent_streams = 2,
        Pace::default(),
    )
    .await;
    let mut client = running.client().await;
    let mut open = Vec::new();
    for _ in 0..2 {
        client = client.ready().await.unwrap();
        let (answer, mut body) = client
            .send_request(request().body(()).unwrap(), false)
            .unwrap();
        body.send_data(message(0, b"hang"), true).unwrap();
        open.push((answer, body));
    }
    // A client that keeps to the settings has to wait for one of its own to end.
    let third = tokio::spawn(exchange(client, request(), &[]));
    tokio::task::yield_now().await;
    assert!(!third.is_finished());
    drop(open);
    assert!(is_served(running.connect().await).await);
}

#[tokio::test]
async fn a_header_bomb_is_refused_on_its_stream() {
    let running = start(|settings| settings.max_header_bytes = 4096, Pace::default()).await;
    let client = running.client().await;
    let bomb = request().header("x-bomb", "a".repeat(10_000));
    let mut ready = client.clone().ready().await.unwrap();
    let (answer, _) = ready.send_request(bomb.body(()).unwrap(), true).unwrap();
    let status = answer.await.map(|answer| answer.status().as_u16());
    assert!(!matches!(status, Ok(200)), "{status:?}");
    assert!(is_served(running.connect().await).await);
}
