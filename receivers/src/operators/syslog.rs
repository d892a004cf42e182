//! `syslog_parser`: messages of RFC 3164 and RFC 5424.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::chain::Transform;
use super::entry::Entry;
use super::field::Field;
use super::parsers::{After, Parsing};
use super::time::{self, civil};
use super::value::{Map, Text, Value};

/// The keys of `syslog_parser`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyslogKeys {
    /// The form of the messages.
    pub(super) protocol: Protocol,
    /// The time zone of times that name none (RFC 3164); UTC unless told.
    #[serde(default)]
    pub(super) location: Option<String>,
    /// Whether messages without a priority are taken, with that of `user.notice`.
    #[serde(default)]
    pub(super) allow_skip_pri_header: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Rfc3164,
    Rfc5424,
}

/// The severity numbers of syslog's severities from 0 on, with their names there.
const SEVERITIES: [(u8, &str); 8] = [
    (21, "emerg"),
    (19, "alert"),
    (18, "crit"),
    (17, "err"),
    (13, "warning"),
    (10, "notice"),
    (9, "info"),
    (5, "debug"),
];

/// The names of syslog's facilities from 0 on.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

struct Syslog {
    from: Field,
    to: Field,
    after: After,
    protocol: Protocol,
    zone: TimeZone,
    skip_priority: bool,
}

impl SyslogKeys {
    pub(crate) fn build(
        &self,
        parsing: &Parsing,
        path: &str,
    ) -> Result<Box<dyn Transform>, BuildError> {
        let zone = time::zone(self.location.as_deref().unwrap_or("UTC"));
        Ok(Box::new(Syslog {
            from: parsing.from(path)?,
            to: parsing.to(path)?,
            after: parsing.after(path)?,
            protocol: self.protocol,
            zone: zone.map_err(|why| BuildError::at(format!("{path}::location"), why))?,
            skip_priority: self.allow_skip_pri_header,
        }))
    }
}

/// A message taken apart.
#[derive(Debug, Default)]
struct Message {
    fields: Vec<(Text, Value)>,
    priority: u8,
    time: Option<u64>,
}

impl Message {
    fn text(&mut self, key: &'static str, value: &str) {
        if !matches!(value, "" | "-") {
            self.fields.push((Text::Static(key), value.into()));
        }
    }
}

impl Transform for Syslog {
    fn apply(&mut self, entry: &mut Entry) -> Result<(), String> {
        let Some(Value::Str(text)) = self.from.get(entry) else {
            return Err(format!("{} is no text to parse", self.from));
        };
        let message = match self.protocol {
            Protocol::Rfc3164 => rfc3164(text, &self.zone, entry.observed, self.skip_priority),
            Protocol::Rfc5424 => rfc5424(text, self.skip_priority),
        }?;
        entry.timestamp = message.time.or(entry.timestamp);
        let (level, name) = SEVERITIES[usize::from(message.priority % 8)];
        entry.severity = level;
        entry.severity_text = Text::Static(name);
        self.to.set(entry, Value::Map(Map::of(message.fields)))?;
        self.after.apply(entry)
    }
}

/// Reads `<34>`, and gives what follows.
fn priority(text: &str, skip: bool) -> Result<(Message, &str), String> {
    let inner = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let (priority, rest) = match inner {
        Some((digits, rest)) if (1..=3).contains(&digits.len()) => {
            let priority: u8 = digits
                .parse()
                .map_err(|_| "its priority is no number".to_owned())?;
            if priority > 191 {
                return Err(format!("there is no priority {priority}"));
            }
            (priority, rest)
        }
        _ if skip => (13, text),
        _ => return Err("it does not begin with a priority, as `<34>`".to_owned()),
    };
    let number = |value: u8| Value::Int(value.into());
    let mut message = Message {
        priority,
        ..Message::default()
    };
    let facility = priority / 8;
    message
        .fields
        .push((Text::Static("priority"), number(priority)));
    message
        .fields
        .push((Text::Static("facility"), number(facility)));
    if let Some(name) = FACILITIES.get(usize::from(facility)) {
        message.text("facility_text", name);
    }
    Ok((message, rest))
}

