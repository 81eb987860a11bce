//! Faults of the hub, the store, the network and the disk.

use std::fs;
use std::time::Duration;

use lanerank_convert::hub::HubError;

use super::{Setup, assert_whole, model_files};
use lanerank_testing::hub::{Fault, git_id};

const STORE: &str = "store/model.safetensors";

/// Pulls with these faults at the store, and returns the requested ranges.
fn ranges(setup: &Setup, faults: impl IntoIterator<Item = Fault>) -> Vec<Option<String>> {
    setup.server.fail(STORE, faults);
    assert_whole(&setup.pull().unwrap());
    let asked = setup.server.seen().into_iter().filter(|seen| seen.at_store);
    asked.map(|seen| seen.range).collect()
}

fn from(start: usize) -> Option<String> {
    Some(format!("bytes={start}-"))
}

#[test]
fn a_broken_connection_is_gone_on_with() {
    let setup = Setup::new();
    // More breaks than attempts, but each attempt adds bytes.
    let breaks = vec![Fault::BreakAfter(1000); 8];
    let expected: Vec<_> = [None]
        .into_iter()
        .chain((1..=8).map(|i| from(i * 1000)))
        .collect();
    assert_eq!(ranges(&setup, breaks), expected);
    assert!(!setup.incomplete().exists());
}

#[test]
fn another_run_goes_on_where_one_ended() {
    let setup = Setup::new();
    let half = setup.weights().len() / 2;
    setup
        .server
        .fail(STORE, [Fault::BreakAfter(half), Fault::Status(403, "X: y")]);
    setup.pull().unwrap_err();
    assert_eq!(
        fs::read(setup.incomplete()).unwrap(),
        setup.weights()[..half]
    );
    assert!(!setup.blob().exists());
    setup.server.seen();
    assert_eq!(ranges(&setup, []), [from(half)]);
}

#[test]
fn what_cannot_be_gone_on_with_is_begun_anew() {
    let leave = |setup: &Setup, content: Vec<u8>| {
        fs::create_dir_all(setup.cached("blobs")).unwrap();
        fs::write(setup.incomplete(), content).unwrap();
    };
    let setup = Setup::new();
    leave(&setup, vec![1; setup.weights().len() + 1]);
    assert_eq!(ranges(&setup, []), [None]);

    // The right length, but other content.
    let setup = Setup::new();
    leave(&setup, vec![1; setup.weights().len()]);
    assert_eq!(ranges(&setup, []), [None]);

    let setup = Setup::new();
    leave(&setup, vec![1; 100]);
    assert_eq!(ranges(&setup, []), [from(100), None]);

    // A server without ranges, and one with the wrong range.
    let setup = Setup::new();
    leave(&setup, setup.weights()[..100].to_vec());
    assert_eq!(ranges(&setup, [Fault::NoRange]), [from(100)]);
    let setup = Setup::new();
    leave(&setup, setup.weights()[..100].to_vec());
    assert_eq!(
        ranges(&setup, [Fault::Status(416, "X: y")]),
        [from(100), None]
    );
}

#[test]
fn another_range_than_asked_for_is_refused() {
    let setup = Setup::new();
    setup
        .server
        .fail(STORE, [Fault::BreakAfter(100), Fault::WrongRange]);
    let error = setup.pull().unwrap_err();
    assert!(matches!(error, HubError::Protocol { .. }), "{error}");
}

#[test]
fn a_corrupted_body_is_fetched_again_and_never_kept() {
    let setup = Setup::new();
    assert_eq!(ranges(&setup, [Fault::Corrupt]), [None, None]);

    let setup = Setup::new();
    setup.server.fail(STORE, vec![Fault::Corrupt; 100]);
    let error = setup.pull().unwrap_err();
    assert!(matches!(error, HubError::Corrupt { .. }), "{error}");
    assert!(!setup.blob().exists());
    assert_eq!(setup.hub().find(&setup.id), None);
    let asked = setup.server.seen().into_iter().filter(|seen| seen.at_store);
    assert!(asked.count() <= 6, "tried on and on");

    // A small file, whose digest is git's.
    let setup = Setup::new();
    setup
        .server
        .fail("resolve-cache/vocab.txt", [Fault::Corrupt]);
    assert_whole(&setup.pull().unwrap());
}

#[test]
fn a_body_that_never_comes_is_an_error() {
    let setup = Setup::new();
    setup.server.fail(STORE, vec![Fault::BreakAfter(0); 100]);
    let error = setup.pull().unwrap_err();
    assert!(error.to_string().contains("broke after 0 of"), "{error}");
    assert_eq!(
        setup
            .server
            .seen()
            .iter()
            .filter(|seen| seen.at_store)
            .count(),
        5
    );
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let setup = Setup::new();
    setup.server.fail(STORE, [Fault::TooMuch]);
    let error = setup.pull().unwrap_err();
    assert!(error.to_string().contains("more than the"), "{error}");
    assert!(!setup.blob().exists());
    assert_whole(&setup.pull().unwrap());
}

#[test]
fn an_etag_that_is_not_the_listing_s_is_refused() {
    let setup = Setup::new();
    setup.server.fail("/resolve/", [Fault::WrongEtag]);
    let error = setup.pull().unwrap_err();
    assert!(error.to_string().contains("its etag is 0000"), "{error}");
}

