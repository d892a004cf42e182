//! Streams of bytes for protocols that are none of requests and answers, as syslog's: accepted, dealt over the workers,
//! with TLS where that is wanted.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::Workers;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::listener::{Accepted, Listener, canonical, is_of_one_connection, keep_alive};
use super::{Address, ListenError};
use crate::crowd::Crowd;
use crate::sockets::{Local, Sockets};
use crate::tls::ServerIdentity;

/// The wait after an error in accepting that the next attempt would meet as well.
const PAUSE: Duration = Duration::from_millis(100);

/// The time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long those who talk may take to end once they are asked to.
const DRAIN: Duration = Duration::from_secs(10);

/// How streams are accepted.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// Where.
    pub address: Address,
    /// What is shown to clients, where TLS is spoken.
    pub tls: Option<Arc<ServerIdentity>>,
    /// Streams at a time, of which one client has at most eight ninths.
    pub max_connections: usize,
}

/// Both directions of a stream.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What is done with each stream.
pub trait Conversation: Send + Sync + 'static {
    /// Talks to a client until it goes or `stopping` says that it is time to end.
    fn talk(
        &self,
        stream: Box<dyn Stream>,
        peer: Option<SocketAddr>,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send;
}

/// A socket that accepts streams.
#[derive(Debug)]
pub struct Streams {
    local: Local,
    stop: watch::Sender<bool>,
}

struct Shared<C> {
    settings: StreamSettings,
    conversation: C,
    here: Arc<Crowd>,
}

impl Streams {
    /// Begins to accept.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start<C: Conversation>(
        settings: StreamSettings,
        conversation: C,
        workers: &Workers,
    ) -> Result<Self, ListenError> {
        let listener = Listener::bind(&settings.address).await;
        let failed = |source| ListenError {
            address: settings.address.to_string(),
            source,
        };
        let listener = listener.map_err(failed)?;
        let local = listener.local().map_err(failed)?;
        let entry = listener.enter(&local).map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared {
            here: Crowd::new("connections", settings.max_connections),
            settings,
            conversation,
        });
        let dealt = workers.clone();
        workers.spawn(workers.next(), async move {
            accept(listener, shared, dealt, stopping).await;
            drop(entry);
        });
        Ok(Self { local, stop })
    }

    /// The address that clients reach; none for a unix socket.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match self.local {
            Local::Tcp(address) => Some(address),
            Local::Udp(_) | Local::Unix(_) => None,
        }
    }

    /// Stops accepting, and returns when those who talk have ended, or have had their time.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(DRAIN, self.stop.closed()).await;
        if let Local::Unix(path) = &self.local
            && !Sockets::of_process().are_left()
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl std::fmt::Display for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.local {
            Local::Tcp(address) | Local::Udp(address) => address.fmt(f),
            Local::Unix(path) => path.display().fmt(f),
        }
    }
}

async fn accept<C: Conversation>(
    listener: Listener,
    shared: Arc<Shared<C>>,
    workers: Workers,
    mut stopping: watch::Receiver<bool>,
) {
    let listener = match listener.register() {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot accept connections"),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::debug!(%error, "cannot accept connections; trying on");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let address = match &accepted {
            Accepted::Tcp(_, address) => Some(canonical(*address)),
            Accepted::Unix(_) => None,
        };
        let Some(place) = shared.here.enter(address.map(|address| address.ip())) else {
            continue;
        };
        let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
        workers.spawn(workers.next(), async move {
            let _place = place;
            if let Err(error) = begin(accepted, address, &shared, stopping).await {
                tracing::debug!(%error, "connection lost before it began");
            }
        });
    }
}

async fn begin<C: Conversation>(
    accepted: Accepted,
    address: Option<SocketAddr>,
    shared: &Shared<C>,
    stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let stream: Box<dyn Stream> = match accepted {
        Accepted::Tcp(stream, _) => {
            keep_alive(&stream);
            Box::new(TcpStream::from_std(stream)?)
        }
        Accepted::Unix(stream) => Box::new(UnixStream::from_std(stream)?),
    };
    let stream = match &shared.settings.tls {
        None => stream,
        Some(tls) => {
            let handshake = TlsAcceptor::from(tls.current()).accept(stream);
            Box::new(tokio::time::timeout(HANDSHAKE, handshake).await??)
        }
    };
    shared.conversation.talk(stream, address, stopping).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tidegate_component::testing::HereWorkers;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Keeps what it is told.
    #[derive(Clone, Default)]
    struct Ear(Arc<Mutex<Vec<u8>>>);

    impl Conversation for Ear {
        async fn talk(
            &self,
            mut stream: Box<dyn Stream>,
            _: Option<SocketAddr>,
            mut stopping: watch::Receiver<bool>,
        ) {
            let mut buffer = [0; 64];
            loop {
                let read = tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => return,
                    read = stream.read(&mut buffer) => read,
                };
                match read {
                    Ok(1..) => {
                        let read = read.unwrap_or(0);
                        self.0.lock().unwrap().extend(&buffer[..read]);
                    }
                    _ => return,
                }
            }
        }
    }

    #[tokio::test]
    async fn what_clients_send_is_heard_until_it_stops() {
        let ear = Ear::default();
        let settings = StreamSettings {
            address: Address::parse("127.0.0.1:0", "tcp").unwrap(),
            tls: None,
            max_connections: 10,
        };
        let workers = HereWorkers::workers();
        let streams = Streams::start(settings, ear.clone(), &workers)
            .await
            .unwrap();
        let address = streams.address().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        while ear.0.lock().unwrap().len() < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        streams.stop().await;
        assert_eq!(*ear.0.lock().unwrap(), b"hello");
        assert!(TcpStream::connect(address).await.is_err());
    }
}
