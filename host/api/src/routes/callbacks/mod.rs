//! `/callbacks/{tenant}/{run}/{node}/{proof}`: the address of a `callback` or `approval` node. Who
//! knows it may let the node go on, without a token. It is a secret: nothing here writes it anywhere.

pub(super) mod answer;
pub(super) mod ask;
mod html;
mod page;
mod standing;

use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{RunView, StepKey};
use tombolo_core::workflow::Builtin;

use super::signals;
use crate::app::App;
use crate::problem::{Kind, Problem};

/// An address as it was called: tenant, run, node, proof.
type Parts = (String, String, String, String);

/// What somebody with a good address is asked for.
struct Asked {
    view: RunView,
    step: StepKey,
    /// `callback` or `approval`.
    builtin: Builtin,
}

impl Asked {
    /// Nothing is looked up before the proof holds, so a wrong one learns nothing: neither from the
    /// answer nor from its time.
    async fn at(app: &App, (tenant, run, node, proof): &Parts) -> Result<Self, Problem> {
        let (Ok(tenant), Ok(run)) = (tenant.parse::<TenantId>(), run.parse::<RunId>()) else {
            return Err(nobody());
        };
        if !app.ports.callbacks.proves(tenant, run, node, proof) {
            return Err(nobody());
        }
        let view = app.ports.store.run(tenant, run).await?.ok_or_else(nobody)?;
        let builtin = signals::asked(app, &view, node).await?.ok_or_else(nobody)?;
        Ok(Self { view, step: StepKey { node: node.clone(), item: 0 }, builtin })
    }
}

/// The same for everything that is wrong with an address.
fn nobody() -> Problem {
    Problem::new(Kind::CallbackNotFound, "nobody waits at this address")
}
