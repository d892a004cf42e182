//! The cookies that servers set, kept and sent back (RFC 6265, as far as one client needs it).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Uri, header};

/// Cookies kept at most: what a server sets beyond that pushes the oldest out.
const MOST: usize = 100;
/// The longest cookie that is kept.
const LONGEST: usize = 4 << 10;

/// The cookies of one client.
#[derive(Debug, Default)]
pub(super) struct Jar(Mutex<Vec<Cookie>>);

#[derive(Debug, PartialEq)]
struct Cookie {
    name: String,
    value: String,
    /// A host, which must be met exactly, or a domain, whose hosts are all met.
    domain: String,
    exact: bool,
    path: String,
    secure: bool,
    until: Option<SystemTime>,
}

impl Jar {
    /// Keeps what an answer from this URL sets.
    pub(super) fn keep(&self, uri: &Uri, headers: &HeaderMap, now: SystemTime) {
        let set = headers.get_all(header::SET_COOKIE).iter();
        let set = set.filter_map(|value| Cookie::parse(value.to_str().ok()?, uri, now));
        for cookie in set.collect::<Vec<_>>() {
            let mut jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            jar.retain(|kept| !kept.is_same(&cookie));
            if cookie.until.is_none_or(|until| until > now) {
                jar.push(cookie);
            }
            let surplus = jar.len().saturating_sub(MOST);
            jar.drain(..surplus);
        }
    }

    /// What to send to this URL.
    pub(super) fn header(&self, uri: &Uri, now: SystemTime) -> Option<HeaderValue> {
        let mut jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jar.retain(|cookie| cookie.until.is_none_or(|until| until > now));
        let fitting = jar.iter().filter(|cookie| cookie.fits(uri));
        let text: Vec<_> = fitting
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        if text.is_empty() {
            return None;
        }
        let mut value = HeaderValue::try_from(text.join("; ")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Cookie {
    fn parse(text: &str, uri: &Uri, now: SystemTime) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut parts = text.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let host = uri.host()?.to_ascii_lowercase();
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            domain: host.clone(),
            exact: true,
            path: default_path(uri.path()).to_owned(),
            secure: false,
            until: None,
        };
        let (mut age, mut expires) = (None, None);
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "domain" => {
                    let domain = value.trim_start_matches('.').to_ascii_lowercase();
                    if domain.is_empty() {
                        continue;
                    }
                    // A public suffix has no dot in most cases; a longer one is not known here.
                    if !covers(&domain, &host) || (domain != host && !domain.contains('.')) {
                        return None;
                    }
                    cookie.exact = false;
                    cookie.domain = domain;
                }
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "secure" => cookie.secure = true,
                "max-age" => age = value.parse::<i64>().ok(),
                "expires" => expires = super::date::parse(value),
                _ => {}
            }
        }
        cookie.until = match age {
            Some(age) => {
                let age = Duration::from_secs(u64::try_from(age).unwrap_or(0));
                Some(now.checked_add(age)?)
            }
            None => expires,
        };
        (!cookie.name.is_empty()).then_some(cookie)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.domain == other.domain && self.path == other.path
    }

    fn fits(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let by_host = match self.exact {
            true => self.domain == host,
            false => covers(&self.domain, &host),
        };
        let path = uri.path();
        let by_path = path.strip_prefix(self.path.as_str()).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/')
        });
        by_host && by_path && (!self.secure || uri.scheme_str() == Some("https"))
    }
}

/// Whether a host belongs to a domain.
fn covers(domain: &str, host: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(from: &str, set: &[&str]) -> Jar {
        let jar = Jar::default();
        let mut headers = HeaderMap::new();
        for set in set {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(set).unwrap());
        }
        jar.keep(&from.parse().unwrap(), &headers, SystemTime::UNIX_EPOCH);
        jar
    }

    fn sent(jar: &Jar, to: &str, after: u64) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(after);
        let value = jar.header(&to.parse().unwrap(), now);
        value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_cookie_goes_back_to_where_it_was_set_and_below() {
        let jar = jar(
            "http://lb.example/v1/traces",
            &["route=a1; HttpOnly", "all=b; Path=/"],
        );
        assert_eq!(
            sent(&jar, "http://lb.example/v1/traces", 0),
            "route=a1; all=b"
        );
        assert_eq!(sent(&jar, "http://lb.example/v2", 0), "all=b");
        assert_eq!(sent(&jar, "http://lb.example/v1x", 0), "all=b");
        assert_eq!(sent(&jar, "http://x.lb.example/v1/traces", 0), "");
    }

    #[test]
    fn a_domain_covers_its_hosts_and_no_stranger_sets_it() {
        let own = jar("http://a.lb.example/", &["x=1; Domain=.lb.example"]);
        assert_eq!(sent(&own, "http://b.lb.example/", 0), "x=1");
        assert_eq!(sent(&own, "http://evil-lb.example/", 0), "");
        let other = jar(
            "http://a.example/",
            &["x=1; Domain=b.example", "y=1; Domain=example"],
        );
        assert_eq!(sent(&other, "http://a.example/", 0), "");
    }

    #[test]
    fn a_cookie_lives_as_long_as_told_and_can_be_taken_back() {
        let set = &[
            "x=1; Max-Age=10",
            "y=1; Expires=Thu, 01 Jan 1970 00:00:20 GMT",
            "z=1; Secure",
        ];
        let jar = jar("https://lb.example/", set);
        assert_eq!(sent(&jar, "https://lb.example/", 5), "x=1; y=1; z=1");
        assert_eq!(sent(&jar, "http://lb.example/", 15), "y=1");
        assert_eq!(sent(&jar, "https://lb.example/", 25), "z=1");
        let mut headers = HeaderMap::new();
        headers.append(
            header::SET_COOKIE,
            HeaderValue::from_static("z=; Max-Age=0"),
        );
        jar.keep(
            &"https://lb.example/".parse().unwrap(),
            &headers,
            SystemTime::now(),
        );
        assert_eq!(sent(&jar, "https://lb.example/", 26), "");
    }

    #[test]
    fn a_server_cannot_fill_the_memory() {
        let many: Vec<_> = (0..500).map(|at| format!("c{at}=1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let jar = jar("http://lb.example/", &many);
        assert_eq!(jar.0.lock().unwrap().len(), MOST);
    }
}
