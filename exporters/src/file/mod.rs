//! Telemetry into files, as lines of OTLP/JSON or as OTLP protobuf.
//!
//! One message after the other goes out, in the order in which batches are delivered, on a
//! blocking thread; what waits holds no worker. Nothing is buffered here: a batch counts as
//! delivered when the system has taken all of it.

mod config;
mod groups;
mod message;
mod output;
mod rotation;
#[cfg(test)]
mod tests;

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;

use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Delivered, ExportError, Exporter,
    ExporterContext, Stability, StartError, async_trait,
};
use tidegate_pdata::{Batch, Payload};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

pub use config::{Compression, Config, GroupBy, RotationKeys};
pub use message::Format;

use config::{Place, Settings};
use groups::Grouped;
use message::Messages;
use output::{Output, make_folder};

/// The Collector's has no queue and no limit on an attempt; that a full disk is tried again is ours.
const DELIVERY: DeliveryDefaults = DeliveryDefaults {
    timeout_ms: 0,
    queue: false,
    retry: true,
    ..DeliveryDefaults::UNTIMED
};

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "file";
    const STABILITY: Stability = Stability::Beta;
    const DELIVERY: Option<DeliveryDefaults> = Some(DELIVERY);

    fn build(&self, _: &BuildContext) -> Result<AnyExporter, BuildError> {
        let settings = self.settings()?;
        Ok(AnyExporter::Remote(Arc::new(FileExporter {
            name: Arc::from(self.path.as_str()),
            writer: Arc::new(Mutex::new(Writer::new(&settings))),
            settings,
        })))
    }
}

struct FileExporter {
    name: Arc<str>,
    settings: Settings,
    /// Fair, so that batches come out in the order in which they were handed in.
    writer: Arc<Mutex<Writer>>,
}

#[async_trait]
impl Exporter for FileExporter {
    async fn start(&self, _: ExporterContext) -> Result<(), StartError> {
        let settings = self.settings.clone();
        let started = self.blocking(move |writer| writer.start(&settings)).await;
        let fault = |error| StartError::new(format!("cannot write to {}", self.name), error);
        started.map_err(fault)
    }

    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        let payload = batch.payload().clone();
        let written = self.blocking(|writer| writer.write(payload)).await;
        written.map_err(|fault| match fault {
            Fault::Disk(source) => ExportError::Retryable {
                endpoint: Arc::clone(&self.name),
                source: source.into(),
            },
            Fault::Message(reason) => ExportError::Permanent {
                endpoint: Arc::clone(&self.name),
                reason,
                divisible: true,
            },
        })
    }

    async fn stop(&self) {
        if let Err(error) = self.blocking(Writer::stop).await {
            tracing::warn!(path = %self.name, %error, "the file may not be on the disk yet");
        }
    }
}

impl FileExporter {
    /// Does something with the files where nobody waits for it but the caller.
    async fn blocking<T, F>(&self, work: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer) -> T + Send + 'static,
    {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        match spawn_blocking(move || work(&mut writer)).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is going away, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// Why a payload is not in its file.
enum Fault {
    Disk(io::Error),
    /// It can be no message.
    Message(String),
}

struct Writer {
    messages: Messages,
    files: Files,
}

enum Files {
    /// Not opened yet, or closed.
    None,
    One(Box<Output>),
    Grouped(Grouped),
}

impl Writer {
    const fn new(settings: &Settings) -> Self {
        Self {
            messages: Messages::new(settings.format, settings.zstd),
            files: Files::None,
        }
    }

    fn start(&mut self, settings: &Settings) -> io::Result<()> {
        self.files = match &settings.place {
            Place::One(path) => {
                if let Some(mode) = settings.directories {
                    make_folder(path, mode)?;
                }
                let append = settings.append || settings.rotation.is_some();
                let output = Output::open(path.clone(), append, settings.rotation.clone())?;
                Files::One(Box::new(output))
            }
            Place::Grouped {
                before,
                after,
                attribute,
                most_open,
            } => Files::Grouped(Grouped::new(
                (before.clone(), after.clone()),
                attribute.clone(),
                *most_open,
                settings.append,
                settings.directories.unwrap_or(0o755),
            )),
        };
        Ok(())
    }

    fn write(&mut self, payload: Payload) -> Result<Delivered, Fault> {
        match &mut self.files {
            Files::None => Err(Fault::Disk(io::Error::other("the exporter is not started"))),
            Files::One(output) => {
                let message = self.messages.write(&payload).map_err(Fault::Message)?;
                output.add(message).map_err(Fault::Disk)?;
                Ok(Delivered::default())
            }
            Files::Grouped(grouped) => put(grouped, &mut self.messages, payload),
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.files, Files::None) {
            Files::None => Ok(()),
            Files::One(output) => output.sync(),
            Files::Grouped(grouped) => grouped.outputs().try_for_each(Output::sync),
        }
    }
}

/// Writes the pieces of a payload to their files. What no file can be named for is rejected; a
/// fault of the disk ends it, and pieces written before come a second time.
fn put(
    grouped: &mut Grouped,
    messages: &mut Messages,
    payload: Payload,
) -> Result<Delivered, Fault> {
    let (named, nameless) = grouped.deal(payload);
    let mut rejected = nameless.map_or(0, |piece| piece.items());
    for (path, piece) in named {
        let message = messages.write(&piece).map_err(Fault::Message)?;
        match grouped.output(&path) {
            Ok(output) => output.add(message).map_err(Fault::Disk)?,
            Err(error) if is_of_the_name(&error) => rejected += piece.items(),
            Err(error) => return Err(Fault::Disk(error)),
        }
    }
    let message = || {
        let attribute = &grouped.attribute;
        format!("resources have no attribute {attribute} that names a file")
    };
    Ok(Delivered {
        rejected: rejected as u64,
        message: (rejected > 0).then(message),
    })
}

/// Whether no file can ever have the name, as where a part of its path is a file itself.
fn is_of_the_name(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::AlreadyExists
            | Kind::InvalidFilename
            | Kind::InvalidInput
            | Kind::IsADirectory
            | Kind::NotADirectory
    )
}
