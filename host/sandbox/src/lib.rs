//! tombolo-sandbox
