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
        (name = "tenant", description = "How much"),
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

    /// The router and the document.
    ///
    /// # Panics
    /// If a route has no word on who may use it: the server does not start with one.
    pub fn finish(self) -> (Router<Shared>, OpenApi) {
        let (router, document) = self.router.split_for_parts();
        let undeclared = undeclared(&document);
        assert!(undeclared.is_empty(), "routes without a scope: {undeclared:?}");
        (router, document)
    }
}

/// Routes that do not say which scope they need, or that they need none; those of a method that this
/// builder does not guard among them.
fn undeclared(document: &OpenApi) -> Vec<String> {
    let mut found = Vec::new();
    for (path, item) in &document.paths.paths {
        let others = [&item.options, &item.head, &item.patch, &item.trace];
        if others.into_iter().any(Option::is_some) {
            found.push(format!("{path} has a method that is not guarded"));
        }
        let guarded = [&item.get, &item.put, &item.post, &item.delete];
        if guarded.into_iter().flatten().any(|operation| operation.security.is_none()) {
            found.push(path.clone());
        }
    }
    found
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
}

fn scheme() -> SecurityScheme {
    let description = "A token: `tbl_` and 43 characters. Each address names the scope it needs.";
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description));
    SecurityScheme::Http(bearer.build())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathsBuilder};

    use super::*;

    fn document(method: HttpMethod, security: Option<Vec<SecurityRequirement>>) -> OpenApi {
        let operation = OperationBuilder::new().securities(security).build();
        let paths = PathsBuilder::new().path("/x", PathItem::new(method, operation));
        OpenApi::new(Document::openapi().info, paths.build())
    }

    #[test]
    fn a_route_without_a_word_on_who_may_use_it_is_found() {
        let scope = || Some(vec![SecurityRequirement::new(BEARER, [Scope::RunsRead.name()])]);
        assert_eq!(undeclared(&document(HttpMethod::Get, scope())), Vec::<String>::new());
        assert_eq!(undeclared(&document(HttpMethod::Get, Some(Vec::new()))), Vec::<String>::new());
        assert_eq!(undeclared(&document(HttpMethod::Post, None)), ["/x"]);
        let patch = undeclared(&document(HttpMethod::Patch, scope()));
        assert_eq!(patch, ["/x has a method that is not guarded"]);
    }

    /// Where a router may be made: here, in the list of all routes, around them, and for the page
    /// that shows the document.
    const PLACES: &[&str] =
        &["routes/build.rs", "routes/mod.rs", "routes/docs.rs", "lib.rs", "layers.rs"];

    #[test]
    fn no_other_file_makes_routes() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![sources.clone()];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&sources).unwrap().to_str().unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                let makes = [".route(", ".nest(", "routes!(", "Router::new"];
                let makes = makes.into_iter().find(|word| text.contains(word));
                assert!(PLACES.contains(&name) || makes.is_none(), "{name} has {makes:?}");
                read += 1;
            }
        }
        assert!(read > 50, "the sources were read: {read}");
    }
}
