//! Plugins written as WebAssembly text, for what no compiler would produce.

use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A core module that becomes a component of some world.
pub struct WatPlugin {
    /// WIT beside the contract; it holds world `test`.
    pub world: &'static str,
    /// Imports of the core module.
    pub imports: String,
    /// Memories, tables and functions beside those that every plugin has.
    pub fields: String,
    /// Pages of the first memory.
    pub pages: u32,
    /// Instructions run by `describe` before it answers.
    pub describe: String,
    /// Instructions run by `invoke` before it answers.
    pub invoke: String,
    /// What `describe` answers.
    pub descriptor: String,
}

/// A descriptor of a transform with one operation, `run`.
pub fn descriptor() -> Value {
    json!({
        "contract": "1.0", "name": "wat", "version": "0.1.0", "world": "transform",
        "operations": [{ "name": "run", "effect": "pure", "params": true, "output": true }]
    })
}

impl Default for WatPlugin {
    fn default() -> Self {
        Self {
            world: "package test:plugin; world test { export tombolo:node/node@1.0.0; }",
            imports: String::new(),
            fields: String::new(),
            pages: 2,
            describe: String::new(),
            invoke: String::new(),
            descriptor: descriptor().to_string(),
        }
    }
}

impl WatPlugin {
    /// The component's bytes.
    pub fn build(&self) -> Bytes {
        let mut resolve = Resolve::default();
        let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        resolve.push_dir(contract).expect("the contract");
        let package = resolve.push_str("test.wit", self.world).expect("a test's world");
        let world = resolve.select_world(&[package], Some("test")).expect("world `test`");
        let mut module = wat::parse_str(self.text()).expect("WebAssembly text");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("a world that fits the module");
        ComponentEncoder::default()
            .module(&module)
            .and_then(|encoder| encoder.validate(false).encode())
            .expect("a component")
            .into()
    }

    /// Address 16 holds the descriptor's place; address 32 an outcome with `null` and no ports.
    fn text(&self) -> String {
        let Self { imports, fields, pages, describe, invoke, descriptor, .. } = self;
        let escaped: String = descriptor.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let length = descriptor.len();
        format!(
            r#"(module
                {imports}
                (memory (export "memory") {pages})
                (data (i32.const 96) "null")
                (data (i32.const 1024) "{escaped}")
                {fields}
                (global $next (mut i32) (i32.const 65536))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    global.get $next
                    (global.set $next (i32.add (global.get $next) (local.get 3))))
                (func (export "tombolo:node/node@1.0.0#describe") (result i32)
                    {describe}
                    (i32.store (i32.const 16) (i32.const 1024))
                    (i32.store (i32.const 20) (i32.const {length}))
                    i32.const 16)
                (func (export "tombolo:node/node@1.0.0#invoke")
                    (param i32 i32 i32 i32) (result i32)
                    {invoke}
                    (i32.store8 (i32.const 32) (i32.const 0))
                    (i32.store (i32.const 40) (i32.const 96))
                    (i32.store (i32.const 44) (i32.const 4))
                    (i32.store (i32.const 48) (i32.const 96))
                    (i32.store (i32.const 52) (i32.const 0))
                    i32.const 32))"#
        )
    }
}
