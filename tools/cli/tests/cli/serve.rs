//! `lanerank serve` as a process: settings, signals, and restart after a kill.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use super::support::*;

/// A started process; killed on drop.
struct Serving {
    child: Child,
    address: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Serving {
    fn start(args: &[&str], variables: &[(&str, &str)]) -> Serving {
        let mut child = command()
            .args(["serve"])
            .args(args)
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on http://") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it did not start");
        }
        let (_, rest) = line.split_once("http://").unwrap();
        let part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
        let address = rest.split(|c| !part(c)).next().unwrap().to_owned();
        Serving {
            child,
            address,
            log,
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    fn ask(&self, request: &str) -> String {
        read(self.send(request))
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = std::process::Command::new("kill")
            .args([name, &pid])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end; returns the exit code and the log.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn rerank(texts: &[&str]) -> String {
    let body = serde_json::json!({"query": "bread", "texts": texts}).to_string();
    format!(
        "POST /rerank HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn settings_come_from_flags_variables_and_a_file() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let config = tiny.write(
        "serve.toml",
        format!(
            "model = [\"tiny={model}\"]\nlisten = \"127.0.0.1:0\"\nmax-documents = 2\nthreads = 1\n"
        ),
    );
    let variables = [
        ("LANERANK_CONFIG", config.as_str()),
        ("LANERANK_MAX_DOCUMENTS", "1"),
    ];
    let server = Serving::start(&[], &variables);
    assert!(server.ask(&rerank(&["a"])).starts_with("HTTP/1.1 200"));
    assert!(server.ask(&rerank(&["a", "b"])).starts_with("HTTP/1.1 413"));
    let ready = server.ask("GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(ready.contains("\"models\":[\"tiny\"]"), "{ready}");
    let server = Serving::start(&["--max-documents", "3"], &variables);
    assert!(
        server
            .ask(&rerank(&["a", "b", "c"]))
            .starts_with("HTTP/1.1 200")
    );
}

#[test]
fn wrong_settings_are_named() {
    let tiny = Tiny::new();
    let config = tiny.write("serve.toml", "listen = 7\n");
    lanerank(&["serve", "--config", &config]).refused("serve.toml: line 1: ");
    lanerank(&["serve", "--config", "/no/such.toml"]).refused("/no/such.toml");
    lanerank(&["serve", "--model", "a=/no/such.lane"]).refused("/no/such.lane");
    lanerank(&["serve", "--tls-key", "k.pem"]).refused("tls-key: needs tls-cert");
    lanerank(&["serve", "--threads", "0"]).refused("threads: must be at least 1, not 0");
    lanerank(&["serve", "--log", "lanerank=loudest"]).refused("log: ");
    let model = tiny.model();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = lanerank(&["serve", "--model", &model, "--listen", &address]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome
            .stderr
            .contains(&format!("listening on {address}: ")),
        "{}",
        outcome.stderr
    );
    let help = lanerank(&["serve", "--help"]);
    for words in ["--queue", "LANERANK_QUEUE", "429", "--tls-cert", "--config"] {
        assert!(help.ok().contains(words), "{words}");
    }
}

#[cfg(unix)]
#[test]
fn signals_stop_and_reload() {
    let tiny = Tiny::new();
    let model = tiny.model();
    for signal in ["-TERM", "-INT"] {
        let args = [
            "--model",
            &model,
            "--listen",
            "127.0.0.1:0",
            "--reload-interval",
            "0",
        ];
        let server = Serving::start(&args, &[]);
        let before = server.ask(&rerank(&["the lamp", "secretword"]));
        assert!(before.starts_with("HTTP/1.1 200"));
        server.signal("-HUP");
        assert!(server.ask(HEALTH).starts_with("HTTP/1.1 200"));
        // A request that began before the signal is completed.
        let request = rerank(&["the lamp", "secretword"]);
        let (begin, rest) = request.split_at(request.len() - 5);
        let mut stream = server.send(begin);
        assert!(server.ask(HEALTH).starts_with("HTTP/1.1 200"));
        server.signal(signal);
        while TcpStream::connect(&server.address).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        stream.write_all(rest.as_bytes()).unwrap();
        assert!(read(stream).starts_with("HTTP/1.1 200"));
        let (code, log) = server.end();
        assert_eq!(code, Some(0), "{log}");
        for words in [
            "reloaded",
            "route=\"/rerank\"",
            "status=200",
            "texts=2",
            "stopped",
        ] {
            assert!(log.contains(words), "{words}: {log}");
        }
        assert!(!log.contains("secretword"), "{log}");
    }
}

/// A FIFO in the place of the model file blocks whoever opens it. A broken file is refused.
#[cfg(unix)]
#[test]
fn a_reload_that_blocks_or_fails_does_not_delay_the_end() {
    use std::time::{Duration, Instant};

    const STOP: Duration = Duration::from_secs(20);
    let tiny = Tiny::new();
    let source = tiny.model();
    let model = text(&tiny.path("served.lane"));
    let texts = ["the lamp", "bread"];
    for blocks in [true, false] {
        std::fs::copy(&source, &model).unwrap();
        let args = [
            "--model",
            &model,
            "--listen",
            "127.0.0.1:0",
            "--reload-interval",
            "0",
        ];
        let mut server = Serving::start(&args, &[]);
        let before = server.ask(&rerank(&texts));
        assert!(before.starts_with("HTTP/1.1 200"), "{before}");
        std::fs::remove_file(&model).unwrap();
        if blocks {
            let made = std::process::Command::new("mkfifo").arg(&model).status();
            assert!(made.unwrap().success());
        } else {
            std::fs::write(&model, "LANE, but broken").unwrap();
        }
        for _ in 0..3 {
            server.signal("-HUP");
            let after = server.ask(&rerank(&texts));
            let body = |answer: &str| answer.split("\r\n\r\n").nth(1).unwrap().to_owned();
            assert_eq!(body(&after), body(&before));
        }
        let begun = Instant::now();
        server.signal("-TERM");
        let status = loop {
            if let Some(status) = server.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < STOP, "it is deaf: blocks = {blocks}");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(0));
        std::fs::remove_file(&model).unwrap();
    }
}

#[test]
fn texts_are_logged_where_asked_for() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let args = [
        "--model",
        &model,
        "--listen",
        "127.0.0.1:0",
        "--log-texts",
        "--log-format",
        "json",
    ];
    let mut server = Serving::start(&args, &[]);
    server.ask(&rerank(&["the lamp"]));
    let mut line = String::new();
    server.log.read_line(&mut line).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(
        line["texts"].as_str().unwrap().contains("the lamp"),
        "{line}"
    );
}

/// Restarts on the same port and socket at once, with the killed server's connections still open.
#[cfg(unix)]
#[test]
fn killed_it_serves_again_at_once() {
    let tiny = Tiny::new();
    let (model, socket) = (tiny.model(), text(&tiny.path("s.sock")));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let args = ["--model", &model, "--listen", &address, "--unix", &socket];
    let mut scores = Vec::new();
    for _ in 0..3 {
        let server = Serving::start(&args, &[]);
        let _open: Vec<TcpStream> = (0..5).map(|_| server.connect()).collect();
        let answer = server.ask(&rerank(&["the lamp", "bread"]));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        scores.push(answer.split("\r\n\r\n").nth(1).unwrap().to_owned());
        server.signal("-KILL");
        assert_eq!(server.end().0, None);
        assert!(
            std::path::Path::new(&socket).exists(),
            "it could not tidy up"
        );
    }
    assert_eq!(scores[0], scores[2]);
}
