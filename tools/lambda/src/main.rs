//! `bootstrap`: lanerank's routes as an AWS Lambda function, the default model inside.
//!
//! Lambda starts the program once for many requests and passes them one at a time. [`lambda_http`]
//! fetches each event from the runtime API and turns it into an ordinary HTTP request, whether API
//! Gateway, a load balancer or a function URL sent it. The router of `lanerank serve` answers, so
//! requests, answers and errors are the server's. Settings are the server's too, from the
//! environment (`LANERANK_MODEL`, `LANERANK_MAX_BODY`, ..); those about sockets have no effect.

mod event;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Parser;
use http::Request;
use lambda_http::tower::ServiceExt;
use lambda_http::{Body, Error};
use lambda_runtime_api_client::PooledClient;
use lanerank_server::api::router;
use lanerank_server::{App, ServeOptions, ServeSettings, log};

/// The settings, from the environment.
#[derive(Parser)]
struct Environment {
    #[command(flatten)]
    options: ServeOptions,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(Error::from)
        .and_then(|runtime| runtime.block_on(run()));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// Answers requests until Lambda ends the process.
async fn run() -> Result<(), Error> {
    let started = SystemTime::now();
    let app = match open() {
        Ok(app) => app,
        Err(e) => {
            report(&e.to_string()).await?;
            return Err(e);
        }
    };
    let deadline = app.settings.deadline;
    let routes = router(Arc::new(app));
    lambda_http::run(
        routes.map_request(move |request: Request<Body>| event::adapt(request, deadline, started)),
    )
    .await
}

/// Opens models and starts threads by the environment's settings.
fn open() -> Result<App, Error> {
    let given = Environment::try_parse_from(["bootstrap"])?;
    let settings = ServeSettings::new(given.options.with_file()?, |file| Ok(PathBuf::from(file)))?;
    log::start(&settings)?;
    Ok(App::open(settings)?)
}

/// Reports to Lambda why the function cannot start.
async fn report(why: &str) -> Result<(), Error> {
    let body = serde_json::json!({
        "errorType": "Runtime.InitError",
        "errorMessage": why,
        "stackTrace": [],
    });
    let request = lambda_runtime_api_client::build_request()
        .method("POST")
        .uri("/2018-06-01/runtime/init/error")
        .header("lambda-runtime-function-error-type", "Runtime.InitError")
        .body(body.to_string().into())?;
    PooledClient::builder().build().call(request).await?;
    Ok(())
}
