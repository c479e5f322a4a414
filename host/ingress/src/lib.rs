//! tombolo-ingress
