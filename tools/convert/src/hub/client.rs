//! Requests to the hub: redirects, errors and retries.

use std::fmt::{self, Write};
use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, LINK, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::{HubError, Settings};

const MAX_REDIRECTS: usize = 10;
/// Listings of models take a few kilobytes.
const MAX_JSON: u64 = 8 << 20;
/// Longest URL of a listing's next page.
const MAX_URL: usize = 4096;
/// Longest reason in an error: reasons quote what was sent.
const MAX_REASON: usize = 500;
/// A connection that is silent for this long is broken.
const SILENCE: Duration = Duration::from_secs(30);

/// A client of one endpoint.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    attempts: u32,
    pause: Duration,
    longest_pause: Duration,
}

/// A successful response.
pub(super) struct Answer {
    pub response: Response<Body>,
    /// The hub's own name of the content, from before any redirect to a store: `X-Linked-Etag`, or
    /// `ETag` where there is none.
    pub etag: Option<String>,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("lanerank/", env!("CARGO_PKG_VERSION")))
            // Lengths and digests refer to the uncompressed bytes.
            .accept_encoding("identity")
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        Client {
            agent: config.new_agent(),
            endpoint: settings.endpoint.clone(),
            token: settings.token.clone(),
            attempts: settings.attempts,
            pause: settings.pause,
            longest_pause: settings.longest_pause,
        }
    }

    /// The URL of a path at the endpoint.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint)
    }

    /// A JSON document, and the URL of its next page if there is one.
    pub(super) fn json(&self, url: &str) -> Result<(Vec<u8>, Option<String>), HubError> {
        let mut retry = self.retry();
        loop {
            let got = self.get(url, 0).and_then(|answer| {
                let next = next_page(url, answer.response.headers())?;
                let mut body = answer.response.into_body();
                let read = body.with_config().limit(MAX_JSON).read_to_vec();
                Ok((read.map_err(|e| network(url, &e))?, next))
            });
            match got {
                Ok(done) => return Ok(done),
                Err(error) => retry.after(error)?,
            }
        }
    }

    /// One attempt to get the content from byte `start`. Follows redirects; the token is sent only
    /// to the endpoint's own origin.
    pub(super) fn get(&self, url: &str, start: u64) -> Result<Answer, HubError> {
        let mut at = url.to_owned();
        let mut etag = None;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&at);
            if let Some(token) = &self.token
                && origin(&at) == origin(&self.endpoint)
            {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            if start > 0 {
                request = request.header(RANGE, format!("bytes={start}-"));
            }
            let response = request.call().map_err(|e| network(url, &e))?;
            let headers = response.headers();
            if origin(&at) == origin(&self.endpoint) {
                etag = text(headers, "x-linked-etag").or(etag);
                // The ETag of a redirect is that of the redirect itself.
                if response.status().is_success() {
                    etag = etag.or_else(|| text(headers, "etag"));
                }
            }
            let status = response.status();
            if status.is_success() {
                return Ok(Answer { response, etag });
            }
            match text(headers, LOCATION.as_str()) {
                Some(location) if status.is_redirection() => at = redirect(url, &at, &location)?,
                _ => return Err(refusal(url, status.as_u16(), headers)),
            }
        }
        Err(protocol(url, "too many redirects"))
    }

    pub(super) fn retry(&self) -> Retry<'_> {
        Retry {
            client: self,
            failures: 0,
        }
    }
}

/// Counts consecutive failures.
pub(super) struct Retry<'a> {
    client: &'a Client,
    failures: u32,
}

impl Retry<'_> {
    /// Waits if a retry makes sense; otherwise returns the error.
    pub(super) fn after(&mut self, error: HubError) -> Result<(), HubError> {
        self.failures += 1;
        if !error.is_transient() || self.failures >= self.client.attempts {
            return Err(error);
        }
        let doubled = self.client.pause * 2u32.saturating_pow(self.failures - 1);
        let asked = match &error {
            HubError::TooManyRequests { retry_after, .. } => *retry_after,
            _ => None,
        };
        if asked.is_some_and(|asked| asked > self.client.longest_pause) {
            return Err(error);
        }
        std::thread::sleep(asked.unwrap_or(doubled.min(self.client.longest_pause)));
        Ok(())
    }

    /// Resets the count: there was progress since the last failure.
    pub(super) fn progressed(&mut self) {
        self.failures = 0;
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..authority + end])
}

