//! A server in this process, and a small client that sends exactly the bytes that a test gives it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lanerank::model::Pooling;
use lanerank_convert::convert::WeightDtype;
use lanerank_server::Phase;
use lanerank_server::{ServeOptions, ServeSettings, Server};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use lanerank_testing::models;

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Asserts status 200 and reads the JSON.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A running server, stopped on drop.
pub struct Running {
    pub address: Option<SocketAddr>,
    stop: watch::Sender<Phase>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(options: ServeOptions) -> Running {
        let settings = settings(options);
        let (stop, phase) = watch::channel(Phase::Serving);
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(settings).await.unwrap();
                tell.send(server.address()).unwrap();
                server.run_through(phase).await;
            });
        });
        Running {
            address: told.recv().unwrap(),
            stop,
            thread: Some(thread),
        }
    }

    pub fn tell(&self, phase: Phase) {
        self.stop.send(phase).unwrap();
    }

    pub fn ended(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address.unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        exchange(self.connect(), &request("GET", path, &[], b""))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body)
    }

    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        exchange(
            self.connect(),
            &request("POST", path, &headers, body.to_string().as_bytes()),
        )
    }

    /// The value of a line of `/metrics`; 0 if it is not there yet.
    pub fn metric(&self, line: &str) -> f64 {
        let page = String::from_utf8(self.get("/metrics").body).unwrap();
        let found = page
            .lines()
            .find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or(0.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(Phase::Abandoning);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}

pub fn settings(options: ServeOptions) -> ServeSettings {
    let options = ServeOptions {
        listen: options.listen.or_else(|| match options.unix {
            None => Some("127.0.0.1:0".into()),
            Some(_) => None,
        }),
        threads: options.threads.or(Some(2)),
        reload_interval: options.reload_interval.or(Some(0)),
        ..options
    };
    ServeSettings::new(options, |name| Ok(PathBuf::from(name))).unwrap()
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if method == "POST" {
        head += &format!("content-length: {}\r\n", body.len());
    }
    [head.as_bytes(), b"connection: close\r\n\r\n", body].concat()
}

/// Sends bytes and reads an answer.
pub fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Answer {
    // A server that refuses a request early does not read all of it.
    let _ = stream.write_all(request).and_then(|()| stream.flush());
    answer(stream)
}

/// Reads an answer.
pub fn answer(stream: impl Read) -> Answer {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}"));
    let status = status.parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

/// Waits until a condition holds, for at most 20 seconds.
pub fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder with model files of 40 tokens: `c.lane` a cross-encoder, `e.lane` a sentence encoder.
pub struct Files(pub TempDir);

impl Files {
    pub fn new() -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        files.write("c.lane", 7);
        let encoder = models::file(&models::encoder(Pooling::Mean), WeightDtype::F32, 7);
        std::fs::write(files.path("e.lane"), encoder).unwrap();
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// A cross-encoder with these random weights.
    pub fn write(&self, name: &str, seed: u64) {
        let file = models::file(&models::classifier(1), WeightDtype::Int8, seed);
        let path = self.path(name);
        let new = path.with_extension("new");
        std::fs::write(&new, file).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    pub fn options(&self) -> ServeOptions {
        ServeOptions {
            model: vec![self.text("c.lane"), self.text("e.lane")],
            ..ServeOptions::default()
        }
    }
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A cross-encoder slow enough for tests to act while it computes: thousands of texts a second
/// instead of hundreds of thousands.
pub fn slow(files: &Files) -> String {
    let config = lanerank::model::ModelConfig {
        hidden_size: 384,
        num_hidden_layers: 6,
        num_attention_heads: 12,
        intermediate_size: 1536,
        ..models::classifier(1)
    };
    let file = models::file(&config, WeightDtype::Int8, 3);
    std::fs::write(files.path("slow.lane"), file).unwrap();
    files.text("slow.lane")
}
