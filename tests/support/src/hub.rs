//! A local fake of the Hugging Face hub.
//!
//! It serves the API's revision and tree pages and the resolve addresses, which redirect small
//! files within the hub and large ones to a store of another origin. It supports ranges and injects
//! faults.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The repository's commit.
pub const COMMIT: &str = "1111111111111111111111111111111111111111";

/// A fault of one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers with this status and header line.
    Status(u16, &'static str),
    /// Closes the connection after this many bytes of the body.
    BreakAfter(usize),
    /// Changes the first byte.
    Corrupt,
    /// Ignores the requested range.
    NoRange,
    /// Sends another range than requested.
    WrongRange,
    /// Sends one byte too many.
    TooMuch,
    /// Sends another etag than the listing.
    WrongEtag,
    /// Sends a body that is not JSON.
    NotJson,
    /// Answers after a delay.
    Slow(Duration),
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whether the store received it, not the hub.
    pub at_store: bool,
    /// Its path and query.
    pub path: String,
    /// Its `Authorization` header.
    pub authorization: Option<String>,
    /// Its `Range` header.
    pub range: Option<String>,
}

#[derive(Default)]
struct State {
    repository: String,
    former: Option<String>,
    files: BTreeMap<String, Vec<u8>>,
    token: Option<String>,
    faults: Vec<(String, VecDeque<Fault>)>,
    seen: Vec<Seen>,
    page: usize,
    commit: String,
}

