//! The generated bindings of the contract in `wit/`; the only file with `wit_bindgen::generate!`.
//!
//! One world serves every plugin: a component imports what its code calls and nothing else, so what
//! a plugin does not use of `connector` gives it no permission.

wit_bindgen::generate!({
    path: "../wit",
    world: "tombolo:node/connector",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_node",
    runtime_path: "::tombolo_sdk::wit_bindgen::rt",
});