/// The target of a redirect.
fn redirect(url: &str, from: &str, location: &str) -> Result<String, HubError> {
    let secure = from.starts_with("https://");
    match location {
        _ if location.starts_with("https://") => Ok(location.to_owned()),
        _ if location.starts_with("http://") && !secure => Ok(location.to_owned()),
        _ if location.starts_with("http://") => Err(protocol(url, "a redirect from https to http")),
        _ if location.starts_with('/') && !location.starts_with("//") => {
            Ok(format!("{}{location}", origin(from)))
        }
        _ => Err(protocol(url, format!("a redirect to {location:?}"))),
    }
}

fn refusal(url: &str, status: u16, headers: &HeaderMap) -> HubError {
    let url = url.to_owned();
    match status {
        401 => HubError::Unauthorized { url },
        403 => HubError::Forbidden { url },
        404 => HubError::NotFound {
            url,
            code: text(headers, "x-error-code").map(|code| code.chars().take(80).collect()),
        },
        429 => HubError::TooManyRequests {
            url,
            retry_after: text(headers, RETRY_AFTER.as_str()).and_then(|value| retry_after(&value)),
        },
        _ => HubError::Status { url, status },
    }
}

/// The header in seconds, as the hub sends it. Its other form, a date, is ignored.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The URL marked `next` in the `Link` header of a paged listing.
fn next_page(url: &str, headers: &HeaderMap) -> Result<Option<String>, HubError> {
    let links = text(headers, LINK.as_str()).unwrap_or_default();
    let mut links = links
        .split(',')
        .filter(|link| link.contains("rel=\"next\""));
    let next = links
        .next()
        .and_then(|link| link.split_once('<')?.1.split_once('>'));
    match next {
        Some((next, _)) if next.len() > MAX_URL => {
            let reason = format!("the next page's URL has {} bytes", next.len());
            Err(protocol(url, reason))
        }
        Some((next, _)) => Ok(Some(next.to_owned())),
        None => Ok(None),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn network(url: &str, reason: &ureq::Error) -> HubError {
    HubError::Network {
        url: url.to_owned(),
        reason: reason.to_string(),
    }
}

pub(super) fn protocol(url: &str, reason: impl fmt::Display) -> HubError {
    let mut short = Short(String::new());
    // Ends early if it is too long.
    let _ = write!(short, "{reason}");
    HubError::Protocol {
        url: url.to_owned(),
        reason: short.0,
    }
}

/// Takes the first [`MAX_REASON`] bytes.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MAX_REASON.saturating_sub(self.0.len());
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        let end = (0..=room).rfind(|&i| more.is_char_boundary(i));
        self.0.push_str(&more[..end.unwrap_or_default()]);
        self.0.push_str(" ...");
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        assert_eq!(origin("https://a.b/c?d"), "https://a.b");
        assert_eq!(origin("http://a:80"), "http://a:80");
        assert_ne!(origin("https://a.b@evil.org/c"), origin("https://a.b/c"));
        assert_ne!(origin("https://a.b:444/c"), origin("https://a.b/c"));
        assert_eq!(origin("https://a.b?x=/"), "https://a.b");
    }

    #[test]
    fn redirects() {
        let to = |from, location| redirect("u", from, location).map_err(|e| e.to_string());
        assert_eq!(to("https://a/b/c", "/d?e").unwrap(), "https://a/d?e");
        assert_eq!(to("http://a/b", "http://c/d").unwrap(), "http://c/d");
        assert_eq!(to("https://a/b", "https://c/d").unwrap(), "https://c/d");
        for bad in [
            "http://a/b",
            "//c/d",
            "d",
            "ftp://a/b",
            "file:///etc/passwd",
        ] {
            assert!(to("https://a/b", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn waits_that_are_asked_for() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }
}
