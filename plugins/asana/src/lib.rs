//! plugin-asana
