//! The routes, one file per subject, and the builder that lets none in without a word on who may
//! use it.

mod audit;
mod build;
mod bulk;
mod callbacks;
mod connections;
mod described;
pub(crate) mod docs;
mod events;
mod health;
mod letters;
mod plugins;
mod problems;
mod repairs;
mod runs;
mod schema;
mod shapes;
mod signals;
mod tenant;
mod tokens;
mod workflows;

use axum::Router;
use tombolo_core::ports::store::Scope as S;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use crate::app::Shared;
use crate::problem::Kind as K;
use build::Routes;
use described::{BODY, ID, JSON, WRITES};

/// Every route with the scope it needs and the problems it answers with, and the document that
/// describes them.
pub(crate) fn all(app: &Shared) -> (Router<Shared>, OpenApi) {
    let routes = alive(app)
        .open(routes!(schema::workflow), &[])
        .open(routes!(problems::show), &[ID, &[K::ProblemNotFound]]);
    access(repair(letters(runs(workflows(plugins(routes)))))).finish()
}

/// What shows whether the process works.
pub(crate) fn health(app: &Shared) -> (Router<Shared>, OpenApi) {
    alive(app).finish()
}

fn alive(app: &Shared) -> Routes {
    Routes::new(app)
        .open(routes!(health::alive), &[])
        .open(routes!(health::ready), &[&[K::NotReady]])
}

/// The routes that ask for no token: their addresses cannot be guessed.
pub(crate) fn addressed(app: &Shared) -> (Router<Shared>, OpenApi) {
    let not_found: &[K] = &[K::CallbackNotFound];
    let bodies: &[K] = &[K::InvalidBody, K::TooManyBodies];
    let late: &[K] = &[K::AlreadyAnswered, K::CallbackOver];
    Routes::new(app)
        .open(routes!(callbacks::ask::ask), &[ID, not_found, &[K::CallbackOver, K::WrongMethod]])
        .open(
            routes!(callbacks::answer::answer),
            &[ID, BODY, JSON, WRITES, not_found, bodies, late],
        )
        .finish()
}

fn plugins(routes: Routes) -> Routes {
    routes
        .guarded(
            S::PluginsWrite,
            routes!(plugins::upload),
            &[BODY, WRITES, plugins::REFUSALS, &[K::QuotaFull]],
        )
        .guarded(S::PluginsRead, routes!(plugins::list), &[])
        .guarded(S::PluginsRead, routes!(plugins::show), &[ID, &[K::PluginNotFound]])
}

fn workflows(routes: Routes) -> Routes {
    let refused = &[K::EvaluatorFailed];
    routes
        .guarded(S::WorkflowsRead, routes!(workflows::validate), &[BODY, JSON, refused])
        .guarded(
            S::WorkflowsWrite,
            routes!(workflows::apply),
            &[ID, BODY, JSON, WRITES, refused, &[K::InvalidWorkflow]],
        )
        .guarded(S::WorkflowsRead, routes!(workflows::list), &[])
        .guarded(S::WorkflowsRead, routes!(workflows::show), &[ID, &[K::WorkflowNotFound]])
        .guarded(S::WorkflowsRead, routes!(workflows::versions), &[ID, &[K::WorkflowNotFound]])
        .guarded(
            S::WorkflowsRead,
            routes!(workflows::version),
            &[ID, &[K::WorkflowNotFound, K::VersionNotFound]],
        )
}

fn runs(routes: Routes) -> Routes {
    let not_found: &[K] = &[K::RunNotFound];
    routes
        .guarded(
            S::RunsWrite,
            routes!(runs::start::start),
            &[ID, BODY, JSON, WRITES, runs::start::REFUSALS],
        )
        .guarded(S::RunsRead, routes!(runs::list::list), &[&[K::InvalidQuery, K::InvalidCursor]])
        .guarded(S::RunsRead, routes!(runs::show::show), &[ID, not_found])
        .guarded(S::RunsRead, routes!(runs::steps::list), &[ID, not_found])
        .guarded(
            S::RunsRead,
            routes!(runs::steps::show),
            &[ID, not_found, &[K::StepNotFound, K::InvalidQuery]],
        )
        .guarded(
            S::RunsWrite,
            routes!(runs::cancel::cancel),
            &[ID, not_found, WRITES, &[K::RunEnded]],
        )
        .guarded(
            S::RunsRead,
            routes!(runs::follow::follow),
            &[ID, not_found, &[K::TooManyFollowers]],
        )
        .guarded(S::RunsRead, routes!(events::show), &[ID, &[K::EventNotFound]])
}

