//! HubSpot CRM (API v3): get, search, create and update of contacts, companies and deals.
//!
//! Three kinds of object times four verbs; what differs between the kinds stands in `object`.

mod call;
mod object;
mod params;
mod record;
mod verbs;

use tombolo_sdk::{Auth, Plugin};

tombolo_sdk::export!(plugin);

/// What this plugin offers.
pub fn plugin() -> Plugin {
    let plugin = Plugin::connector("hubspot", env!("CARGO_PKG_VERSION"), "HubSpot CRM")
        .reusable()
        .host("api.hubapi.com")
        .connection(
            "hubspot",
            [Auth::Bearer],
            "The access token of a private app, at https://api.hubapi.com",
        );
    object::ALL.iter().fold(plugin, |plugin, object| {
        plugin.operations([
            verbs::get(object),
            verbs::search(object),
            verbs::create(object),
            verbs::update(object),
        ])
    })
}

#[cfg(test)]
mod tests;
