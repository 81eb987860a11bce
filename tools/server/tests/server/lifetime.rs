//! Shutdown.

use std::io::{Read, Write};
use std::net::TcpStream;

use lanerank_server::Phase;
use lanerank_server::ServeOptions;
use serde_json::json;

use crate::support::{Files, Running, answer, eventually, request, slow};
use lanerank_testing::models::passages;

fn server(files: &Files, drain_timeout: u64) -> Running {
    Running::start(ServeOptions {
        model: vec![slow(files)],
        threads: Some(1),
        max_documents: Some(1_000_000),
        max_tokens: Some(100_000_000),
        max_body: Some(100 << 20),
        deadline: Some(0),
        drain_timeout: Some(drain_timeout),
        ..ServeOptions::default()
    })
}

fn send(server: &Running, texts: usize) -> TcpStream {
    let body = json!({"query": "how to keep bread", "texts": passages(texts, 1)}).to_string();
    let headers = [("content-type", "application/json")];
    let mut stream = server.connect();
    stream
        .write_all(&request("POST", "/rerank", &headers, body.as_bytes()))
        .unwrap();
    stream
}

#[test]
fn what_was_taken_is_finished() {
    let files = Files::new();
    let mut server = server(&files, 60_000);
    let mut idle = server.connect();
    let requests: Vec<TcpStream> = (0..3).map(|_| send(&server, 150)).collect();
    eventually("all are taken", || {
        server.metric("lanerank_requests_in_flight") == 3.0
    });
    server.tell(Phase::Draining);
    for stream in requests {
        assert_eq!(answer(stream).ok().as_array().unwrap().len(), 150);
    }
    server.ended();
    assert_eq!(
        idle.read(&mut [0]).unwrap(),
        0,
        "idle connections are closed"
    );
    assert!(TcpStream::connect(server.address.unwrap()).is_err());
}

#[test]
fn what_takes_too_long_is_left() {
    let files = Files::new();
    let mut short = server(&files, 50);
    let mut left = send(&short, 20_000);
    eventually("it is taken", || {
        short.metric("lanerank_requests_in_flight") == 1.0
    });
    short.tell(Phase::Draining);
    short.ended();
    let mut nothing = Vec::new();
    let _ = left.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
    // A second signal also abandons everything.
    let mut patient = server(&files, 600_000);
    let _left = send(&patient, 20_000);
    eventually("it is taken", || {
        patient.metric("lanerank_requests_in_flight") == 1.0
    });
    patient.tell(Phase::Draining);
    patient.tell(Phase::Abandoning);
    patient.ended();
}
