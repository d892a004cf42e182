//! What is told of a process itself: the attributes of its resource.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_pdata::compose::Fields;

use crate::host_metrics::matching::{Names, ValueKeys, any, values};
use crate::host_metrics::text;

/// The keys of one attribute.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AttributeKeys {
    /// Sends it: so it is unless told, but for `process.cgroup`.
    enabled: Option<bool>,
    /// Only processes with one of these values are told of.
    metrics_include: Vec<ValueKeys>,
    /// Processes with one of these values are not told of.
    metrics_exclude: Vec<ValueKeys>,
}

/// `resource_attributes`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::host_metrics) struct AttributesKeys {
    /// The control group.
    #[serde(rename = "process.cgroup")]
    cgroup: Option<AttributeKeys>,
    /// The first word of the command.
    #[serde(rename = "process.command")]
    command: Option<AttributeKeys>,
    /// The whole command, its words joined by spaces; at most 64 KiB of it.
    #[serde(rename = "process.command_line")]
    command_line: Option<AttributeKeys>,
    /// The name of the executable.
    #[serde(rename = "process.executable.name")]
    executable_name: Option<AttributeKeys>,
    /// The path of the executable.
    #[serde(rename = "process.executable.path")]
    executable_path: Option<AttributeKeys>,
    /// The name of the user that it runs as, of the host's `/etc/passwd`.
    #[serde(rename = "process.owner")]
    owner: Option<AttributeKeys>,
    /// The number of the process that started it.
    #[serde(rename = "process.parent_pid")]
    parent_pid: Option<AttributeKeys>,
    /// Its number.
    #[serde(rename = "process.pid")]
    pid: Option<AttributeKeys>,
}

/// The attributes, in the order in which they are sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attribute {
    Pid,
    ParentPid,
    ExecutableName,
    ExecutablePath,
    Cgroup,
    Command,
    CommandLine,
    Owner,
}

const NAMES: [&str; 8] = [
    "process.pid",
    "process.parent_pid",
    "process.executable.name",
    "process.executable.path",
    "process.cgroup",
    "process.command",
    "process.command_line",
    "process.owner",
];

/// What is done with one attribute.
#[derive(Clone, Debug)]
struct Choice {
    enabled: bool,
    include: Option<Vec<Names>>,
    exclude: Option<Vec<Names>>,
}

/// What is done with all of them.
#[derive(Clone, Debug)]
pub(in crate::host_metrics) struct Attributes([Choice; NAMES.len()]);

/// The value of an attribute.
#[derive(Clone, Debug)]
enum Value<'v> {
    Number(u64),
    Text(Cow<'v, str>),
}

impl Value<'_> {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => number.to_string().into(),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// The values that are known of a process; those that are not sent need not be.
#[derive(Clone, Debug, Default)]
pub(super) struct Values<'v>([Option<Value<'v>>; NAMES.len()]);

impl<'v> Values<'v> {
    /// Sets a number.
    pub(super) fn number(&mut self, attribute: Attribute, number: u64) {
        self.0[attribute as usize] = Some(Value::Number(number));
    }

    /// Sets a text; what is not UTF-8 in it becomes U+FFFD.
    pub(super) fn text(&mut self, attribute: Attribute, text: &'v [u8]) {
        self.0[attribute as usize] = Some(Value::Text(text::text(text)));
    }
}

impl Attributes {
    /// Checks the keys, which stand at `path`.
    pub(in crate::host_metrics) fn new(
        keys: &AttributesKeys,
        path: &str,
    ) -> Result<Self, BuildError> {
        let keys = [
            &keys.pid,
            &keys.parent_pid,
            &keys.executable_name,
            &keys.executable_path,
            &keys.cgroup,
            &keys.command,
            &keys.command_line,
            &keys.owner,
        ];
        let mut choices = Vec::with_capacity(NAMES.len());
        for (name, keys) in NAMES.into_iter().zip(keys) {
            let keys = keys.clone().unwrap_or_default();
            let at = |key: &str| format!("{path}::{name}::{key}");
            choices.push(Choice {
                enabled: keys.enabled.unwrap_or(name != "process.cgroup"),
                include: values(&keys.metrics_include, &at("metrics_include"))?,
                exclude: values(&keys.metrics_exclude, &at("metrics_exclude"))?,
            });
        }
        match choices.try_into() {
            Ok(choices) => Ok(Self(choices)),
            Err(_) => Err(BuildError::at(path, "the attributes are not all known")),
        }
    }

    /// Whether an attribute is sent.
    pub(super) const fn has(&self, attribute: Attribute) -> bool {
        self.0[attribute as usize].enabled
    }

    /// Whether a process with these values is told of.
    pub(super) fn take(&self, values: &Values<'_>) -> bool {
        self.0.iter().zip(&values.0).all(|(choice, value)| {
            let Some(value) = value.as_ref().filter(|_| choice.enabled) else {
                return true;
            };
            let has = |names: &Vec<Names>| any(names, &value.text());
            choice.include.as_ref().is_none_or(has) && !choice.exclude.as_ref().is_some_and(has)
        })
    }

    /// Writes those that are sent.
    pub(super) fn write(&self, values: &Values<'_>, resource: &mut Fields) {
        for ((choice, value), name) in self.0.iter().zip(&values.0).zip(NAMES) {
            match value.as_ref().filter(|_| choice.enabled) {
                Some(Value::Number(number)) => resource.attribute(1, name, *number as i64),
                Some(Value::Text(text)) => resource.attribute(1, name, &**text),
                None => {}
            }
        }
    }
}
