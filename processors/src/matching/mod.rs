//! `include` and `exclude`: to which records a processor applies.
//!
//! What depends on the resource or the scope alone is decided once for each of them.

mod attributes;
mod config;
mod strings;
#[cfg(test)]
mod tests;

use tidegate_component::BuildError;
use tidegate_pdata::Signal;
use tidegate_pdata::view::{Attributes, LogRecord, Metric, Resource, Scope, Span};

pub(crate) use config::{
    AttributeMatch, MatchProperties, MatchType, RegexpOptions, SeverityNumber,
};
pub(crate) use strings::Strings;

use attributes::AttributeMatcher;

/// What is included and what of it is excluded.
#[derive(Default)]
pub(crate) struct Filter {
    include: Option<Matcher>,
    exclude: Option<Matcher>,
}

/// Compiled properties; where one is `None`, everything has it.
struct Matcher {
    services: Option<Strings>,
    /// Of spans or metrics.
    names: Option<Strings>,
    kinds: Option<Strings>,
    bodies: Option<Strings>,
    severity_texts: Option<Strings>,
    severity_number: Option<SeverityNumber>,
    libraries: Vec<LibraryMatcher>,
    resources: AttributeMatcher,
    attributes: AttributeMatcher,
    /// Whether the resource at hand has what is asked of it.
    resource_fits: bool,
    /// Whether that and the scope at hand have what is asked of them.
    scope_fits: bool,
    /// Room for values as text.
    room: String,
}

struct LibraryMatcher {
    name: Strings,
    version: Option<Strings>,
}

impl Filter {
    /// Compiles what stands under `include` and `exclude`.
    pub(crate) fn new(
        include: Option<&MatchProperties>,
        exclude: Option<&MatchProperties>,
        signal: Signal,
    ) -> Result<Self, BuildError> {
        let matcher = |properties: Option<&MatchProperties>, path| {
            properties
                .map(|properties| Matcher::new(properties, signal, path))
                .transpose()
        };
        Ok(Self {
            include: matcher(include, "include")?,
            exclude: matcher(exclude, "exclude")?,
        })
    }

    /// Whether it lets everything pass, and need not be asked.
    pub(crate) const fn is_open(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Takes up the next resource; says whether records of it can pass.
    pub(crate) fn resource(&mut self, resource: Resource<'_>) -> bool {
        for matcher in self.include.iter_mut().chain(&mut self.exclude) {
            matcher.enter_resource(resource);
        }
        (self.include.as_ref()).is_none_or(|include| include.resource_fits)
    }

    /// Takes up the next scope; says whether records of it can pass.
    pub(crate) fn scope(&mut self, scope: Scope<'_>) -> bool {
        for matcher in self.include.iter_mut().chain(&mut self.exclude) {
            matcher.enter_scope(scope);
        }
        (self.include.as_ref()).is_none_or(|include| include.scope_fits)
    }

    /// Whether a span passes.
    pub(crate) fn span(&mut self, span: Span<'_>) -> bool {
        self.passes(|matcher| matcher.span(span))
    }

    /// Whether a log record passes.
    pub(crate) fn log_record(&mut self, record: LogRecord<'_>) -> bool {
        self.passes(|matcher| matcher.log_record(record))
    }

    /// Whether a metric passes.
    pub(crate) fn metric(&mut self, metric: Metric<'_>) -> bool {
        self.passes(|matcher| matcher.metric(metric))
    }

    fn passes(&mut self, matches: impl Fn(&mut Matcher) -> bool) -> bool {
        self.include.as_mut().is_none_or(&matches) && !self.exclude.as_mut().is_some_and(&matches)
    }
}

impl Matcher {
    fn new(properties: &MatchProperties, signal: Signal, path: &str) -> Result<Self, BuildError> {
        properties.check(signal, path)?;
        let kind = properties.match_type;
        let strings =
            |list: &[String], key: &str| Strings::new(list, kind, &format!("{path}::{key}"));
        let names = match signal {
            Signal::Metrics => strings(&properties.metric_names, "metric_names")?,
            _ => strings(&properties.span_names, "span_names")?,
        };
        let attributes = |list: &[config::AttributeMatch], key: &str| {
            AttributeMatcher::new(list, kind, &format!("{path}::{key}"))
        };
        Ok(Self {
            services: strings(&properties.services, "services")?,
            names,
            kinds: strings(&properties.span_kinds, "span_kinds")?,
            bodies: strings(&properties.log_bodies, "log_bodies")?,
            severity_texts: strings(&properties.log_severity_texts, "log_severity_texts")?,
            severity_number: properties.log_severity_number,
            libraries: libraries(properties, path)?,
            resources: attributes(&properties.resources, "resources")?,
            attributes: attributes(&properties.attributes, "attributes")?,
            resource_fits: false,
            scope_fits: false,
            room: String::new(),
        })
    }

