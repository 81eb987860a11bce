//! A hub that sends more than it should: what is held stays within the bound that `hub` states.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lanerank_convert::hub::{Hub, Settings};
use lanerank_testing::hub::{COMMIT, git_id, sha256};
use lanerank_testing::memory::alone;

use crate::peak_of;

/// The bound that the documentation of `lanerank_convert::hub` states.
const BOUND: u64 = 64 << 20;
/// Longer than any answer that is read.
const LONG: usize = 40 << 20;

/// An answer that is sent without being held: `unit` many times between `start` and `end`.
#[derive(Clone)]
struct Answer {
    head: String,
    start: String,
    unit: String,
    times: usize,
    end: String,
}

impl Answer {
    fn new(head: &str, body: &str) -> Answer {
        Answer {
            head: head.to_owned(),
            start: body.to_owned(),
            unit: String::new(),
            times: 0,
            end: String::new(),
        }
    }

    fn ok(body: &str) -> Answer {
        Answer::new(&format!("Content-Length: {}\r\n", body.len()), body)
    }

    /// A body without a length: the connection's end is its end.
    fn repeated(start: &str, unit: &str, bytes: usize, end: &str) -> Answer {
        Answer {
            unit: unit.repeat((1 << 14) / unit.len() + 1),
            times: bytes >> 14,
            end: end.to_owned(),
            ..Answer::new("", start)
        }
    }

    fn with_head(self, head: &str) -> Answer {
        Answer {
            head: head.to_owned(),
            ..self
        }
    }

    fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        let status = if self.head.contains("Location: ") {
            "302 Found"
        } else {
            "200 OK"
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\n{}\r\n",
            self.head
        )?;
        stream.write_all(self.start.as_bytes())?;
        for _ in 0..self.times {
            stream.write_all(self.unit.as_bytes())?;
        }
        stream.write_all(self.end.as_bytes())
    }
}

/// A hub with one answer for each part of a path.
struct Hostile {
    url: String,
    answers: Arc<Mutex<Vec<(&'static str, Answer)>>>,
}

impl Hostile {
    fn start() -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hub = Hostile {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::default(),
        };
        let answers = Arc::clone(&hub.answers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = answers.lock().unwrap().clone();
                // A client that has enough ends the connection.
                let _ = answer(stream, &answers);
            }
        });
        hub
    }
}

