//! plugin-hubspot
