//! plugin-data