fn answer(mut stream: TcpStream, answers: &[(&'static str, Answer)]) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let found = answers.iter().find(|(part, _)| first.contains(part));
    found.map_or(Ok(()), |(_, answer)| answer.send(&mut stream))
}

fn entry(path: &str, size: u64, oid: &str) -> String {
    format!(r#"{{"type":"file","path":"{path}","size":{size},"oid":"{oid}"}}"#)
}

/// A listing of a model whose first file has this size.
fn listing(size: u64) -> String {
    let weights = entry("model.safetensors", 4, &sha256(b"none"));
    let files = [
        entry("config.json", size, &git_id(b"{}")),
        entry("vocab.txt", 2, &git_id(b"a\n")),
        weights,
    ];
    format!("[{}]", files.join(","))
}

/// The parts of a hub's paths, and what stands for a fault there.
const REVISION: &str = "/revision/";
const TREE: &str = "/tree/";
const RESOLVE: &str = "/resolve/";

fn cases(url: &str) -> Vec<(&'static str, &'static str, Answer, &'static str)> {
    let oid = git_id(b"{}");
    let small = r#"{"type":"","path":"","oid":""},"#;
    let known = entry("config.json", 2, &oid) + ",";
    let unknown = entry("x", 2, &oid) + ",";
    let shard = entry("model-00001-of-00002.safetensors", 2, &oid) + ",";
    let half = LONG / 8;
    let lying = "Content-Length: 9223372036854775807\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let long_url = format!(
        "{}<{url}/{}>; rel=\"next\"",
        "x".repeat(2000),
        "y".repeat(50_000)
    );
    vec![
        (
            "an endless document",
            REVISION,
            Answer::repeated("", "[", LONG, ""),
            "large",
        ),
        (
            "an endless text",
            REVISION,
            Answer::repeated("{\"sha\":\"", "a", LONG, "\"}"),
            "large",
        ),
        (
            "a long text",
            REVISION,
            Answer::repeated("{\"sha\":\"", "\u{200b}", half, "\"}"),
            "not a commit",
        ),
        (
            "a long text of another kind",
            REVISION,
            Answer::repeated("\"", "\u{200b}", half, "\""),
            "invalid type",
        ),
        (
            "deep arrays",
            REVISION,
            Answer::repeated("{\"x\":", "[", half, ""),
            "EOF",
        ),
        (
            "a length that lies",
            REVISION,
            Answer::ok("{").with_head(lying),
            "",
        ),
        (
            "an endless length of a chunk",
            REVISION,
            Answer::repeated("", "0", LONG, "").with_head(chunked),
            "",
        ),
        (
            "a chunk that lies",
            REVISION,
            Answer::new(chunked, "7fffffffffffffff\r\n{"),
            "",
        ),
        (
            "endless trailers",
            REVISION,
            Answer::repeated("2\r\n{}\r\n0\r\n", "x: y\r\n", LONG, "").with_head(chunked),
            "",
        ),
        (
            "a long header",
            REVISION,
            Answer::ok("{}").with_head(&format!("x: {}\r\n", "y".repeat(1 << 20))),
            "",
        ),
        (
            "many headers",
            REVISION,
            Answer::ok("{}").with_head(&"x: y\r\n".repeat(100_000)),
            "",
        ),
        (
            "redirects in a circle",
            REVISION,
            Answer::ok("").with_head("Location: /api/revision/x\r\n"),
            "too many redirects",
        ),
        (
            "a long redirect",
            REVISION,
            Answer::ok("").with_head(&format!("Location: ftp{}\r\n", "y".repeat(30_000))),
            "a redirect to",
        ),
        (
            "an endless listing",
            TREE,
            Answer::repeated("[", &unknown, LONG, ""),
            "large",
        ),
        (
            "a listing of nothing",
            TREE,
            Answer::repeated("[", small, half, "0]"),
            "invalid type",
        ),
        (
            "other files",
            TREE,
            Answer::repeated("[", &unknown, half, "0]"),
            "invalid type",
        ),
        (
            "one file many times",
            TREE,
            Answer::repeated("[", &known, half, "0]"),
            "too many files",
        ),
        (
            "many shards",
            TREE,
            Answer::repeated("[", &shard, half, "0]"),
            "too many files",
        ),
        (
            "a long name",
            TREE,
            Answer::repeated(
                r#"[{"type":"file","path":"model-"#,
                "1",
                half,
                r#"-of-1.safetensors"}]"#,
            ),
            "missing field",
        ),
        (
            "a long digest",
            TREE,
            Answer::repeated(
                r#"[{"type":"file","path":"config.json","oid":""#,
                "\u{200b}",
                half,
                r#""}]"#,
            ),
            "not a digest",
        ),
        (
            "pages without end",
            TREE,
            Answer::ok("[]").with_head(&format!(
                "Content-Length: 2\r\nLink: <{url}/tree/>; rel=\"next\"\r\n"
            )),
            "too many files",
        ),
        (
            "a long next page",
            TREE,
            Answer::ok("[]").with_head(&format!("Content-Length: 2\r\nLink: {long_url}\r\n")),
            "the next page's URL has",
        ),
        (
            "a file of a petabyte",
            TREE,
            Answer::ok(&listing(1 << 50)),
            "config.json: 1125899906842624 bytes; at most",
        ),
        (
            "a body that is too long",
            RESOLVE,
            Answer::repeated("", "{", LONG, ""),
            "more than the 2 bytes listed",
        ),
        (
            "a body whose length lies",
            RESOLVE,
            Answer::ok("{").with_head(lying),
            "",
        ),
        (
            "a long etag",
            RESOLVE,
            Answer::ok("{}").with_head(&format!("ETag: \"{}\"\r\n", "0".repeat(30_000))),
            "",
        ),
        (
            "a circle of stores",
            RESOLVE,
            Answer::ok("").with_head("Location: /resolve/\r\n"),
            "too many redirects",
        ),
    ]
}

#[test]
fn what_a_hub_sends_is_held_within_a_bound() {
    let _alone = alone();
    let hostile = Hostile::start();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(folder.path().join("hub"), folder.path().join("lanes"));
    settings.endpoint = hostile.url.clone();
    settings.attempts = 2;
    settings.pause = Duration::from_millis(1);
    let hub = Hub::new(settings);
    let id = "org/tiny".parse().unwrap();
    for (case, part, answer, words) in cases(&hostile.url) {
        *hostile.answers.lock().unwrap() = vec![
            (part, answer),
            (REVISION, Answer::ok(&format!("{{\"sha\":\"{COMMIT}\"}}"))),
            (TREE, Answer::ok(&listing(2))),
            (RESOLVE, Answer::ok("{}")),
        ];
        let (peak, pulled) = peak_of(|| hub.pull(&id, &mut |_| {}));
        let error = pulled.expect_err(case).to_string();
        println!(
            "{case}: {peak} of {BOUND} bytes; {}",
            &error[..error.len().min(200)]
        );
        assert!(peak <= BOUND, "{case}: {peak} bytes");
        assert!(error.contains(words), "{case}: {error}");
        assert!(
            error.len() < 2000,
            "{case}: {} bytes of a message",
            error.len()
        );
    }
}
