//! tombolo-egress
