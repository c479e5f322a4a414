//! tombolo-sdk
