//! `container`: the lines of Docker, CRI-O and containerd, partial ones put together, with what the
//! path of the file tells of namespace, pod and container.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::config::{ContainerKeys, Format};
use super::entry::Entry;
use super::field::{Field, Root};
use super::gather::{Bounds, Gather, Whole};
use super::parsers::{After, Parsing};
use super::time::civil;
use super::value::{Text, Value};

/// How long a partial line waits for the rest of it.
const WAIT: u64 = 5_000_000_000;
/// The size of the pieces in which Docker writes a long line.
const DOCKER_PIECE: usize = 16 * 1024;

/// The operator.
pub(crate) struct Container {
    from: Field,
    format: Option<Format>,
    metadata: bool,
    after: After,
    gather: Gather,
    whole: Vec<Whole>,
    /// The path that was looked at last, with what it tells.
    path: Option<(Arc<str>, Option<Pod>)>,
    /// Why the severity or so of an entry could not be read since the last look.
    fault: Option<String>,
}

/// What the path of a pod's log tells.
type Pod = [(&'static str, Arc<str>); 5];

/// A line taken apart.
struct Line<'l> {
    time: u64,
    stream: Cow<'l, str>,
    tag: Option<&'l str>,
    text: Cow<'l, str>,
    partial: bool,
}

/// A line of Docker.
#[derive(Deserialize)]
struct Docker<'l> {
    #[serde(borrow)]
    log: Cow<'l, str>,
    #[serde(borrow)]
    stream: Cow<'l, str>,
    #[serde(borrow)]
    time: Cow<'l, str>,
}

impl ContainerKeys {
    pub(crate) fn build(&self, parsing: &Parsing, path: &str) -> Result<Container, BuildError> {
        let to = parsing.to(path)?;
        if to != Field::root(Root::Attributes) || parsing.body.is_some() {
            let key = if parsing.body.is_some() {
                "body"
            } else {
                "parse_to"
            };
            let message = "the fields of a container's line always go to the attributes, its text to the body";
            return Err(BuildError::at(format!("{path}::{key}"), message).remedy("take it out"));
        }
        let bounds = Bounds {
            entries: 0,
            unmatched: 0,
            bytes: self.max_log_size.as_usize(),
            sources: 10_000,
            wait: WAIT,
        };
        Ok(Container {
            from: parsing.from(path)?,
            format: self.format,
            metadata: self.add_metadata_from_filepath,
            after: parsing.after(path)?,
            gather: Gather::new(bounds, String::new(), true),
            whole: Vec::new(),
            path: None,
            fault: None,
        })
    }
}

impl Container {
    /// Takes an entry; gives it back, with why, where its line is none of a container.
    pub(super) fn push(
        &mut self,
        mut entry: Entry,
        out: &mut Vec<Entry>,
    ) -> Option<(Entry, String)> {
        let taken = match self.from.is_root() && self.from.root == Root::Body {
            true => std::mem::take(&mut entry.body),
            false => self.from.get(&entry).cloned().unwrap_or_default(),
        };
        let Value::Str(text) = taken else {
            let why = format!("{} is no line of a container", taken.kind());
            if self.from.is_root() {
                entry.body = taken;
            }
            return Some((entry, why));
        };
        let line = match line(&text, self.format) {
            Ok(line) => line,
            Err(why) => {
                if self.from.is_root() {
                    entry.body = Value::Str(text);
                }
                return Some((entry, why));
            }
        };
        entry.timestamp = Some(line.time);
        let stream = match &*line.stream {
            "stdout" => Text::Static("stdout"),
            "stderr" => Text::Static("stderr"),
            other => other.into(),
        };
        entry
            .attributes
            .insert(Text::Static("log.iostream"), Value::Str(stream));
        if let Some(tag) = line.tag {
            let tag = match tag {
                "F" => Text::Static("F"),
                "P" => Text::Static("P"),
                other => other.into(),
            };
            entry
                .attributes
                .insert(Text::Static("logtag"), Value::Str(tag));
        }
        let fault = self.add_metadata(&mut entry);
        self.gather_line(entry, &line, out);
        match (fault, out.pop()) {
            (Some(why), Some(entry)) => Some((entry, why)),
            (_, entry) => {
                out.extend(entry);
                None
            }
        }
    }

    /// Joins a line with what waits of its file and stream.
    fn gather_line(&mut self, mut entry: Entry, line: &Line<'_>, out: &mut Vec<Entry>) {
        let source = if line.partial || self.gather.deadline().is_some() {
            let path = entry.origin.path.as_deref().unwrap_or_default();
            format!("{} {path} {}", entry.origin.source, line.stream)
        } else {
            String::new()
        };
        if !line.partial && !self.gather.waits(&source) {
            entry.body = match &line.text {
                Cow::Borrowed(text) => (*text).into(),
                Cow::Owned(text) => text.clone().into(),
            };
            return self.finish(entry, out);
        }
        self.gather
            .add(&source, entry, &line.text, true, &mut self.whole);
        if !line.partial {
            self.whole.extend(self.gather.take(&source));
        }
        self.emit(out);
    }

