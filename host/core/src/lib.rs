//! tombolo-core
