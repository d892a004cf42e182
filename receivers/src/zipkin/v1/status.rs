//! The status of a span of the first format, which several tags may say.

use tidegate_pdata::compose::Value;

use crate::zipkin::names::{ERROR, STATUS_CODE, STATUS_MESSAGE};
use crate::zipkin::translate::status_code;

const OK: i32 = 1;
const FAILED: i32 = 2;

/// What a tag says of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Nothing: it is an attribute.
    Attribute,
    /// Something, and it is an attribute all the same.
    Both,
    /// Something, and no more.
    Status,
}

/// What the tags of a span say of its status, by who says it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statuses<'s> {
    census: Option<i32>,
    census_message: &'s str,
    own: Option<i32>,
    own_message: &'s str,
    error: bool,
    http: Option<i32>,
    http_message: &'s str,
}

impl<'s> Statuses<'s> {
    /// Takes a tag, whose text is empty where its value is no text.
    pub(super) fn take(&mut self, key: &str, value: Value<'_>, text: &'s str) -> Tag {
        match key {
            "census.status_code" => {
                let code = code(value);
                self.census = code
                    .map(|code| if code == 0 { OK } else { FAILED })
                    .or(self.census);
                Tag::Status
            }
            "census.status_description" | "opencensus.status_description" => {
                self.census_message = text;
                Tag::Status
            }
            STATUS_CODE => {
                let named = || Some(status_code(text) as i32).filter(|code| *code != 0);
                self.own = code(value).or_else(named).or(self.own);
                Tag::Status
            }
            STATUS_MESSAGE => {
                self.own_message = text;
                Tag::Status
            }
            "http.status_code" | "http.response.status_code" => {
                let code = code(value);
                let of = |code| {
                    if (100..400).contains(&code) {
                        0
                    } else {
                        FAILED
                    }
                };
                self.http = code.map(of).or(self.http);
                Tag::Both
            }
            "http.status_message" => {
                self.http_message = text;
                Tag::Both
            }
            ERROR => {
                self.error = true;
                // What went wrong is worth keeping.
                match text {
                    "" | "true" => Tag::Status,
                    _ => Tag::Both,
                }
            }
            _ => Tag::Attribute,
        }
    }

    /// The code and the message of the one who is to be believed first.
    pub(super) fn status(&self) -> Option<(i32, &'s str)> {
        if let Some(code) = self.census {
            return Some((code, self.census_message));
        }
        if let Some(code) = self.own {
            return Some((code, self.own_message));
        }
        if self.error {
            let messages = [self.census_message, self.own_message];
            let message = messages.into_iter().find(|message| !message.is_empty());
            return Some((FAILED, message.unwrap_or_default()));
        }
        Some((self.http?, self.http_message))
    }
}

/// A code that a value says.
fn code(value: Value<'_>) -> Option<i32> {
    match value {
        Value::Int(code) => code.try_into().ok(),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    }
}