fn letters(routes: Routes) -> Routes {
    let query: &[K] = &[K::InvalidQuery, K::InvalidCursor];
    let not_found: &[K] = &[K::DeadLetterNotFound, K::RunNotFound, K::StepNotFound];
    routes
        .guarded(S::RunsRead, routes!(letters::list::list), &[query])
        .guarded(S::RunsRead, routes!(letters::count::count), &[])
        .guarded(S::RunsRead, routes!(letters::show::show), &[ID, not_found])
        .guarded(
            S::RunsRepair,
            routes!(letters::redrive_many::redrive_many),
            &[BODY, JSON, WRITES, &[K::InvalidBody]],
        )
        .guarded(S::AuditRead, routes!(audit::list), &[query])
}

fn repair(routes: Routes) -> Routes {
    let step: &[&[K]] = &[ID, BODY, JSON, WRITES, repairs::REFUSALS, repairs::OF_STEPS];
    let redrive: &[K] = &[K::NothingDead, K::OutcomeUnknown];
    let replay: &[K] = &[
        K::IdempotencyKeyInvalid,
        K::VersionNotFound,
        K::RunNotEnded,
        K::QuotaUsedUp,
        K::QuotaFull,
    ];
    let signal: &[K] = &[K::TakesNoSignal, K::AlreadyAnswered, K::RunEnded, K::RunNotFound];
    routes
        .guarded(S::RunsRepair, routes!(runs::redrive::redrive), &[step, &[redrive]].concat())
        .guarded(S::RunsRepair, routes!(runs::resolve::resolve), step)
        .guarded(S::RunsRepair, routes!(runs::discard::discard), step)
        .guarded(
            S::RunsRepair,
            routes!(runs::signal::signal),
            &[ID, BODY, JSON, WRITES, signal, &[K::InvalidBody, K::VersionUnusable]],
        )
        .guarded(
            S::RunsRepair,
            routes!(runs::replay::replay),
            &[ID, BODY, JSON, WRITES, repairs::REFUSALS, replay],
        )
        .guarded(
            S::RunsRepair,
            routes!(runs::replay_many::replay_many),
            &[BODY, JSON, WRITES, &[K::InvalidBody, K::InvalidCursor, K::IdempotencyKeyInvalid]],
        )
        .guarded(
            S::RunsRead,
            routes!(runs::explain::explain),
            &[ID, &[K::RunNotFound, K::VersionNotFound, K::VersionUnusable]],
        )
}

fn access(routes: Routes) -> Routes {
    routes
        .guarded(
            S::ConnectionsWrite,
            routes!(connections::put),
            &[ID, BODY, JSON, WRITES, &[K::InvalidBody, K::CredentialsRequired, K::QuotaFull]],
        )
        .guarded(
            S::ConnectionsWrite,
            routes!(connections::resume::resume),
            &[ID, BODY, JSON, WRITES, &[K::InvalidBody, K::ConnectionNotFound]],
        )
        .guarded(S::ConnectionsRead, routes!(connections::list), &[])
        .guarded(S::ConnectionsRead, routes!(connections::show), &[ID, &[K::ConnectionNotFound]])
        .guarded(
            S::TokensWrite,
            routes!(tokens::create::create),
            &[BODY, JSON, WRITES, &[K::InvalidBody, K::ScopeExceeded]],
        )
        .guarded(S::TenantRead, routes!(tenant::show), &[])
        .guarded(
            S::TokensRead,
            routes!(tokens::list::list),
            &[&[K::InvalidQuery, K::InvalidCursor]],
        )
        .guarded(
            S::TokensWrite,
            routes!(tokens::revoke::revoke),
            &[ID, WRITES, &[K::TokenNotFound]],
        )
}