/// A hub with one repository.
#[derive(Clone)]
pub struct Server {
    /// Its address.
    pub url: String,
    store: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Serves these files as `org/name`.
    pub fn start(repository: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Server {
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let server = Server {
            url: address(&hub),
            store: address(&store),
            state: Arc::new(Mutex::new(State {
                repository: repository.into(),
                files: files.into_iter().collect(),
                page: 1000,
                commit: COMMIT.into(),
                ..State::default()
            })),
        };
        for (listener, at_store) in [(hub, false), (store, true)] {
            let server = server.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let server = server.clone();
                    // Errors of a client that disconnects are ignored.
                    thread::spawn(move || server.answer(stream, at_store).unwrap_or_default());
                }
            });
        }
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Injects these faults, one each, into the next requests whose path contains `part`.
    pub fn fail(&self, part: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.state().faults.push((part.into(), faults));
    }

    /// Requires this bearer token from now on.
    pub fn require_token(&self, token: &str) {
        self.state().token = Some(token.into());
    }

    /// Redirects requests for the former name.
    pub fn renamed_from(&self, former: &str) {
        self.state().former = Some(former.into());
    }

    /// Makes this the repository's only commit.
    pub fn serve_commit(&self, commit: &str) {
        self.state().commit = commit.into();
    }

    /// Splits listings into pages of this many files.
    pub fn files_a_page(&self, count: usize) {
        self.state().page = count;
    }

    /// Adds or replaces a file.
    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.state().files.insert(path.into(), content.into());
    }

    /// All requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    fn answer(&self, mut stream: TcpStream, at_store: bool) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut seen = Seen {
            at_store,
            path: path.clone(),
            authorization: None,
            range: None,
        };
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => seen.authorization = Some(value.into()),
                "range" => seen.range = Some(value.into()),
                _ => {}
            }
        }
        let fault = self.take_fault(&path);
        self.state().seen.push(seen.clone());
        let reply = match fault {
            Some(Fault::Status(status, header)) => Reply::new(status, header, b"no"),
            _ if at_store => self.content(&path["/store/".len()..], &seen, fault.as_ref()),
            _ => self.hub(&path, &seen, fault.as_ref()),
        };
        if let Some(Fault::Slow(time)) = fault {
            thread::sleep(time);
        }
        reply.send(&mut stream, fault.as_ref())
    }

    fn take_fault(&self, path: &str) -> Option<Fault> {
        let mut state = self.state();
        let found = state
            .faults
            .iter_mut()
            .find(|(part, left)| path.contains(part.as_str()) && !left.is_empty());
        found.and_then(|(_, left)| left.pop_front())
    }

    fn hub(&self, path: &str, seen: &Seen, fault: Option<&Fault>) -> Reply {
        let (repository, former, token, commit) = {
            let state = self.state();
            (
                state.repository.clone(),
                state.former.clone(),
                state.token.clone(),
                state.commit.clone(),
            )
        };
        if let Some(file) = path.strip_prefix("/api/resolve-cache/") {
            return self.content(file, seen, fault);
        }
        let expected = token.map(|token| format!("Bearer {token}"));
        if expected.is_some() && seen.authorization != expected {
            return Reply::new(401, "X-Error-Code: RepoNotFound", b"no");
        }
        if let Some(former) = former.filter(|former| path.contains(former.as_str())) {
            let location = format!("Location: {}", path.replace(&former, &repository));
            return Reply::new(307, &location, b"");
        }
        let api = format!("/api/models/{repository}/");
        let resolve = format!("/{repository}/resolve/{commit}/");
        match (path.strip_prefix(&api), path.strip_prefix(&resolve)) {
            (Some("revision/main" | "revision/refs%2Fpr%2F1"), _) => {
                let text = match fault {
                    Some(Fault::NotJson) => "<html>".to_owned(),
                    _ => format!("{{\"sha\":\"{commit}\",\"siblings\":[]}}"),
                };
                Reply::new(200, "Content-Type: application/json", text.as_bytes())
            }
            (Some(rest), _) if rest.starts_with("revision/") => {
                Reply::new(404, "X-Error-Code: RevisionNotFound", b"no")
            }
            (Some(rest), _) => match rest.strip_prefix(&format!("tree/{commit}?recursive=true")) {
                Some(page) => self.tree(path, page),
                None => Reply::new(404, "X-Error-Code: EntryNotFound", b"no"),
            },
            (_, Some(file)) => self.resolve(file, fault),
            _ => Reply::new(404, "X-Error-Code: RepoNotFound", b"no"),
        }
    }

    fn tree(&self, path: &str, page: &str) -> Reply {
        let state = self.state();
        let start: usize = page
            .strip_prefix("&cursor=")
            .map_or(0, |cursor| cursor.parse().unwrap());
        let mut entries =
            vec!["{\"type\":\"directory\",\"path\":\"onnx\",\"oid\":\"0\",\"size\":0}".to_owned()];
        for (path, content) in state.files.iter().skip(start).take(state.page) {
            let (size, oid) = (content.len(), git_id(content));
            let file = format!("\"type\":\"file\",\"path\":\"{path}\",\"size\":{size}");
            entries.push(if is_large(path) {
                let (pointer, oid) = (git_id(b"pointer"), sha256(content));
                let lfs = format!("{{\"oid\":\"{oid}\",\"size\":{size},\"pointerSize\":133}}");
                format!("{{{file},\"oid\":\"{pointer}\",\"lfs\":{lfs}}}")
            } else {
                format!("{{{file},\"oid\":\"{oid}\"}}")
            });
        }
        let next = start + state.page;
        let link = if next < state.files.len() {
            let first = path.split('&').next().unwrap();
            format!("Link: <{}{first}&cursor={next}>; rel=\"next\"", self.url)
        } else {
            "X-Last: page".into()
        };
        Reply::new(200, &link, format!("[{}]", entries.join(",")).as_bytes())
    }

    fn resolve(&self, file: &str, fault: Option<&Fault>) -> Reply {
        let state = self.state();
        let Some(content) = state.files.get(file) else {
            return Reply::new(404, "X-Error-Code: EntryNotFound", b"no");
        };
        let etag = match (fault, is_large(file)) {
            (Some(Fault::WrongEtag), _) => "0".repeat(64),
            (_, true) => sha256(content),
            (_, false) => git_id(content),
        };
        let location = if is_large(file) {
            format!("{}/store/{file}", self.store)
        } else {
            format!("/api/resolve-cache/{file}")
        };
        let headers = format!(
            "Location: {location}\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{etag}\"\r\n\
             X-Linked-Size: {}\r\nETag: \"of-the-redirect\"",
            content.len()
        );
        Reply::new(if is_large(file) { 302 } else { 307 }, &headers, b"")
    }

    fn content(&self, file: &str, seen: &Seen, fault: Option<&Fault>) -> Reply {
        let mut content = self.state().files[file].clone();
        match fault {
            Some(Fault::Corrupt) => content[0] ^= 1,
            Some(Fault::TooMuch) => content.push(0),
            _ => {}
        }
        let from = seen.range.as_ref().map(|range| {
            let start = range
                .strip_prefix("bytes=")
                .unwrap()
                .strip_suffix('-')
                .unwrap();
            start.parse::<usize>().unwrap()
        });
        match (from, fault) {
            (None, _) | (_, Some(Fault::NoRange)) => Reply::new(200, "ETag: \"store\"", &content),
            (Some(start), _) if start >= content.len() => Reply::new(416, "X: y", b""),
            (Some(start), _) => {
                let shown = if matches!(fault, Some(Fault::WrongRange)) {
                    0
                } else {
                    start
                };
                let header = format!(
                    "Content-Range: bytes {shown}-{}/{}",
                    content.len() - 1,
                    content.len()
                );
                Reply::new(206, &header, &content[start..])
            }
        }
    }
}

struct Reply {
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, headers: &str, body: &[u8]) -> Reply {
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n\r\n",
            body.len()
        );
        Reply {
            head,
            body: body.to_vec(),
        }
    }

    fn send(&self, stream: &mut TcpStream, fault: Option<&Fault>) -> std::io::Result<()> {
        stream.write_all(self.head.as_bytes())?;
        let end = match fault {
            Some(&Fault::BreakAfter(count)) => count.min(self.body.len()),
            _ => self.body.len(),
        };
        stream.write_all(&self.body[..end])?;
        stream.flush()
    }
}

fn is_large(path: &str) -> bool {
    path.ends_with(".safetensors") || path.ends_with(".bin")
}

/// The SHA-256 of some content, in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// The id of a git blob, in hexadecimal.
pub fn git_id(content: &[u8]) -> String {
    let head = format!("blob {}\0", content.len());
    hex(&Sha1::digest([head.as_bytes(), content].concat()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
