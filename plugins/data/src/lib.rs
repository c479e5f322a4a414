//! Operations on data: reshape, choose, group, order, and read or write CSV. One file per subject;
//! none of them reaches out.

mod aggregate;
mod choose;
mod csv_text;
mod field;
mod jq;
mod lookup;
mod order;
mod split;
mod validate;

use tombolo_sdk::Plugin;

tombolo_sdk::export!(plugin);

/// What this plugin offers.
pub fn plugin() -> Plugin {
    Plugin::transform(
        "data",
        env!("CARGO_PKG_VERSION"),
        "Reshapes, chooses, groups and orders data",
    )
    .reusable()
    .operations([
        jq::map(),
        jq::filter(),
        split::split(),
        split::batch(),
        aggregate::aggregate(),
        lookup::lookup(),
        order::sort(),
        choose::limit(),
        choose::deduplicate(),
        csv_text::parse_csv(),
        csv_text::write_csv(),
        validate::validate(),
    ])
}
