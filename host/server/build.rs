//! Embeds the expression evaluator, the component of plugin `jq`, in the binary.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Where `cargo xtask plugins` leaves it, from the workspace's root.
const COMPONENT: &str = "target/wasm32-wasip2/plugin/plugin_jq.wasm";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = manifest.ancestors().nth(2).unwrap_or(Path::new("."));
    let component = root.join(COMPONENT);
    println!("cargo::rerun-if-changed={}", component.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("evaluator.wasm");
    if let Err(error) = fs::copy(&component, &out) {
        println!("cargo::error={COMPONENT}: {error}; run `cargo xtask plugins` first");
    }
}
