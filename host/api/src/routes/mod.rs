//! The routes, one file per subject, and the builder that lets none in without a word on who may
//! use it.

mod build;
mod connections;
pub(crate) mod docs;
mod events;
mod health;
mod plugins;
mod problems;
mod runs;
mod schema;
mod shapes;
mod tokens;
mod workflows;

use axum::Router;
use tombolo_core::ports::store::Scope as S;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use crate::app::Shared;
use build::Routes;

/// Every route with the scope it needs, and the document that describes them.
pub(crate) fn all(app: &Shared) -> (Router<Shared>, OpenApi) {
    Routes::new(app)
        .open(routes!(health::alive))
        .open(routes!(health::ready))
        .open(routes!(schema::workflow))
        .open(routes!(problems::show))
        .guarded(S::PluginsWrite, routes!(plugins::upload))
        .guarded(S::PluginsRead, routes!(plugins::list))
        .guarded(S::PluginsRead, routes!(plugins::show))
        .guarded(S::WorkflowsRead, routes!(workflows::validate))
        .guarded(S::WorkflowsWrite, routes!(workflows::apply))
        .guarded(S::WorkflowsRead, routes!(workflows::list))
        .guarded(S::WorkflowsRead, routes!(workflows::show))
        .guarded(S::WorkflowsRead, routes!(workflows::versions))
        .guarded(S::WorkflowsRead, routes!(workflows::version))
        .guarded(S::ConnectionsWrite, routes!(connections::put))
        .guarded(S::ConnectionsRead, routes!(connections::list))
        .guarded(S::ConnectionsRead, routes!(connections::show))
        .guarded(S::RunsWrite, routes!(runs::start::start))
        .guarded(S::RunsRead, routes!(runs::list::list))
        .guarded(S::RunsRead, routes!(runs::show::show))
        .guarded(S::RunsRead, routes!(runs::steps::list))
        .guarded(S::RunsRead, routes!(runs::steps::show))
        .guarded(S::RunsWrite, routes!(runs::cancel::cancel))
        .guarded(S::RunsRead, routes!(runs::follow::follow))
        .guarded(S::RunsRead, routes!(events::show))
        .guarded(S::TokensWrite, routes!(tokens::create))
        .finish()
}
