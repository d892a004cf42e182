//! What goes wrong while a statement is evaluated.

use std::borrow::Cow;
use std::fmt;

/// Why a statement could not be carried out for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Cow<'static, str>);

impl Fault {
    pub(crate) const fn new(message: &'static str) -> Self {
        Self(Cow::Borrowed(message))
    }

    pub(crate) const fn with(message: String) -> Self {
        Self(Cow::Owned(message))
    }

    /// A value is of another type than is needed.
    pub(crate) fn expected(what: &'static str, found: &'static str) -> Self {
        Self::with(format!("expected {what} but got {found}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}
