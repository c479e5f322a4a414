//! plugin-switch