/// Takes a word and the space behind it.
fn word<'t>(text: &mut &'t str) -> &'t str {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    *text = rest;
    word
}

fn rfc3164(text: &str, zone: &TimeZone, now: u64, skip: bool) -> Result<Message, String> {
    let (mut message, mut rest) = priority(text, skip)?;
    let first = rest.split(' ').next().unwrap_or_default();
    if let Some(time) = civil::rfc3339(first.as_bytes()) {
        message.time = Some(time);
        word(&mut rest);
    } else {
        let stamp = rest.get(..15).ok_or("its time is cut off")?;
        message.time = Some(time::without_year(stamp, zone, now)?);
        rest = rest[15..].strip_prefix(' ').unwrap_or(&rest[15..]);
    }
    let hostname = word(&mut rest);
    message.text("hostname", hostname);
    // `sshd[123]: text`; without such a tag all of it is the text.
    if let Some((tag, text)) = rest.split_once(':')
        && !tag.is_empty()
        && !tag.contains(' ')
    {
        match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
            Some((name, process)) => {
                message.text("appname", name);
                message.text("proc_id", process);
            }
            None => message.text("appname", tag),
        }
        rest = text.strip_prefix(' ').unwrap_or(text);
    }
    message.text("message", rest);
    Ok(message)
}

fn rfc5424(text: &str, skip: bool) -> Result<Message, String> {
    let (mut message, mut rest) = priority(text, skip)?;
    let version: i64 = word(&mut rest)
        .parse()
        .map_err(|_| "its version is no number".to_owned())?;
    message
        .fields
        .push((Text::Static("version"), Value::Int(version)));
    let time = word(&mut rest);
    if time != "-" {
        let read = civil::rfc3339(time.as_bytes());
        message.time = Some(read.ok_or_else(|| format!("{time:?} is no time of RFC 5424"))?);
    }
    for key in ["hostname", "appname", "proc_id", "msg_id"] {
        if rest.is_empty() {
            return Err(format!("it ends before its {key}"));
        }
        let value = word(&mut rest);
        message.text(key, value);
    }
    let (data, rest) = structured_data(rest)?;
    if let Some(data) = data {
        message
            .fields
            .push((Text::Static("structured_data"), Value::Map(data)));
    }
    let text = rest.strip_prefix(' ').unwrap_or(rest);
    message.text("message", text.strip_prefix('\u{feff}').unwrap_or(text));
    Ok(message)
}

