//! Types of settings that every component shares.

mod byte_size;
mod duration;
mod one_or_many;
mod secret;
mod spanned;

pub use byte_size::ByteSize;
pub use duration::Duration;
pub use one_or_many::OneOrMany;
pub(crate) use secret::REDACTED;
pub use secret::Secret;
pub use spanned::Spanned;
pub(crate) use spanned::{SPANNED, SpannedParts, cut_short, span};
