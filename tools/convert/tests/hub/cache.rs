//! The layout of the cache, and when the network is used.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use lanerank_convert::hub::{HubError, ModelId};

use super::{Setup, assert_whole, model_files};
use lanerank_testing::hub::{COMMIT, Fault, Server, git_id};

#[test]
fn a_pull_fills_the_hub_s_layout() {
    let setup = Setup::new();
    let mut progress = Vec::new();
    let pulled = setup
        .hub()
        .pull(&setup.id, &mut |p| progress.push((p.done, p.total)));
    let snapshot = pulled.unwrap();
    assert_whole(&snapshot);
    assert_eq!(
        snapshot.folder(),
        setup.cached(&format!("snapshots/{COMMIT}"))
    );
    assert_eq!(
        fs::read_to_string(setup.cached("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(fs::read(setup.blob()).unwrap(), setup.weights());
    let config = &model_files()[0].1;
    assert_eq!(
        &fs::read(setup.cached("blobs").join(git_id(config))).unwrap(),
        config
    );
    assert!(
        setup
            .cached(&format!(".no_exist/{COMMIT}/tokenizer.json"))
            .is_file()
    );
    let blobs = fs::read_dir(setup.cached("blobs")).unwrap();
    assert_eq!(blobs.count(), 4);
    if cfg!(unix) {
        let link = fs::read_link(snapshot.folder().join("config.json")).unwrap();
        assert_eq!(link, Path::new("../../blobs").join(git_id(config)));
    }
    let total = progress[0].1;
    assert!(
        progress.windows(2).all(|pair| pair[0].0 <= pair[1].0),
        "{progress:?}"
    );
    assert_eq!(progress.last(), Some(&(total, total)));
}

#[test]
fn what_the_cache_has_needs_no_network() {
    let setup = Setup::new();
    assert_eq!(setup.hub().find(&setup.id), None);
    assert!(setup.server.seen().is_empty());
    let first = setup.hub().get(&setup.id, &mut |_| {}).unwrap();
    assert!(!setup.server.seen().is_empty());
    let second = setup.hub().get(&setup.id, &mut |_| {}).unwrap();
    assert_eq!(first, second);
    assert!(setup.server.seen().is_empty());
}

#[test]
fn offline_asks_nothing() {
    let setup = Setup::new();
    let mut settings = setup.settings();
    settings.offline = true;
    let hub = lanerank_convert::hub::Hub::new(settings);
    let error = hub.pull(&setup.id, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "{error}");
    assert!(setup.server.seen().is_empty());
    setup.pull().unwrap();
    setup.server.seen();
    assert_whole(&hub.pull(&setup.id, &mut |_| {}).unwrap());
    assert!(setup.server.seen().is_empty());
}

#[test]
fn a_second_pull_fetches_nothing() {
    let setup = Setup::new();
    setup.pull().unwrap();
    assert_eq!(setup.fetched().len(), 4);
    setup.pull().unwrap();
    assert_eq!(setup.fetched(), [""; 0]);
}

#[test]
fn a_half_filled_folder_heals() {
    let setup = Setup::new();
    setup.pull().unwrap();
    setup.fetched();
    let snapshot = setup.cached(&format!("snapshots/{COMMIT}"));
    let weights = [format!("/org/tiny/resolve/{COMMIT}/model.safetensors")];

    // A broken link.
    fs::remove_file(setup.blob()).unwrap();
    assert_eq!(setup.hub().find(&setup.id), None);
    assert_whole(&setup.hub().get(&setup.id, &mut |_| {}).unwrap());
    assert_eq!(setup.fetched(), weights);

    // A truncated blob, and one with other content of the right length.
    for damaged in [&setup.weights()[..100], &vec![7; setup.weights().len()]] {
        fs::write(setup.blob(), damaged).unwrap();
        assert_whole(&setup.pull().unwrap());
        assert_eq!(setup.fetched(), weights);
    }

    // No link, a wrong link, a file instead of a link: the blob itself is there.
    let link = snapshot.join("config.json");
    let mend = |setup: &Setup| {
        assert_whole(&setup.pull().unwrap());
        assert_eq!(setup.fetched(), [""; 0]);
    };
    fs::remove_file(&link).unwrap();
    assert_eq!(setup.hub().find(&setup.id), None);
    mend(&setup);
    fs::rename(snapshot.join("vocab.txt"), &link).unwrap();
    mend(&setup);
    fs::remove_file(&link).unwrap();
    fs::write(&link, "{}").unwrap();
    mend(&setup);

    // A wrong entry of a branch.
    for text in ["", "main", "../../../x", &"1".repeat(10_000)] {
        fs::write(setup.cached("refs/main"), text).unwrap();
        assert_eq!(setup.hub().find(&setup.id), None);
        mend(&setup);
    }
}

#[test]
fn an_old_snapshot_stays_until_the_new_one_is_whole() {
    let setup = Setup::new();
    let old = "2222222222222222222222222222222222222222";
    setup.pull().unwrap();
    let snapshots = setup.cached("snapshots");
    fs::rename(snapshots.join(COMMIT), snapshots.join(old)).unwrap();
    fs::write(setup.cached("refs/main"), old).unwrap();
    fs::remove_file(setup.blob()).unwrap();
    fs::write(setup.blob(), setup.weights()).unwrap();
    setup.server.put("model.safetensors", "new weights");
    setup
        .server
        .fail("store/model.safetensors", [Fault::Status(403, "X: y")]);
    setup.pull().unwrap_err();
    assert_eq!(setup.hub().find(&setup.id).unwrap().commit(), old);
    setup.pull().unwrap();
    assert_eq!(setup.hub().find(&setup.id).unwrap().commit(), COMMIT);
}

#[test]
fn two_at_once_fetch_once() {
    let setup = Setup::new();
    let slow = Fault::Slow(Duration::from_millis(200));
    setup.server.fail("store/", [slow.clone(), slow]);
    thread::scope(|scope| {
        let pulls: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| setup.pull().unwrap()))
            .collect();
        for pull in pulls {
            assert_whole(&pull.join().unwrap());
        }
    });
    assert_eq!(setup.fetched().len(), 4);
}

#[test]
fn revisions() {
    let setup = Setup::new();
    let pull = |revision: &str| {
        let id: ModelId = format!("org/tiny@{revision}").parse().unwrap();
        setup
            .hub()
            .pull(&id, &mut |_| {})
            .map(|_| setup.hub().find(&id).unwrap())
    };
    assert_whole(&pull("refs/pr/1").unwrap());
    assert_eq!(
        fs::read_to_string(setup.cached("refs/refs/pr/1")).unwrap(),
        COMMIT
    );
    setup.server.seen();
    pull(COMMIT).unwrap();
    // A commit needs no lookup.
    assert!(
        setup
            .server
            .seen()
            .iter()
            .all(|seen| !seen.path.contains("/revision/"))
    );
    assert!(!setup.cached("refs").join(COMMIT).exists());
    let error = pull("no-such-branch").unwrap_err();
    assert!(
        error.to_string().ends_with("404, RevisionNotFound"),
        "{error}"
    );
}

#[test]
fn a_listing_of_several_pages() {
    let setup = Setup::new();
    setup.server.files_a_page(2);
    assert_whole(&setup.pull().unwrap());
    let pages = setup.server.seen();
    assert_eq!(
        pages
            .iter()
            .filter(|seen| seen.path.contains("/tree/"))
            .count(),
        3
    );
}

#[test]
fn a_renamed_repository() {
    let setup = Setup::new();
    setup.server.renamed_from("old/name");
    setup.server.require_token("hf_secret");
    let mut settings = setup.settings();
    settings.token = Some("hf_secret".into());
    let hub = lanerank_convert::hub::Hub::new(settings);
    let id: ModelId = "old/name".parse().unwrap();
    assert_whole(&hub.pull(&id, &mut |_| {}).unwrap());
    assert!(setup.folder.path().join("hub/models--old--name").is_dir());
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let setup = Setup::new();
    setup.server.require_token("hf_secret");
    let error = setup.pull().unwrap_err();
    assert!(matches!(error, HubError::Unauthorized { .. }), "{error}");
    setup.server.seen();
    let mut settings = setup.settings();
    settings.token = Some("hf_secret".into());
    let hub = lanerank_convert::hub::Hub::new(settings);
    assert_whole(&hub.pull(&setup.id, &mut |_| {}).unwrap());
    let (store, hub): (Vec<_>, Vec<_>) = setup
        .server
        .seen()
        .into_iter()
        .partition(|seen| seen.at_store);
    assert!(!store.is_empty() && store.iter().all(|seen| seen.authorization.is_none()));
    let bearer = Some("Bearer hf_secret".to_owned());
    assert!(!hub.is_empty() && hub.iter().all(|seen| seen.authorization == bearer));
}

#[test]
fn a_registered_model_must_be_the_known_one() {
    let setup = Setup::new();
    let id: ModelId = "ms-marco-TinyBERT-L-2-v2".parse().unwrap();
    let server = Server::start(id.repository(), model_files());
    let mut settings = setup.settings();
    settings.endpoint = server.url.clone();
    let hub = lanerank_convert::hub::Hub::new(settings);
    // The server's commit differs from the registry's.
    let error = hub.pull(&id, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::NotFound { .. }), "{error}");
    server.serve_commit(id.revision());
    let error = hub.pull(&id, &mut |_| {}).unwrap_err();
    let registered = id.registered().unwrap().files[0].sha256.unwrap();
    assert!(
        matches!(&error, HubError::Corrupt { expected, .. } if expected == registered),
        "{error}"
    );
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| !seen.path.contains("/resolve/"))
    );
}
