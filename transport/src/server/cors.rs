//! Cross-origin requests: what a browser is told about whose pages may send (Fetch, section 3.2).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::config::CorsKeys;
use super::{Reply, Response};

/// Whose pages may send, as the Collector's server has it.
#[derive(Clone, Debug)]
pub struct Cors {
    /// None allows every origin.
    origins: Option<Vec<Origin>>,
    /// None allows every header.
    headers: Option<Vec<String>>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

#[derive(Clone, Debug)]
enum Origin {
    Exact(String),
    /// What stands before and after the `*`.
    Pattern(String, String),
}

impl Origin {
    fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.split_once('*') {
            Some((before, after)) => Self::Pattern(before.to_owned(), after.to_owned()),
            None => Self::Exact(text),
        }
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == origin,
            Self::Pattern(before, after) => {
                origin.len() >= before.len() + after.len()
                    && origin.starts_with(before)
                    && origin.ends_with(after)
            }
        }
    }
}

impl Cors {
    /// These keys; none where they allow no origin.
    ///
    /// # Errors
    /// With the name that cannot be a header's.
    pub(super) fn new(keys: &CorsKeys) -> Result<Option<Self>, String> {
        if keys.allowed_origins.is_empty() {
            return Ok(None);
        }
        for name in keys.allowed_headers.iter().chain(&keys.exposed_headers) {
            HeaderName::try_from(name).map_err(|_| name.clone())?;
        }
        let any = |names: &[String]| names.iter().any(|name| name == "*");
        let headers = match &*keys.allowed_headers {
            [] => vec![
                "accept".into(),
                "content-type".into(),
                "x-requested-with".into(),
            ],
            named => named.iter().map(|name| name.to_ascii_lowercase()).collect(),
        };
        let exposed = keys.exposed_headers.join(", ");
        Ok(Some(Self {
            origins: (!any(&keys.allowed_origins)).then(|| {
                let origins = keys.allowed_origins.iter();
                origins.map(|origin| Origin::parse(origin)).collect()
            }),
            headers: (!any(&keys.allowed_headers)).then_some(headers),
            exposed: Some(exposed)
                .filter(|names| !names.is_empty())
                .and_then(|names| HeaderValue::try_from(names).ok()),
            max_age: (keys.max_age != 0).then(|| HeaderValue::from(keys.max_age.max(0))),
        }))
    }

    /// The answer to a preflight; none where the request is not one.
    #[must_use]
    pub fn preflight(&self, request: &Parts) -> Option<Response> {
        let method = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if request.method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(
            VARY,
            HeaderValue::from_static(
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        );
        let asked = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        if takes(method.as_bytes())
            && asked.is_none_or(|names| self.allows_headers(names))
            && let Some(origin) = self.allowed(&request.headers)
        {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            if let Some(asked) = asked.filter(|names| !names.is_empty()) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            if let Some(age) = &self.max_age {
                headers.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
            }
        }
        Some(response)
    }

    /// Adds to an answer what a browser needs to hand it to the page.
    pub fn decorate(&self, method: &Method, request: &HeaderMap, answer: &mut HeaderMap) {
        answer.append(VARY, HeaderValue::from_static("Origin"));
        if !takes(method.as_str().as_bytes()) {
            return;
        }
        if let Some(origin) = self.allowed(request) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            if let Some(exposed) = &self.exposed {
                answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
        }
    }

    /// What is said of the request's origin, where it may send.
    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN).filter(|origin| !origin.is_empty())?;
        let Some(origins) = &self.origins else {
            return Some(HeaderValue::from_static("*"));
        };
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        let found = origins.iter().any(|allowed| allowed.matches(&text));
        found.then(|| origin.clone())
    }

    fn allows_headers(&self, asked: &HeaderValue) -> bool {
        let Some(allowed) = &self.headers else {
            return true;
        };
        asked.to_str().is_ok_and(|names| {
            names
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .all(|name| name.is_empty() || allowed.contains(&name))
        })
    }
}

const TRUE: HeaderValue = HeaderValue::from_static("true");

fn takes(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"POST" | b"HEAD" | b"OPTIONS")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], headers: &[&str], max_age: i64) -> Cors {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let keys = CorsKeys {
            allowed_origins: owned(origins),
            allowed_headers: owned(headers),
            exposed_headers: Vec::new(),
            max_age,
        };
        Cors::new(&keys).unwrap().unwrap()
    }

    fn preflight(cors: &Cors, origin: &str, asked: &str) -> HeaderMap {
        let request = http::Request::options("/v1/traces")
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(ACCESS_CONTROL_REQUEST_HEADERS, asked)
            .body(())
            .unwrap();
        let response = cors.preflight(&request.into_parts().0).unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        response.headers().clone()
    }

    fn allowed(cors: &Cors, origin: &str, asked: &str) -> bool {
        preflight(cors, origin, asked).contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)
    }

    #[test]
    fn a_star_stands_for_any_text_in_an_origin() {
        let cors = cors(&["https://*.Example.com", "http://localhost:3000"], &[], 0);
        for (origin, expected) in [
            ("https://app.example.com", true),
            ("HTTPS://APP.EXAMPLE.COM", true),
            ("http://localhost:3000", true),
            ("https://example.com", false),
            ("https://app.example.com.evil", false),
            ("http://localhost:3001", false),
        ] {
            assert_eq!(allowed(&cors, origin, ""), expected, "{origin}");
        }
    }

    #[test]
    fn a_preflight_repeats_what_is_allowed() {
        let cors = cors(&["https://a.b"], &["Authorization"], 600);
        let headers = preflight(&cors, "https://a.b", "authorization");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.b");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], "authorization");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "600");
        assert!(!allowed(&cors, "https://a.b", "authorization, x-other"));
    }

    #[test]
    fn any_origin_and_any_header_may_be_allowed() {
        let cors = cors(&["*"], &["*"], -1);
        let headers = preflight(&cors, "https://a.b", "x-anything");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "0");
    }

    #[test]
    fn an_answer_is_opened_to_its_page_alone() {
        let cors = cors(&["https://a.b"], &[], 0);
        for (origin, expected) in [("https://a.b", Some("https://a.b")), ("https://c.d", None)] {
            let mut request = HeaderMap::new();
            request.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
            let mut answer = HeaderMap::new();
            cors.decorate(&Method::POST, &request, &mut answer);
            assert_eq!(answer[VARY], "Origin");
            let found = answer.get(ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(found.map(|value| value.to_str().unwrap()), expected);
        }
    }

    #[test]
    fn without_origins_there_is_nothing_to_do() {
        let keys = CorsKeys {
            allowed_headers: vec!["*".to_owned()],
            ..CorsKeys::default()
        };
        assert!(Cors::new(&keys).unwrap().is_none());
    }
}
