//! plugin-http
