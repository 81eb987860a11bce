//! The types of the table of routes.

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter};

use super::error::{ErrorKind, Shape};
use crate::app::App;

/// Routes with one shape of errors and one rule of access: a sub-router.
pub(super) struct Surface {
    /// The shape of its errors.
    pub(super) shape: Shape,
    /// Whether its routes need a bearer token, if the server has any.
    pub(super) guarded: bool,
    /// Its routes.
    pub(super) routes: &'static [Route],
}

/// A route.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Its summary in the OpenAPI document.
    pub(super) summary: &'static str,
    /// The schema of its body, also the name of the operation; `None` for routes without a body.
    pub(super) request: Option<&'static str>,
    /// The content of status 200.
    pub(super) answer: Answer,
    /// Its errors, besides [`ErrorKind::Unauthorized`] of guarded routes.
    pub(super) errors: &'static [ErrorKind],
    /// Mounts its handler for the method.
    pub(super) handler: fn(MethodFilter) -> MethodRouter<Arc<App>>,
}

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// The content of a response.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// JSON of a named schema in `components.json`.
    Schema(&'static str),
    /// Media type and JSON Schema type.
    Type(&'static str, &'static str),
}

impl Method {
    fn filter(self) -> MethodFilter {
        match self {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
        }
    }

    /// As OpenAPI spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
        }
    }
}

impl Surface {
    /// A router of its routes, without layers. A path may end in a slash.
    pub(super) fn router(&self) -> Router<Arc<App>> {
        let mount = |router: Router<Arc<App>>, route: &Route| {
            let slash = format!("{}/", route.path);
            let both = [route.path, slash.as_str()];
            let paths = if route.path == "/" { &both[..1] } else { &both };
            paths.iter().fold(router, |router, path| {
                router.route(path, (route.handler)(route.method.filter()))
            })
        };
        self.routes.iter().fold(Router::new(), mount)
    }
}
