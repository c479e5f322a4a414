//! plugin-jq
