//! Who may: tokens, and the guard in front of every route.

mod gate;
mod guard;
mod known;
mod oidc;
pub(crate) mod quota;
mod rates;
mod token;
mod uses;
mod who;

pub use gate::{AccessSettings, Gate, GatePorts};
pub(crate) use guard::authorize;
pub use oidc::{Algorithm, OidcSettings};
pub use token::hash as hash_token;
pub(crate) use token::issue_for;
pub use token::{IssueError, IssuedToken, NewToken, Randomness, issue_token};
pub(crate) use who::Caller;