    fn emit(&mut self, out: &mut Vec<Entry>) {
        for (mut entry, text) in std::mem::take(&mut self.whole) {
            entry.body = text.into();
            self.finish(entry, out);
        }
    }

    fn finish(&mut self, mut entry: Entry, out: &mut Vec<Entry>) {
        if let Err(why) = self.after.apply(&mut entry) {
            self.fault = Some(why);
        }
        out.push(entry);
    }

    /// Why the severity or so of an entry that went on could not be read.
    pub(super) const fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    /// Adds what the path tells; the fault says why it tells nothing.
    fn add_metadata(&mut self, entry: &mut Entry) -> Option<String> {
        if !self.metadata {
            return None;
        }
        let path = match (&entry.origin.path, entry.attributes.get("log.file.path")) {
            (Some(path), _) => Arc::clone(path),
            (None, Some(Value::Str(path))) => Arc::from(&**path),
            _ => return Some("nothing tells the path of the file; set `include_file_path: true`, or `add_metadata_from_filepath: false`".to_owned()),
        };
        let known = self.path.as_ref().is_some_and(|(known, _)| *known == path);
        if !known {
            let pod = pod(&path);
            self.path = Some((Arc::clone(&path), pod));
        }
        match self.path.as_ref().and_then(|(_, pod)| pod.as_ref()) {
            None => Some(format!(
                "{path:?} is no path of a pod's log; set `add_metadata_from_filepath: false`"
            )),
            Some(pod) => {
                for (key, value) in pod {
                    let value = Value::Str(Text::Shared(Arc::clone(value)));
                    entry.resource.insert(Text::Static(key), value);
                }
                None
            }
        }
    }

    pub(super) fn flush(&mut self, now: Option<u64>, out: &mut Vec<Entry>) {
        match now {
            Some(now) => self.gather.take_due(now, &mut self.whole),
            None => self.gather.take_all(&mut self.whole),
        }
        self.emit(out);
    }

    pub(super) const fn gather(&self) -> &Gather {
        &self.gather
    }
}

fn line(text: &str, format: Option<Format>) -> Result<Line<'_>, String> {
    match format {
        Some(Format::Docker) => docker(text),
        None if text.starts_with('{') => docker(text),
        _ => cri(text),
    }
}

fn docker(text: &str) -> Result<Line<'_>, String> {
    let docker: Docker<'_> =
        serde_json::from_str(text).map_err(|error| format!("it is no line of Docker: {error}"))?;
    let time = civil::rfc3339(docker.time.as_bytes());
    let time = time.ok_or_else(|| format!("{:?} is no time", docker.time))?;
    let whole = docker.log.ends_with('\n');
    let partial = !whole && docker.log.len() >= DOCKER_PIECE;
    let text = match docker.log {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_suffix('\n').unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(text.len() - usize::from(whole));
            Cow::Owned(text)
        }
    };
    Ok(Line {
        time,
        stream: docker.stream,
        tag: None,
        text,
        partial,
    })
}

/// Takes `2024-04-13T07:59:37.505201169-05:00 stdout F text` apart.
fn cri(text: &str) -> Result<Line<'_>, String> {
    let fault = || "it is no line of Docker, CRI-O or containerd".to_owned();
    let mut rest = text;
    let mut word = || {
        let end = memchr(b' ', rest.as_bytes())?;
        let word = &rest[..end];
        rest = &rest[end + 1..];
        Some(word)
    };
    let time = word().and_then(|time| civil::rfc3339(time.as_bytes()));
    let stream = word().filter(|stream| matches!(*stream, "stdout" | "stderr"));
    let (Some(time), Some(stream)) = (time, stream) else {
        return Err(fault());
    };
    // A line without text may end with its tag.
    let (tag, text) = match word() {
        Some(tag) => (tag, rest),
        None => (rest, ""),
    };
    let partial = tag.split(':').next() == Some("P");
    Ok(Line {
        time,
        stream: stream.into(),
        tag: Some(tag),
        text: text.into(),
        partial,
    })
}

/// Reads `…/namespace_pod_uid/container/restarts.log`.
fn pod(path: &str) -> Option<Pod> {
    let mut parts = path.rsplit(['/', '\\']);
    let restarts = parts.next()?.strip_suffix(".log")?;
    let container = parts.next()?;
    let mut pod = parts.next()?.split('_');
    let (namespace, name, uid) = (pod.next()?, pod.next()?, pod.next()?);
    parts.next()?;
    let valid = pod.next().is_none()
        && !restarts.is_empty()
        && restarts.bytes().all(|byte| byte.is_ascii_digit())
        && !container.is_empty()
        && !container.contains(['.', '_'])
        && !namespace.is_empty()
        && !name.is_empty()
        && !uid.is_empty()
        && uid
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    valid.then(|| {
        [
            ("k8s.container.name", container.into()),
            ("k8s.namespace.name", namespace.into()),
            ("k8s.pod.name", name.into()),
            ("k8s.container.restart_count", restarts.into()),
            ("k8s.pod.uid", uid.into()),
        ]
    })
}
