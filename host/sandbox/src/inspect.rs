//! What is checked of a component before anything of it is compiled or run: its size, its form,
//! what it exports and what it imports.

use semver::Version;
use tombolo_core::descriptor::CONTRACT;
use tombolo_core::effect::World;
use tombolo_core::ports::sandbox::InstallError;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::worlds;

/// The interface that makes a component a plugin.
const NODE: &str = "tombolo:node/node";
/// The interface that makes a plugin a source.
const POLLER: &str = "tombolo:node/poller";
/// The package whose version is the contract's.
const PACKAGE: &str = "tombolo:node/";

const MAGIC: &[u8] = b"\0asm";
/// Version and layer of the component binary format.
const COMPONENT: &[u8] = &[0x0d, 0x00, 0x01, 0x00];
const CORE: &[u8] = &[0x01, 0x00, 0x00, 0x00];

/// What a component asks for and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Surface {
    /// Full names.
    pub(crate) imports: Vec<String>,
    /// Full names.
    pub(crate) exports: Vec<String>,
}

/// Everything that can be said without running the component.
pub(crate) fn inspect(bytes: &[u8], limit: usize) -> Result<Surface, InstallError> {
    if bytes.len() > limit {
        return Err(InstallError::TooLarge { size: bytes.len(), limit });
    }
    form(bytes)?;
    let surface = surface(bytes)?;
    contract(&surface)?;
    plugin(&surface)?;
    // The world is only known when the plugin has described itself; connector is the widest.
    worlds::check(World::Connector, &surface.imports)?;
    Ok(surface)
}

/// Says whether the exports fit the declared world.
pub(crate) fn exports_fit(world: World, surface: &Surface) -> Result<(), InstallError> {
    let polls = surface.exports.iter().any(|name| worlds::split(name).0 == POLLER);
    if world == World::Source && !polls {
        return Err(InstallError::NotAPlugin {
            expected: format!("{POLLER}@{CONTRACT}.0"),
            found: list(&surface.exports),
        });
    }
    Ok(())
}

fn form(bytes: &[u8]) -> Result<(), InstallError> {
    let malformed = |reason: &str| Err(InstallError::Malformed { reason: reason.to_owned() });
    if !bytes.starts_with(MAGIC) {
        return malformed("it does not start with `\\0asm`");
    }
    match bytes.get(4..8) {
        Some(COMPONENT) => {}
        Some(CORE) => return Err(InstallError::CoreModule),
        Some(other) => {
            return malformed(&format!("unknown version {other:02x?} of the binary format"));
        }
        None => return malformed("it ends after the first bytes"),
    }
    // The same features as the engine: components, no threads, no memory64, no garbage collection.
    let mut features = WasmFeatures::default();
    features.remove(
        WasmFeatures::THREADS
            | WasmFeatures::MEMORY64
            | WasmFeatures::GC
            | WasmFeatures::EXCEPTIONS
            | WasmFeatures::CM_ASYNC,
    );
    Validator::new_with_features(features)
        .validate_all(bytes)
        .map(|_| ())
        .map_err(|error| InstallError::Malformed { reason: error.to_string() })
}

/// The imports and exports of the outermost component.
fn surface(bytes: &[u8]) -> Result<Surface, InstallError> {
    let malformed = |error: wasmparser::BinaryReaderError| InstallError::Malformed {
        reason: error.to_string(),
    };
    let mut surface = Surface { imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    surface.imports.push(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    surface.exports.push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(surface)
}

/// Refuses a component made for a newer contract, on either side.
fn contract(surface: &Surface) -> Result<(), InstallError> {
    for name in surface.exports.iter().chain(&surface.imports) {
        let (interface, version) = worlds::split(name);
        if interface.starts_with(PACKAGE)
            && let Some(version) = version.and_then(|version| Version::parse(version).ok())
            && newer((version.major, version.minor))
        {
            return Err(InstallError::NewerContract {
                found: format!("{}.{}", version.major, version.minor),
                supported: CONTRACT.to_owned(),
            });
        }
    }
    Ok(())
}

/// True if `major.minor` is beyond what this host speaks.
pub(crate) fn newer(version: (u64, u64)) -> bool {
    major_minor(CONTRACT).is_some_and(|supported| version > supported)
}

/// Reads `1.0`.
pub(crate) fn major_minor(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn plugin(surface: &Surface) -> Result<(), InstallError> {
    let expected = format!("{NODE}@{CONTRACT}.0");
    let major = major_minor(CONTRACT).map(|(major, _)| major);
    let fits = |name: &String| {
        let (interface, version) = worlds::split(name);
        interface == NODE
            && version.and_then(|v| Version::parse(v).ok()).map(|version| version.major) == major
    };
    if surface.exports.iter().any(fits) {
        return Ok(());
    }
    Err(InstallError::NotAPlugin { expected, found: list(&surface.exports) })
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
