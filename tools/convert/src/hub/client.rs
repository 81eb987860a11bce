//! Requests to the hub: redirects, refusals, and when to try again.

use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, LINK, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::{HubError, Settings};

const MAX_REDIRECTS: usize = 10;
/// Listings of models take some kilobytes.
const MAX_JSON: u64 = 16 << 20;
/// A connection that says nothing for so long is broken.
const SILENCE: Duration = Duration::from_secs(30);

/// Speaks to one endpoint.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    attempts: u32,
    pause: Duration,
    longest_pause: Duration,
}

/// A successful answer.
pub(super) struct Answer {
    pub response: Response<Body>,
    /// What the hub itself, before any redirect to a store, calls the content: `X-Linked-Etag`, or
    /// `ETag` where there is none.
    pub etag: Option<String>,
}

impl Client {
    pub fn new(settings: &Settings) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("lanerank/", env!("CARGO_PKG_VERSION")))
            // Lengths and digests are those of the plain bytes.
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

    /// The address of something at the endpoint.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint)
    }

    /// A JSON document, and the address of its next page where there is one.
    pub fn json(&self, url: &str) -> Result<(Vec<u8>, Option<String>), HubError> {
        let mut retry = self.retry();
        loop {
            let got = self.get(url, 0).and_then(|answer| {
                let next = next_page(answer.response.headers());
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

    /// One attempt to get the content from byte `start` on. Redirects are followed; the token goes
    /// to the endpoint's own origin only.
    pub fn get(&self, url: &str, start: u64) -> Result<Answer, HubError> {
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
                // A redirect's own ETag is that of the redirect.
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
        Err(protocol(url, "redirects without end"))
    }

    pub fn retry(&self) -> Retry<'_> {
        Retry {
            client: self,
            failures: 0,
        }
    }
}

/// Counts failures in a row.
pub(super) struct Retry<'a> {
    client: &'a Client,
    failures: u32,
}

impl Retry<'_> {
    /// Waits where another attempt makes sense; else gives the error back.
    pub fn after(&mut self, error: HubError) -> Result<(), HubError> {
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

    /// Something was achieved since the last failure.
    pub fn progressed(&mut self) {
        self.failures = 0;
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..authority + end])
}

/// Where a redirect leads.
fn redirect(url: &str, from: &str, location: &str) -> Result<String, HubError> {
    let secure = from.starts_with("https://");
    match location {
        _ if location.starts_with("https://") => Ok(location.to_owned()),
        _ if location.starts_with("http://") && !secure => Ok(location.to_owned()),
        _ if location.starts_with("http://") => Err(protocol(url, "a redirect from https to http")),
        _ if location.starts_with('/') && !location.starts_with("//") => {
            Ok(format!("{}{location}", origin(from)))
        }
        _ => Err(protocol(url, &format!("a redirect to {location:?}"))),
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

/// Seconds, as the hub gives them; of the other form, a date, nothing is known.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The address that a paged listing's `Link` header calls next.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = text(headers, LINK.as_str())?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
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

pub(super) fn protocol(url: &str, reason: &str) -> HubError {
    HubError::Protocol {
        url: url.to_owned(),
        reason: reason.to_owned(),
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