#[test]
fn refusals_are_told_apart_and_not_repeated() {
    for (part, status, header, expected) in [
        ("/revision/", 401, "X-Error-Code: RepoNotFound", "HF_TOKEN"),
        (
            "/revision/",
            403,
            "X-Error-Code: GatedRepo",
            "403, HF_TOKEN's owner may not read it",
        ),
        (
            "/revision/",
            404,
            "X-Error-Code: RepoNotFound",
            "404, RepoNotFound",
        ),
        ("/tree/", 404, "X: y", "404, does not exist"),
        (
            "/resolve/",
            404,
            "X-Error-Code: EntryNotFound",
            "404, EntryNotFound",
        ),
        (STORE, 403, "X: y", "403"),
        ("/tree/", 418, "X: y", "returned 418"),
    ] {
        let setup = Setup::new();
        setup
            .server
            .fail(part, vec![Fault::Status(status, header); 2]);
        let error = setup.pull().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with(&setup.server.url), "{error}");
        let asked = setup.server.seen();
        assert_eq!(
            asked.iter().filter(|seen| seen.path.contains(part)).count(),
            1,
            "{part}"
        );
        assert_whole_after(&setup, part);
    }
}

/// Leaves the second fault in place; after it everything works.
fn assert_whole_after(setup: &Setup, part: &str) {
    setup.pull().expect_err(part);
    assert_whole(&setup.pull().unwrap());
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    for status in [500, 502, 503, 504, 408] {
        let setup = Setup::new();
        let fault = Fault::Status(status, "X: y");
        setup.server.fail("/tree/", [fault.clone()]);
        setup.server.fail(STORE, [fault.clone(), fault.clone()]);
        assert_whole(&setup.pull().unwrap());
        let setup = Setup::new();
        setup.server.fail("/tree/", vec![fault; 100]);
        let error = setup.pull().unwrap_err();
        assert!(
            matches!(error, HubError::Status { status: s, .. } if s == status),
            "{error}"
        );
        assert_eq!(setup.server.seen().len(), 6);
    }
}

#[test]
fn too_many_requests() {
    let setup = Setup::new();
    setup
        .server
        .fail("/tree/", [Fault::Status(429, "Retry-After: 0")]);
    setup
        .server
        .fail(STORE, [Fault::Status(429, "Retry-After: soon")]);
    assert_whole(&setup.pull().unwrap());

    // Longer than anyone would wait.
    let setup = Setup::new();
    setup
        .server
        .fail("/tree/", [Fault::Status(429, "Retry-After: 86400")]);
    let error = setup.pull().unwrap_err();
    let asked = Some(Duration::from_secs(86400));
    assert!(
        matches!(error, HubError::TooManyRequests { retry_after, .. } if retry_after == asked),
        "{error}"
    );

    let setup = Setup::new();
    setup
        .server
        .fail("/tree/", vec![Fault::Status(429, "X: y"); 100]);
    let error = setup.pull().unwrap_err();
    assert!(matches!(error, HubError::TooManyRequests { .. }), "{error}");
    assert_eq!(setup.server.seen().len(), 6);
}

#[test]
fn the_wait_that_is_asked_for_is_kept() {
    let setup = Setup::new();
    setup
        .server
        .fail("/tree/", [Fault::Status(429, "Retry-After: 1")]);
    let start = std::time::Instant::now();
    setup.pull().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn answers_that_no_hub_gives() {
    let setup = Setup::new();
    setup.server.fail("/revision/", [Fault::NotJson]);
    let error = setup.pull().unwrap_err();
    assert!(matches!(error, HubError::Protocol { .. }), "{error}");
    for location in [
        "Location: http://[::1",
        "Location: ftp://127.0.0.1/x",
        "Location: //127.0.0.1/x",
        "X: no location",
    ] {
        let setup = Setup::new();
        setup
            .server
            .fail("/resolve/", vec![Fault::Status(302, location); 100]);
        setup.pull().unwrap_err();
    }
    let setup = Setup::new();
    setup.server.fail(
        "/tree/",
        vec![Fault::Status(302, "Location: /api/tree/"); 100],
    );
    let error = setup.pull().unwrap_err();
    assert!(error.to_string().ends_with("too many redirects"), "{error}");
}

#[test]
fn nobody_there() {
    let setup = Setup::new();
    let mut settings = setup.settings();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    settings.endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let hub = lanerank_convert::hub::Hub::new(settings);
    let error = hub.pull(&setup.id, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Network { .. }), "{error}");
}

#[test]
fn a_repository_without_a_model() {
    let setup = Setup::new();
    let server = super::Server::start("org/tiny", model_files().into_iter().skip(2));
    let mut settings = setup.settings();
    settings.endpoint = server.url.clone();
    let hub = lanerank_convert::hub::Hub::new(settings);
    let error = hub.pull(&setup.id, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "org/tiny: it has no config.json");
}

#[test]
fn a_disk_that_refuses_is_named() {
    // A file instead of the cache's folder: like a read-only disk, also for root.
    let setup = Setup::new();
    fs::write(setup.folder.path().join("hub"), "").unwrap();
    let error = setup.pull().unwrap_err();
    assert!(
        matches!(&error, HubError::Disk { path, .. } if path.starts_with(setup.folder.path())),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_done() {
    let setup = Setup::new();
    let config = setup.cached("blobs").join(git_id(&model_files()[0].1));
    fs::create_dir_all(setup.cached("blobs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", config.with_extension("incomplete")).unwrap();
    let error = setup.pull().unwrap_err();
    let HubError::Disk { source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert!(!config.exists());
    assert_eq!(setup.hub().find(&setup.id), None);
}

#[cfg(unix)]
#[test]
fn a_read_only_cache_is_used_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    setup.pull().unwrap();
    setup.server.seen();
    let hub = setup.folder.path().join("hub");
    let set = |mode| fs::set_permissions(&hub, fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    assert_whole(&setup.hub().get(&setup.id, &mut |_| {}).unwrap());
    // Root can write anyway; other users get the error.
    let other = "org/other".parse().unwrap();
    assert!(setup.hub().pull(&other, &mut |_| {}).is_err());
    set(0o755);
    assert!(!hub.join("models--org--other").exists());
}
