//! Conditions on the request that data came with, in the small language that the original has for them.

use tidegate_pdata::Context;

/// `request["name"] == "value"`, or `!=`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestCondition {
    /// In lower case, as names of headers are kept.
    name: String,
    value: String,
    equals: bool,
}

/// What is wrong, and what to write instead.
pub(super) type Misuse = (&'static str, &'static str);

impl RequestCondition {
    pub(super) fn parse(text: &str) -> Result<Self, Misuse> {
        const REMEDY: &str = "write `request[\"X-Tenant\"] == \"acme\"`, or with `!=`";
        let misuse = |message| (message, REMEDY);
        let rest = text.trim().strip_prefix("request[\"");
        let rest = rest.ok_or(misuse("a condition on a request begins with `request[\"`"))?;
        let (name, rest) = rest
            .split_once("\"]")
            .ok_or(misuse("the name has no end"))?;
        let rest = rest.trim_start();
        let (equals, rest) = match (rest.strip_prefix("=="), rest.strip_prefix("!=")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(misuse("a request can be compared by `==` and `!=` alone")),
        };
        let quoted = rest
            .trim()
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let value = quoted.ok_or(misuse("the value is no text in double quotes"))?;
        if name.is_empty() || value.contains('"') {
            return Err(misuse("there is one name and one value"));
        }
        Ok(Self {
            name: name.to_lowercase(),
            value: value.to_owned(),
            equals,
        })
    }

    /// Whether one of the values that came under the name compares so; none does where none came.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let mut values = context.metadata(&self.name);
        values.any(|value| (value == self.value) == self.equals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_compared_by_their_metadata() {
        let context = Context::builder()
            .metadata("x-tenant", "acme")
            .metadata("x-tenant", "b")
            .build();
        for (text, expected) in [
            (r#"request["X-Tenant"] == "acme""#, true),
            (r#" request["x-tenant"]=="b" "#, true),
            (r#"request["X-Tenant"] == "c""#, false),
            (r#"request["X-Tenant"] != "acme""#, true),
            (r#"request["X-Other"] != "acme""#, false),
        ] {
            assert_eq!(
                RequestCondition::parse(text).unwrap().holds(&context),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn other_conditions_are_refused() {
        for text in [
            "",
            "attributes[\"a\"] == \"b\"",
            "request[\"a\"] > \"b\"",
            "request[\"a\"] == b",
            "request[\"a\"] == \"b\" or request[\"a\"] == \"c\"",
            "request[\"a == \"b\"",
            "request[\"\"] == \"b\"",
        ] {
            assert!(RequestCondition::parse(text).is_err(), "{text}");
        }
    }
}
