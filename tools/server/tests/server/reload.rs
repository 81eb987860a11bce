//! Replacing model files while requests arrive.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lanerank::Ranker;
use lanerank_server::ServeOptions;
use serde_json::json;

use crate::support::{Files, Running, eventually};

fn scores(files: &Files) -> Vec<f32> {
    let ranker = Ranker::builder()
        .model(files.path("c.lane"))
        .build()
        .unwrap();
    let mut scores = ranker.scores("bread", &["fresh", "stone"]).unwrap();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores
}

fn served(server: &Running) -> Vec<f32> {
    let answer = server
        .post(
            "/rerank",
            &json!({"query": "bread", "texts": ["fresh", "stone"]}),
        )
        .ok();
    let score = |r: &serde_json::Value| r["score"].to_string().parse().unwrap();
    answer.as_array().unwrap().iter().map(score).collect()
}

#[test]
fn a_new_file_takes_over_without_a_lost_request() {
    let files = Files::new();
    let server = Running::start(ServeOptions {
        reload_interval: Some(10),
        ..files.options()
    });
    let mut known = vec![scores(&files)];
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let (server, stop, answered) = (&server, &stop, &answered);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let scores = served(server);
                        answered.fetch_add(1, Ordering::Relaxed);
                        if seen.last() != Some(&scores) {
                            seen.push(scores);
                        }
                    }
                    seen
                })
            })
            .collect();
        for seed in 20..23 {
            files.write("c.lane", seed);
            let new = scores(&files);
            eventually("the new file is in use", || served(&server) == new);
            known.push(new);
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            for scores in client.join().unwrap() {
                assert!(
                    known.contains(&scores),
                    "of no file that there was: {scores:?}"
                );
            }
        }
    });
    assert!(answered.load(Ordering::Relaxed) > 10);
    assert_eq!(
        server.metric("lanerank_reloads_total{model=\"c\",outcome=\"taken\"}"),
        3.0
    );
    assert_eq!(
        server.metric("lanerank_reloads_total{model=\"e\",outcome=\"taken\"}"),
        0.0
    );
}

#[test]
fn a_bad_file_changes_nothing() {
    let files = Files::new();
    let server = Running::start(ServeOptions {
        reload_interval: Some(10),
        ..files.options()
    });
    let before = served(&server);
    let refused = || server.metric("lanerank_reloads_total{model=\"c\",outcome=\"refused\"}");
    // Overwritten in place, truncated, with a damaged weight, removed.
    let good = std::fs::read(files.path("c.lane")).unwrap();
    let mut damaged = good.clone();
    let place = good.len() - 1000;
    damaged[place] ^= 1;
    for bad in [&b"no model"[..], &good[..good.len() / 2], &damaged] {
        let count = refused();
        std::fs::write(files.path("c.lane"), bad).unwrap();
        eventually("it is refused", || refused() > count);
        assert_eq!(served(&server), before);
    }
    let count = refused();
    std::fs::remove_file(files.path("c.lane")).unwrap();
    eventually("it is missed", || refused() > count);
    assert_eq!(served(&server), before);
    files.write("c.lane", 33);
    let new = scores(&files);
    assert_ne!(new, before);
    eventually("a good file is taken again", || served(&server) == new);
}

/// Files that block a reader, or claim more memory than there is, are refused, and neither delays a
/// stop.
#[cfg(unix)]
#[test]
fn a_pipe_or_a_huge_file_changes_nothing() {
    use lanerank::format::header::Header;

    let files = Files::new();
    let mut server = Running::start(ServeOptions {
        reload_interval: Some(10),
        ..files.options()
    });
    let before = served(&server);
    let refused = || server.metric("lanerank_reloads_total{model=\"c\",outcome=\"refused\"}");
    let (path, new) = (files.path("c.lane"), files.path("new"));
    let len = 1 << 40;
    let header = Header {
        section_count: 20,
        file_len: len,
        directory_checksum: 0,
    };
    std::fs::write(&new, header.to_bytes()).unwrap();
    let file = std::fs::File::options().write(true).open(&new).unwrap();
    file.set_len(len as u64).unwrap();
    std::fs::rename(&new, &path).unwrap();
    eventually("it is refused", || refused() >= 1.0);
    assert_eq!(served(&server), before);
    let made = std::process::Command::new("mkfifo").arg(&new).status();
    assert!(made.unwrap().success());
    std::fs::rename(&new, &path).unwrap();
    eventually("it is refused", || refused() >= 2.0);
    assert_eq!(served(&server), before);
    server.tell(lanerank_server::Phase::Draining);
    server.ended();
}
