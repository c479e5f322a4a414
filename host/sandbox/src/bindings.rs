//! The generated half of the contract: the only `bindgen!` of the host.
//!
//! One world with everything that Tombolo itself provides. What a component may import is decided
//! by [`crate::worlds`] and by the linker of its world, never here.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package tombolo:host;
        world plugin {
            import tombolo:node/log@1.0.0;
            import tombolo:node/context@1.0.0;
            import tombolo:node/state@1.0.0;
            export tombolo:node/node@1.0.0;
        }
    ",
    world: "tombolo:host/plugin",
    imports: {
        "tombolo:node/state.get": async | trappable,
        "tombolo:node/state.compare-and-set": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
