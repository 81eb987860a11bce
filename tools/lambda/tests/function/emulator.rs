//! Lambda's runtime API (version 2018-06-01) on loopback, for one process of one function.
#![allow(dead_code, reason = "the tests and the bench each need a part of it")]

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long a test waits for a process.
const PATIENCE: Duration = Duration::from_secs(60);

/// A function's report to Lambda.
#[derive(Debug, PartialEq)]
pub enum Report {
    /// The result of an invocation.
    Response { id: String, body: Value },
    /// Why an invocation failed.
    Failure { id: String, body: Value },
    /// Why the function cannot start.
    NoStart { body: Value },
    /// A request outside the protocol.
    Violation(String),
}

struct Invocation {
    id: String,
    event: Value,
    deadline: SystemTime,
}

struct Api {
    waiting: tokio::sync::Mutex<UnboundedReceiver<Invocation>>,
    /// The invocation that the function is handling.
    current: Mutex<Option<String>>,
    reports: mpsc::Sender<Report>,
}

impl Api {
    fn report(&self, report: Report) -> Response {
        let status = match report {
            Report::Violation(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::ACCEPTED,
        };
        let _ = self.reports.send(report);
        (status, r#"{"status":"OK"}"#).into_response()
    }

    /// Ends the current invocation.
    fn end(&self, id: String, body: &str, report: fn(String, Value) -> Report) -> Response {
        let ended = self.current.lock().unwrap().take();
        match (ended, serde_json::from_str(body)) {
            (Some(known), Ok(body)) if known == id => self.report(report(id, body)),
            (known, parsed) => self.report(Report::Violation(format!(
                "ended {id}, had {known:?}: {parsed:?}"
            ))),
        }
    }
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let Some(invocation) = api.waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let known = api.current.lock().unwrap().replace(invocation.id.clone());
    if let Some(id) = known {
        return api.report(Report::Violation(format!("asked for more, had {id}")));
    }
    let deadline = invocation.deadline.duration_since(SystemTime::UNIX_EPOCH);
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", invocation.id),
        (
            "lambda-runtime-deadline-ms",
            deadline.unwrap().as_millis().to_string(),
        ),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-north-1:123456789012:function:rerank".to_owned(),
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0".to_owned(),
        ),
    ];
    (headers, invocation.event.to_string()).into_response()
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: String) -> Response {
    api.end(id, &body, |id, body| Report::Response { id, body })
}

async fn failure(State(api): State<Arc<Api>>, Path(id): Path<String>, body: String) -> Response {
    api.end(id, &body, |id, body| Report::Failure { id, body })
}

async fn no_start(State(api): State<Arc<Api>>, headers: HeaderMap, body: String) -> Response {
    let kind = headers.get("lambda-runtime-function-error-type");
    match (kind, serde_json::from_str(&body)) {
        (Some(_), Ok(body)) => api.report(Report::NoStart { body }),
        (kind, parsed) => api.report(Report::Violation(format!("{kind:?}: {parsed:?}"))),
    }
}

async fn unknown(State(api): State<Arc<Api>>, request: axum::extract::Request) -> Response {
    let (method, uri) = (request.method(), request.uri());
    api.report(Report::Violation(format!("{method} {uri}")))
}

/// A function's process, and its runtime API.
pub struct Function {
    process: Child,
    events: UnboundedSender<Invocation>,
    reports: mpsc::Receiver<Report>,
    invocations: usize,
    _runtime: tokio::runtime::Runtime,
}

impl Function {
    /// Starts the process as Lambda does: with Lambda's own environment and the function's
    /// settings.
    pub fn start(command: &mut Command, settings: &[(&str, &str)]) -> Function {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let (events, waiting) = unbounded_channel();
        let (report, reports) = mpsc::channel();
        let address = runtime.block_on(serve(Api {
            waiting: tokio::sync::Mutex::new(waiting),
            current: Mutex::default(),
            reports: report,
        }));
        let process = command
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.to_string().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "rerank"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/rerank"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/24/[$LATEST]1"),
                ("AWS_REGION", "eu-north-1"),
                ("LANG", "en_US.UTF-8"),
                ("PATH", "/usr/local/bin:/usr/bin:/bin"),
                ("TZ", ":UTC"),
            ])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Function {
            process,
            events,
            reports,
            invocations: 0,
            _runtime: runtime,
        }
    }

    /// Sends an event with a deadline of a minute.
    pub fn invoke(&mut self, event: &Value) -> Report {
        self.invoke_within(event, Duration::from_secs(60))
    }

    /// Sends an event with this time until the deadline.
    pub fn invoke_within(&mut self, event: &Value, time: Duration) -> Report {
        self.invoke_until(event, SystemTime::now() + time)
    }

    /// Sends an event with this deadline.
    pub fn invoke_until(&mut self, event: &Value, deadline: SystemTime) -> Report {
        self.invocations += 1;
        let invocation = Invocation {
            id: format!("8476a536-e9f4-11e8-9739-{:012x}", self.invocations),
            event: event.clone(),
            deadline,
        };
        let asked = invocation.id.clone();
        self.events.send(invocation).unwrap();
        let report = self.report();
        match &report {
            Report::Response { id, .. } | Report::Failure { id, .. } => assert_eq!(*id, asked),
            other => panic!("{other:?}"),
        }
        report
    }

    /// The function's next report.
    pub fn report(&mut self) -> Report {
        match self.reports.recv_timeout(PATIENCE) {
            Ok(report) => report,
            Err(_) => panic!("no word from the function: {:?}", self.process.try_wait()),
        }
    }

    /// The answer in the response to an event.
    pub fn answer(&mut self, event: &Value) -> Value {
        match self.invoke(event) {
            Report::Response { body, .. } => body,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the process to exit.
    pub fn ended(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Peak memory of the process in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        1024 * kilobytes.parse::<u64>().unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // As Lambda ends an idle function. It may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn serve(api: Api) -> SocketAddr {
    let base = "/2018-06-01/runtime";
    let routes = Router::new()
        .route(&format!("{base}/invocation/next"), get(next))
        .route(
            &format!("{base}/invocation/{{id}}/response"),
            post(response),
        )
        .route(&format!("{base}/invocation/{{id}}/error"), post(failure))
        .route(&format!("{base}/init/error"), post(no_start))
        .fallback(unknown)
        // Lambda's limit for an answer; larger than any event's.
        .layer(axum::extract::DefaultBodyLimit::max(6 << 20))
        .with_state(Arc::new(api));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}
