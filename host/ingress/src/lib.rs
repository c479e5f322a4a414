//! tombolo-ingress

pub mod verify;
