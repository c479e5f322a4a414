//! What each world may import: by name at upload, and by what its linker holds at run time.

use tombolo_core::effect::World;
use tombolo_core::ports::sandbox::InstallError;
use wasmtime::Engine;
use wasmtime::component::{HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings as wasi;

use crate::bindings::tombolo::node as tombolo;
use crate::clock::Clocks;
use crate::guest::Guest;
use crate::random::Randomness;

/// The linkers of the worlds. A component is only ever linked against its own world's.
pub(crate) struct Linkers {
    transform: Linker<Guest>,
    router: Linker<Guest>,
    connector: Linker<Guest>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        Ok(Self {
            transform: transform(engine)?,
            router: router(engine)?,
            connector: connector(engine)?,
        })
    }

    pub(crate) fn of(&self, world: World) -> &Linker<Guest> {
        match world {
            World::Transform => &self.transform,
            World::Router => &self.router,
            World::Connector | World::Source => &self.connector,
        }
    }
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Logs, and the part of WASI that the standard libraries of languages ask for.
fn transform(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    tombolo::types::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    tombolo::log::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;

    wasi::io::error::add_to_linker::<Guest, Io>(l, |guest| &mut guest.table)?;
    wasi::io::poll::add_to_linker::<Guest, Io>(l, |guest| &mut guest.table)?;
    wasi::io::streams::add_to_linker::<Guest, Io>(l, |guest| &mut guest.table)?;

    wasi::clocks::wall_clock::add_to_linker::<Guest, Clocks>(l, Guest::clocks)?;
    wasi::clocks::monotonic_clock::add_to_linker::<Guest, Clocks>(l, Guest::clocks)?;

    wasi::random::random::add_to_linker::<Guest, Randomness>(l, |guest| &mut guest.random)?;
    wasi::random::insecure::add_to_linker::<Guest, Randomness>(l, |guest| &mut guest.random)?;
    wasi::random::insecure_seed::add_to_linker::<Guest, Randomness>(l, |guest| &mut guest.random)?;

    wasi::cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;

    wasi::filesystem::types::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    wasi::filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    Ok(linker)
}

fn router(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = transform(engine)?;
    tombolo::context::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    Ok(linker)
}

fn connector(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = router(engine)?;
    tombolo::state::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// Interfaces of every world: what [`transform`] links.
const HARMLESS: &[&str] = &[
    "tombolo:node/types",
    "tombolo:node/log",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:cli/exit",
    "wasi:cli/environment",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
];

/// True if a component of this world may import the interface (its name without a version).
fn permits(world: World, interface: &str) -> bool {
    if HARMLESS.contains(&interface) {
        return true;
    }
    match interface {
        "tombolo:node/context" => world != World::Transform,
        "tombolo:node/state" | "wasi:http/types" | "wasi:http/outgoing-handler" => {
            matches!(world, World::Connector | World::Source)
        }
        _ => false,
    }
}

/// Refuses the first import that the world does not allow.
pub(crate) fn check(world: World, imports: &[String]) -> Result<(), InstallError> {
    match imports.iter().find(|import| !allowed(world, import)) {
        None => Ok(()),
        Some(import) => Err(InstallError::ForbiddenImport {
            import: import.clone(),
            world: world.name().to_owned(),
            hint: hint(import),
        }),
    }
}

fn allowed(world: World, import: &str) -> bool {
    let (interface, version) = split(import);
    permits(world, interface)
        && (!interface.starts_with("wasi:") || version.is_none_or(|v| v.starts_with("0.2.")))
}

/// `wasi:io/poll@0.2.6` is interface `wasi:io/poll` of version `0.2.6`.
pub(crate) fn split(import: &str) -> (&str, Option<&str>) {
    match import.split_once('@') {
        Some((interface, version)) => (interface, Some(version)),
        None => (import, None),
    }
}

fn hint(import: &str) -> String {
    let (interface, version) = split(import);
    let package = interface.split('/').next().unwrap_or(interface);
    match interface {
        "tombolo:node/llm" => "this host has no language model configured".to_owned(),
        "tombolo:node/mcp" => "this host has no MCP server configured".to_owned(),
        "tombolo:node/context" => {
            "a transform may not know its run; compile for world router or connector".to_owned()
        }
        "tombolo:node/state" | "wasi:http/outgoing-handler" | "wasi:http/types" if version_ok(version) => {
            "only a connector or a source may keep state or call out; compile for that world".to_owned()
        }
        "wasi:http/incoming-handler" => {
            "a plugin is not a server; events come in through triggers".to_owned()
        }
        _ if package == "wasi:sockets" => {
            "sockets are never available; call out through wasi:http in world connector".to_owned()
        }
        _ if package == "wasi:config" || package == "wasi:keyvalue" => {
            "take configuration from the node's parameters, and keep state with tombolo:node/state in world connector".to_owned()
        }
        _ if package.starts_with("wasi:") && !version_ok(version) => {
            "this host has WASI 0.2; build the plugin for wasm32-wasip2".to_owned()
        }
        _ if import.contains('/') => "no world of this host provides it".to_owned(),
        _ => "a plugin may import interfaces only; was it built for wasm32-wasip2?".to_owned(),
    }
}

fn version_ok(version: Option<&str>) -> bool {
    version.is_none_or(|version| version.starts_with("0.2."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(world: World, import: &str) -> String {
        check(world, &[import.to_owned()]).unwrap_err().to_string()
    }

    #[test]
    fn a_world_is_its_imports() {
        let imports =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let out = imports(&["wasi:http/outgoing-handler@0.2.6", "tombolo:node/state@1.0.0"]);
        assert!(check(World::Connector, &out).is_ok());
        assert!(check(World::Source, &out).is_ok());
        assert!(check(World::Router, &out).is_err());
        assert!(check(World::Transform, &out).is_err());
        let basics = imports(&["wasi:cli/stdout@0.2.6", "tombolo:node/log@1.0.0"]);
        assert!(check(World::Transform, &basics).is_ok());
    }

    #[test]
    fn a_refusal_names_the_import_and_what_to_do() {
        let text = refusal(World::Connector, "wasi:sockets/tcp@0.2.6");
        assert!(
            text.contains("wasi:sockets/tcp@0.2.6") && text.contains("never available"),
            "{text}"
        );
        let text = refusal(World::Router, "tombolo:node/llm@1.0.0");
        assert!(text.contains("no language model configured"), "{text}");
        let text = refusal(World::Transform, "wasi:io/poll@0.3.0");
        assert!(text.contains("wasm32-wasip2"), "{text}");
        let text = refusal(World::Transform, "wasi:http/outgoing-handler@0.2.6");
        assert!(text.contains("world `transform`") && text.contains("connector"), "{text}");
    }
}
