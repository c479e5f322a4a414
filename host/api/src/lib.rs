//! tombolo-api
