//! What is known of a scraper's metrics before anything is read.

use tidegate_pdata::compose::Kind;

/// A metric that a scraper can make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    /// Its name, which is also its key under `metrics`.
    pub(crate) name: &'static str,
    /// What it tells, in the Collector's words: backends show them.
    pub(crate) description: &'static str,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What its points are.
    pub(crate) kind: Kind,
    /// Whether it is made where nobody says.
    pub(crate) enabled: bool,
    /// The attributes of its points, in the order in which their values are given.
    pub(crate) attributes: &'static [&'static str],
    /// Why enabling it has no effect here.
    pub(crate) without_effect: Option<&'static str>,
}

/// The metrics of a scraper, as the variants of an enum.
pub(crate) trait Table: Copy + Send + Sync + 'static {
    /// All of them, in the order of their names, in which they are sent.
    const ALL: &'static [Metric];

    /// Each of them, at its place.
    const EACH: &'static [Self];

    /// The place of one.
    fn at(self) -> usize;
}

/// Declares the table of a scraper's metrics.
///
/// A line says: variant, on or off by default, name, unit, kind, attributes, description.
macro_rules! metrics {
    (
        $(#[$meta:meta])*
        $vis:vis enum $table:ident {
            $(
                $id:ident: $enabled:ident $name:literal [$unit:literal] $kind:expr,
                [$($attribute:literal),*]
                $(, without_effect: $why:literal)?;
                $description:literal
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis enum $table {
            $(
                $id,
            )*
        }

        impl $crate::scrape::Table for $table {
            const ALL: &'static [$crate::scrape::Metric] = &[$($crate::scrape::Metric {
                name: $name,
                description: $description,
                unit: $unit,
                kind: $kind,
                enabled: $crate::scrape::metrics!(@ $enabled),
                attributes: &[$($attribute),*],
                without_effect: $crate::scrape::metrics!(@ why $($why)?),
            }),*];

            const EACH: &'static [Self] = &[$(Self::$id),*];

            fn at(self) -> usize {
                self as usize
            }
        }
    };
    (@ on) => { true };
    (@ off) => { false };
    (@ why) => { None };
    (@ why $why:literal) => { Some($why) };
}

pub(crate) use metrics;