/// Reads `[id key="value"]…`, and gives what follows.
fn structured_data(text: &str) -> Result<(Option<Map>, &str), String> {
    if let Some(rest) = text.strip_prefix('-') {
        return Ok((None, rest));
    }
    let fault = || "its structured data is malformed".to_owned();
    let mut elements = Vec::new();
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix('[') {
        let end = inner.find([' ', ']']).ok_or_else(fault)?;
        let id = &inner[..end];
        rest = &inner[end..];
        let mut parameters = Vec::new();
        while let Some(parameter) = rest.strip_prefix(' ') {
            let (key, value) = parameter.split_once("=\"").ok_or_else(fault)?;
            let mut read = String::new();
            let mut chars = value.char_indices();
            let end = loop {
                match chars.next().ok_or_else(fault)? {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next().ok_or_else(fault)?.1 {
                        escaped @ ('"' | '\\' | ']') => read.push(escaped),
                        other => read.extend(['\\', other]),
                    },
                    (_, char) => read.push(char),
                }
            };
            parameters.push((key.into(), read.into()));
            rest = &value[end + 1..];
        }
        rest = rest.strip_prefix(']').ok_or_else(fault)?;
        elements.push((id.into(), Value::Map(Map::of(parameters))));
    }
    if elements.is_empty() {
        return Err(fault());
    }
    Ok((Some(Map::of(elements)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2020-01-20T00:00:00Z.
    const NOW: u64 = 1_579_478_400_000_000_000;

    fn parse(yaml: &str, text: &str) -> Result<Entry, String> {
        let node = tidegate_document::yaml::parse_str(yaml).unwrap();
        let keys: SyslogKeys = tidegate_document::read(&node).unwrap();
        let mut parser = keys.build(&Parsing::default(), "operators::0").unwrap();
        let mut entry = Entry {
            observed: NOW,
            ..Entry::with_body(text)
        };
        parser.apply(&mut entry)?;
        Ok(entry)
    }

    fn shown(entry: &Entry) -> String {
        let fields = entry.attributes.iter().map(|(key, value)| match value {
            Value::Str(text) => format!("{key}={}", &**text),
            Value::Int(number) => format!("{key}={number}"),
            other => format!("{key}={other:?}"),
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rfc_3164() {
        let keys = "protocol: rfc3164";
        let entry = parse(
            keys,
            "<34>Jan 12 06:30:00 1.2.3.4 apache_server: test message",
        )
        .unwrap();
        assert_eq!(
            shown(&entry),
            "priority=34 facility=4 facility_text=auth hostname=1.2.3.4 appname=apache_server message=test message"
        );
        assert_eq!(entry.timestamp, Some(1_578_810_600_000_000_000));
        assert_eq!((entry.severity, &*entry.severity_text), (18, "crit"));
        let entry = parse(keys, "<13>Jan  2 06:30:00 host sshd[123]: a: b").unwrap();
        assert!(shown(&entry).ends_with("appname=sshd proc_id=123 message=a: b"));
        let berlin = parse(
            "{protocol: rfc3164, location: Europe/Berlin}",
            "<34>Jan 12 07:30:00 h a: b",
        );
        assert_eq!(berlin.unwrap().timestamp, Some(1_578_810_600_000_000_000));
        for faulty in [
            "",
            "Jan 12 06:30:00 h a: b",
            "<999>Jan 12 06:30:00 h a",
            "<34>Nov",
            "<34>Foo 12 06:30:00 h a: b",
        ] {
            assert!(parse(keys, faulty).is_err(), "{faulty}");
        }
        assert!(
            parse(
                "{protocol: rfc3164, allow_skip_pri_header: true}",
                "Jan 12 06:30:00 h a: b"
            )
            .is_ok()
        );
    }

    #[test]
    fn rfc_5424() {
        let keys = "protocol: rfc5424";
        let text = r#"<86>1 2015-08-05T21:58:59.693Z 192.168.1.132 SecureAuth0 23108 ID52020 [SecureAuth@27389 Key="a \"b\" \] c" Other="x"][two] Found the user"#;
        let entry = parse(keys, text).unwrap();
        assert_eq!(entry.timestamp, Some(1_438_811_939_693_000_000));
        assert_eq!(entry.severity, 9);
        let data = entry
            .attributes
            .get("structured_data")
            .and_then(Value::as_map);
        let inner = data.and_then(|data| data.get("SecureAuth@27389")?.as_map()?.get("Key"));
        assert_eq!(inner, Some(&r#"a "b" ] c"#.into()));
        assert_eq!(entry.attributes.get("msg_id"), Some(&"ID52020".into()));
        assert_eq!(
            entry.attributes.get("message"),
            Some(&"Found the user".into())
        );
        let bare = parse(keys, "<34>1 - - - - - -").unwrap();
        assert_eq!(
            (bare.timestamp, shown(&bare)),
            (
                None,
                "priority=34 facility=4 facility_text=auth version=1".into()
            )
        );
        for faulty in [
            "<34>1 -",
            "<34>x - - - - - -",
            "<34>1 - - - - - [a b=\"c\"",
            "<34>1 yesterday - - - - -",
        ] {
            assert!(parse(keys, faulty).is_err(), "{faulty}");
        }
    }
}
