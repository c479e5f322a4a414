//! The builder of routes. It has two doors, `open` and `guarded`, so a route without a declared
//! scope does not come about; what is declared stands in the OpenAPI document, too.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use tombolo_core::ports::store::Scope;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::access::authorize;
use crate::app::Shared;
use crate::problem::Kind;
use crate::routes::described;

/// The name of the one way to authenticate, in the document.
const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tombolo",
        description = "Workflows as DAGs of sandboxed nodes, every step durable. Errors are `application/problem+json` (RFC 9457) with a stable `type`. Every answer carries `X-Correlation-Id`: the caller's, or a new one.",
    ),
    tags(
        (name = "plugins", description = "Components and their operations"),
        (name = "workflows", description = "Definitions and their versions"),
        (name = "connections", description = "Where to call, with which credentials; secrets are never shown"),
        (name = "runs", description = "Start, look, follow, cancel, repair, repeat"),
        (name = "dead letters", description = "Steps that wait for a person"),
        (name = "callbacks", description = "Addresses that let nodes go on; who knows one needs no token"),
        (name = "events", description = "What came in"),
        (name = "tokens", description = "Who may"),
        (name = "audit", description = "What people did"),
        (name = "about", description = "Health, schema, problems"),
    )
)]
struct Document;

/// Routes on their way to a router.
pub(super) struct Routes {
    router: OpenApiRouter<Shared>,
    app: Shared,
}

impl Routes {
    pub fn new(app: &Shared) -> Self {
        let mut document = Document::openapi();
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme(BEARER, scheme());
        components.schemas.insert(described::SCHEMA.to_owned(), described::schema().into());
        Self { router: OpenApiRouter::with_openapi(document), app: Shared::clone(app) }
    }

    /// For everybody: health, schemas, documents.
    pub fn open(
        mut self,
        (schemas, mut paths, methods): UtoipaMethodRouter<Shared>,
        kinds: &[&[Kind]],
    ) -> Self {
        for operation in paths.paths.values_mut().flat_map(operations) {
            described::describe(operation, kinds);
            operation.security = Some(Vec::new());
        }
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    /// For tokens with this scope.
    pub fn guarded(
        mut self,
        scope: Scope,
        (schemas, mut paths, methods): UtoipaMethodRouter<Shared>,
        kinds: &[&[Kind]],
    ) -> Self {
        for operation in paths.paths.values_mut().flat_map(operations) {
            described::describe(operation, &[kinds, &[described::GUARDED]].concat());
            operation.security = Some(vec![SecurityRequirement::new(BEARER, [scope.name()])]);
        }
        let guard = move |State(app): State<Shared>, request: Request, next: Next| async move {
            authorize(&app, scope, request, next).await
        };
        let methods = methods.route_layer(from_fn_with_state(Shared::clone(&self.app), guard));
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    pub fn finish(self) -> (Router<Shared>, OpenApi) {
        self.router.split_for_parts()
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
}

fn scheme() -> SecurityScheme {
    let description = "A token: `tbl_` and 43 characters. Each address names the scope it needs.";
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description));
    SecurityScheme::Http(bearer.build())
}
