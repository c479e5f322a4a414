//! The stand-in of HubSpot: CRM v3 objects (contacts, companies, deals) as documented under
//! `/crm/v3/objects`, and the webhook deliveries HubSpot would send.
//!
//! HubSpot knows no idempotency keys. Never checks webhooks itself: that is the receiver's part.

mod association;
mod crm;
mod delivery;
mod error;
mod property;
mod provider;
mod routes;
mod search;
mod seed;

pub use crm::{CrmObject, ObjectType};
pub use delivery::{deal_won_event, signed_delivery};
pub use provider::{HubSpot, start, start_at};
pub use seed::{SEED_COMPANY_ID, SEED_CONTACT_ID, SEED_DEAL_ID};

/// The bearer token that is right unless another is set.
pub const TOKEN: &str = "hubspot-standin-token";

/// The portal all seeded objects and deliveries belong to.
pub const PORTAL_ID: u64 = 98_765;

/// The app the deliveries come from.
pub const APP_ID: u64 = 54_321;