    fn enter_resource(&mut self, resource: Resource<'_>) {
        let attributes = resource.attributes();
        let service = |services: &Strings, room| match attributes.get("service.name") {
            Some(name) => services.matches_value(name, room),
            None => services.matches(b"<nil-service-name>"),
        };
        self.resource_fits = (self.services.as_ref())
            .is_none_or(|services| service(services, &mut self.room))
            && self.resources.matches(attributes, &mut self.room);
    }

    fn enter_scope(&mut self, scope: Scope<'_>) {
        self.scope_fits = self.resource_fits
            && self.libraries.iter().all(|library| {
                library.name.matches(scope.name().as_bytes())
                    && (library.version.as_ref())
                        .is_none_or(|version| version.matches(scope.version().as_bytes()))
            });
    }

    fn span(&mut self, span: Span<'_>) -> bool {
        self.scope_fits
            && has(&self.names, || span.name().as_bytes())
            && has(&self.kinds, || kind_name(span.kind()).as_bytes())
            && self.has_attributes(|| span.attributes())
    }

    fn log_record(&mut self, record: LogRecord<'_>) -> bool {
        self.scope_fits
            && (self.bodies.as_ref()).is_none_or(|bodies| {
                bodies.matches_value(record.body().unwrap_or_default(), &mut self.room)
            })
            && has(&self.severity_texts, || record.severity_text().as_bytes())
            && (self.severity_number.as_ref()).is_none_or(|least| match record.severity_number() {
                0 => least.match_undefined,
                number => number >= least.min,
            })
            && self.has_attributes(|| record.attributes())
    }

    fn metric(&mut self, metric: Metric<'_>) -> bool {
        self.scope_fits && has(&self.names, || metric.name().as_bytes())
    }

    fn has_attributes<'a>(&mut self, attributes: impl FnOnce() -> Attributes<'a>) -> bool {
        self.attributes.is_empty() || self.attributes.matches(attributes(), &mut self.room)
    }
}

fn has<'a>(strings: &Option<Strings>, text: impl FnOnce() -> &'a [u8]) -> bool {
    strings
        .as_ref()
        .is_none_or(|strings| strings.matches(text()))
}

fn libraries(properties: &MatchProperties, path: &str) -> Result<Vec<LibraryMatcher>, BuildError> {
    let kind = properties.match_type;
    let libraries = properties.libraries.iter().enumerate();
    let matchers = libraries.map(|(index, library)| {
        let one = |text: &String, key| {
            let path = format!("{path}::libraries::{index}::{key}");
            Strings::of(std::slice::from_ref(text), kind, &path)
        };
        Ok(LibraryMatcher {
            name: one(&library.name, "name")?,
            version: (library.version.as_ref())
                .map(|version| one(version, "version"))
                .transpose()?,
        })
    });
    matchers.collect()
}

/// The schema's name of a `SpanKind`.
const fn kind_name(kind: i32) -> &'static str {
    match kind {
        0 => "SPAN_KIND_UNSPECIFIED",
        1 => "SPAN_KIND_INTERNAL",
        2 => "SPAN_KIND_SERVER",
        3 => "SPAN_KIND_CLIENT",
        4 => "SPAN_KIND_PRODUCER",
        5 => "SPAN_KIND_CONSUMER",
        _ => "",
    }
}
