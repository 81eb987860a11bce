//! Tokens, TLS and Unix sockets.

use std::io::{Read, Write};
use std::sync::Arc;

use lanerank_server::{ServeOptions, ServeSettings};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::support::{Files, Running, exchange, request, settings, text};

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let files = Files::new();
    let path = files.path("tokens");
    std::fs::write(&path, "second\n\n third \n").unwrap();
    let server = Running::start(ServeOptions {
        token: Some("first".into()),
        token_file: Some(path),
        ..files.options()
    });
    for route in ["/rerank", "/v1/rerank", "/v2/rerank", "/v1/embeddings"] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer fourth")],
            &[("authorization", "Basic first")],
            &[("authorization", "first")],
        ] {
            let answer = server.post_with(route, headers, &json!({}));
            assert_eq!(answer.status, 401, "{route}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            let text = String::from_utf8(answer.body).unwrap();
            assert!(text.contains("no valid bearer token"), "{text}");
        }
        for token in ["first", "second", "third"] {
            let bearer = format!("Bearer {token}");
            let answer = server.post_with(route, &[("authorization", &bearer)], &json!({}));
            assert_eq!(answer.status, 422, "{route} {token}");
        }
    }
    assert_eq!(server.get("/v1/models").status, 401);
    for open in ["/", "/health", "/ready", "/metrics", "/openapi.json"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
}

struct Certified {
    files: Files,
    pem: String,
}

fn certified() -> Certified {
    let files = Files::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    std::fs::write(files.path("cert.pem"), &pem).unwrap();
    std::fs::write(files.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    Certified { files, pem }
}

impl Certified {
    fn options(&self) -> ServeOptions {
        ServeOptions {
            tls_cert: Some(self.files.path("cert.pem")),
            tls_key: Some(self.files.path("key.pem")),
            ..self.files.options()
        }
    }
}

#[test]
fn https_with_a_certificate_of_ones_own() {
    let made = certified();
    let server = Running::start(made.options());
    let mut roots = RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(made.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = StreamOwned::new(client, server.connect());
    let body = json!({"query": "bread", "texts": ["fresh", "stone"]}).to_string();
    let headers = [("content-type", "application/json")];
    let answer = exchange(
        stream,
        &request("POST", "/rerank", &headers, body.as_bytes()),
    );
    assert_eq!(answer.ok().as_array().unwrap().len(), 2);
    // A client without TLS gets no plain answer.
    let mut plain = server.connect();
    plain
        .write_all(&request("GET", "/health", &[], b""))
        .unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let made = certified();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(
        made.files.path("other.pem"),
        other.signing_key.serialize_pem(),
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let refused = |cert: &str, key: &str| {
        let options = ServeOptions {
            tls_cert: Some(made.files.path(cert)),
            tls_key: Some(made.files.path(key)),
            ..made.files.options()
        };
        let settings: ServeSettings = settings(options);
        let bound = runtime.block_on(lanerank_server::Server::bind(settings));
        bound.err().expect("it is refused").to_string()
    };
    assert!(refused("c.lane", "key.pem").contains("c.lane"));
    assert!(refused("cert.pem", "c.lane").contains("c.lane"));
    assert!(refused("none.pem", "key.pem").contains("none.pem"));
    assert!(refused("cert.pem", "other.pem").starts_with("TLS: "));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_beside_tcp_or_alone() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::UnixStream;

    let files = Files::new();
    let path = files.path("s.sock");
    let get = || {
        let stream = UnixStream::connect(files.path("s.sock")).unwrap();
        exchange(stream, &request("GET", "/health", &[], b""))
    };
    let options = || ServeOptions {
        unix: Some(files.path("s.sock")),
        ..files.options()
    };
    let mut alone = Running::start(options());
    assert_eq!(alone.address, None);
    get().ok();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    // The address is in use while a server answers on it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let second = runtime.block_on(lanerank_server::Server::bind(settings(options())));
    let message = second.err().expect("it is taken").to_string();
    assert!(message.contains(&text(&path)), "{message}");
    get().ok();
    alone.tell(lanerank_server::Phase::Draining);
    alone.ended();
    assert!(!path.exists(), "a server takes its socket along");
    // A killed server leaves its socket; the next one takes it over.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(
        std::fs::symlink_metadata(&path)
            .unwrap()
            .file_type()
            .is_socket()
    );
    let both = Running::start(ServeOptions {
        listen: Some("127.0.0.1:0".into()),
        ..options()
    });
    get().ok();
    both.get("/health").ok();
    // A file that is not a socket is not removed.
    std::fs::write(files.path("file"), "mine").unwrap();
    let file = ServeOptions {
        unix: Some(files.path("file")),
        ..files.options()
    };
    let bound = runtime.block_on(lanerank_server::Server::bind(settings(file)));
    assert!(bound.is_err());
    assert_eq!(std::fs::read_to_string(files.path("file")).unwrap(), "mine");
}
