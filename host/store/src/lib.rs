//! tombolo-store
