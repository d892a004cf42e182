//! What detectors look at: variables, files, and servers that know the machine.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use tidegate_transport::client::{Answer, Call, HttpChannel, Pieces};
use tokio::time::timeout;

/// The largest answer and file that is read.
const MOST: usize = 1 << 20;
/// How long a server beside the machine may take; elsewhere there is none, and nobody answers.
const PATIENCE: Duration = Duration::from_secs(1);
/// Where the machines of most clouds are told of themselves.
const LINK_LOCAL: &str = "http://169.254.169.254";

/// A variable of the environment.
type Variable = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The surroundings of the process.
pub(super) struct World {
    variable: Variable,
    root: PathBuf,
    /// Where the metadata of the machine are served.
    pub(super) metadata: String,
    /// The scheme of Kubernetes's API.
    pub(super) kubernetes: &'static str,
    channel: HttpChannel,
}

/// Why a server does not tell.
#[derive(Debug)]
pub(super) enum Mute {
    /// There is none, as far as can be seen.
    Absent(String),
    /// It answers with an error.
    Refuses(StatusCode),
    /// It answers what nobody understands.
    Babbles(String),
}

impl fmt::Display for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) | Self::Babbles(why) => f.write_str(why),
            Self::Refuses(status) => write!(f, "it answers HTTP {status}"),
        }
    }
}

impl World {
    /// The genuine one.
    pub(super) fn new(channel: HttpChannel) -> Self {
        Self {
            variable: Box::new(|name| std::env::var(name).ok()),
            root: PathBuf::from("/"),
            metadata: LINK_LOCAL.to_owned(),
            kubernetes: "https",
            channel,
        }
    }

    /// One with these variables and this root, and `metadata` for every server of a cloud.
    #[cfg(test)]
    pub(super) fn fake(
        channel: HttpChannel,
        variables: &[(&str, &str)],
        root: &std::path::Path,
        metadata: &str,
    ) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: std::collections::HashMap<_, _> = variables.iter().map(own).collect();
        Self {
            variable: Box::new(move |name| variables.get(name).cloned()),
            root: root.to_owned(),
            metadata: metadata.to_owned(),
            kubernetes: "http",
            channel,
        }
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = (self.variable)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The text of a file; its path is absolute.
    pub(super) fn file(&self, path: &str) -> Option<String> {
        let path = self.path(path);
        let mut text = Vec::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(MOST as u64).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// A path within the root.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Asks a server beside the machine.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Mute> {
        let asked = self.request(&self.channel, method, url, headers);
        let answer = timeout(PATIENCE, asked).await;
        answer.unwrap_or_else(|_| Err(Mute::Absent(format!("{url} does not answer"))))
    }

    /// Asks over a channel of one's own, for as long as it takes.
    pub(super) async fn request(
        &self,
        channel: &HttpChannel,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Mute> {
        let uri = url
            .parse()
            .map_err(|error| Mute::Absent(format!("{url} is no URL: {error}")))?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|error| Mute::Babbles(format!("{name}: {error}")))?;
            map.insert(*name, value);
        }
        let call = Call {
            method,
            uri,
            headers: map,
            body: Pieces::new(std::iter::empty()),
        };
        let answer = channel.send(call, MOST).await;
        let answer = answer.map_err(|error| Mute::Absent(format!("{url}: {error}")))?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(Mute::Refuses(answer.status)),
        }
    }

    /// What a server beside the machine says, as text.
    pub(super) async fn text(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<String, Mute> {
        let answer = self.ask(Method::GET, url, headers).await?;
        Ok(String::from_utf8_lossy(&answer.body).trim().to_owned())
    }

    /// What it says, as JSON.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<T, Mute> {
        let answer = self.ask(Method::GET, url, headers).await?;
        parsed(url, &answer.body)
    }
}

/// Reads JSON that came from a server.
pub(super) fn parsed<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, Mute> {
    serde_json::from_slice(body).map_err(|error| Mute::Babbles(format!("{url}: {error}")))
}
