//! Settings of the hub and its cache, from the environment variables of `huggingface_hub`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::HubError;

/// The hub's own address.
const ENDPOINT: &str = "https://huggingface.co";
/// Tokens have some 40 characters.
const MAX_TOKEN: usize = 4096;

/// Settings of a [`Hub`](super::Hub).
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The hub's cache, in the layout of `huggingface_hub`. `HF_HUB_CACHE`; default `hub` in
    /// `HF_HOME`, which defaults to `huggingface` in `XDG_CACHE_HOME` or `~/.cache`.
    pub cache: PathBuf,
    /// Converted model files. `LANERANK_CACHE`; default `lanerank` in `XDG_CACHE_HOME` or
    /// `~/.cache`.
    pub converted: PathBuf,
    /// The hub or a mirror. `HF_ENDPOINT`.
    pub endpoint: String,
    /// Token, sent only to the endpoint. `HF_TOKEN`; default the content of `HF_TOKEN_PATH`, which
    /// defaults to `token` in `HF_HOME`.
    pub token: Option<String>,
    /// Forbids the network. `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// Attempts without progress before an error is final.
    pub attempts: u32,
    /// Pause before the second attempt. Doubles with each further attempt.
    pub pause: Duration,
    /// Longest pause that the hub may ask for. A longer one is an error.
    pub longest_pause: Duration,
}

impl Settings {
    /// The hub's own URL, no token, and these folders.
    pub fn new(cache: impl Into<PathBuf>, converted: impl Into<PathBuf>) -> Self {
        Settings {
            cache: cache.into(),
            converted: converted.into(),
            endpoint: ENDPOINT.into(),
            token: None,
            offline: false,
            attempts: 5,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(120),
        }
    }

    /// The settings of the environment.
    ///
    /// # Errors
    /// [`HubError::Setting`] where there is no home folder for the cache, or a variable has an
    /// invalid value.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_vars(&|name| {
            let value = env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        })
    }

    fn from_vars(var: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Self, HubError> {
        let text = |name| var(name).map(|value| value.to_string_lossy().trim().to_owned());
        let user_cache = || {
            let home = || var("HOME").or_else(|| var("USERPROFILE"));
            let cache = var("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")));
            cache.ok_or(HubError::Setting {
                name: "HOME",
                reason: "not set; HF_HOME and LANERANK_CACHE say where models are kept".into(),
            })
        };
        let home = || -> Result<PathBuf, HubError> {
            match var("HF_HOME") {
                Some(home) => Ok(home),
                None => Ok(user_cache()?.join("huggingface")),
            }
        };
        let cache = match var("HF_HUB_CACHE") {
            Some(cache) => cache,
            None => home()?.join("hub"),
        };
        let converted = match var("LANERANK_CACHE") {
            Some(folder) => folder,
            None => user_cache()?.join("lanerank"),
        };
        let token = match text("HF_TOKEN").filter(|token| !token.is_empty()) {
            Some(token) => Some(token),
            None => var("HF_TOKEN_PATH")
                .or_else(|| Some(home().ok()?.join("token")))
                .and_then(|path| fs::read_to_string(path).ok())
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
        };
        Ok(Settings {
            endpoint: endpoint(text("HF_ENDPOINT"))?,
            token: token.map(check_token).transpose()?,
            offline: text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
            ..Settings::new(cache, converted)
        })
    }
}

/// The values that `huggingface_hub` takes for true.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}

fn endpoint(value: Option<String>) -> Result<String, HubError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(ENDPOINT.into());
    };
    let known = value.starts_with("https://") || value.starts_with("http://");
    if !known || value.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(HubError::Setting {
            name: "HF_ENDPOINT",
            reason: format!("{value:?} is not an http or https address"),
        });
    }
    Ok(value.trim_end_matches('/').to_owned())
}

/// A token goes into a header, where a line break would add another header.
fn check_token(token: String) -> Result<String, HubError> {
    if token.len() <= MAX_TOKEN && token.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(token)
    } else {
        Err(HubError::Setting {
            name: "HF_TOKEN",
            reason: "not a token: it has invalid characters".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> Result<Settings, HubError> {
        let find = |name: &str| vars.iter().find(|(other, _)| *other == name);
        Settings::from_vars(&|name| find(name).map(|(_, value)| PathBuf::from(value)))
    }

    #[test]
    fn folders_follow_the_variables() {
        for (vars, cache, converted) in [
            (
                &[("HOME", "/h")][..],
                "/h/.cache/huggingface/hub",
                "/h/.cache/lanerank",
            ),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/hub",
                "/x/lanerank",
            ),
            (
                &[("HOME", "/h"), ("HF_HOME", "/f")],
                "/f/hub",
                "/h/.cache/lanerank",
            ),
            (
                &[
                    ("HF_HOME", "/f"),
                    ("HF_HUB_CACHE", "/c"),
                    ("LANERANK_CACHE", "/l"),
                ],
                "/c",
                "/l",
            ),
        ] {
            let settings = settings(vars).unwrap();
            assert_eq!(settings.cache, PathBuf::from(cache));
            assert_eq!(settings.converted, PathBuf::from(converted));
        }
        assert!(matches!(
            settings(&[]),
            Err(HubError::Setting { name: "HOME", .. })
        ));
    }

    #[test]
    fn the_network_s_variables() {
        let home = ("HOME", "/nowhere");
        let plain = settings(&[home]).unwrap();
        assert_eq!((plain.endpoint.as_str(), plain.offline), (ENDPOINT, false));
        assert_eq!(plain.token, None);
        let mirror = settings(&[home, ("HF_ENDPOINT", "http://mirror:8080/")]).unwrap();
        assert_eq!(mirror.endpoint, "http://mirror:8080");
        for bad in ["ftp://mirror", "mirror", "http://a b"] {
            assert!(settings(&[home, ("HF_ENDPOINT", bad)]).is_err(), "{bad}");
        }
        for (value, offline) in [("1", true), ("ON", true), ("True", true), ("0", false)] {
            let settings = settings(&[home, ("HF_HUB_OFFLINE", value)]).unwrap();
            assert_eq!(settings.offline, offline, "{value}");
        }
        let token = settings(&[home, ("HF_TOKEN", " hf_abc\n")]).unwrap().token;
        assert_eq!(token.as_deref(), Some("hf_abc"));
        assert!(settings(&[home, ("HF_TOKEN", "a\r\nX: y")]).is_err());
    }
}
