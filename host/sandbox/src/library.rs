//! The components by their hash: in memory, else from the cache folder, else compiled from their
//! bytes. However many ask for one at the same time, it is loaded once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;
use tombolo_core::descriptor::Descriptor;
use tombolo_core::effect::World;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::ContentHash;
use tombolo_core::ports::sandbox::{ComponentSource, InstallError, Installed};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::bindings::PluginPre;
use crate::cache::{Cache, Vouched};
use crate::compile::Compilation;
use crate::guest::Guest;
use crate::inspect::Surface;
use crate::runner::Runner;
use crate::settings::SandboxSettings;
use crate::worlds::Linkers;
use crate::{describe, inspect, load, runner, worlds};

/// A component that is ready to be instantiated.
pub(crate) struct Loaded {
    pub(crate) hash: ContentHash,
    pub(crate) pre: PluginPre<Guest>,
    pub(crate) descriptor: Descriptor,
    pub(crate) imports: Vec<String>,
}

impl Loaded {
    /// True if the plugin vouches that its calls do not depend on each other. Routers and sources
    /// carry on what was said or read before, so theirs do.
    pub(crate) fn reusable(&self) -> bool {
        let world = self.descriptor.world;
        self.descriptor.reuse && matches!(world, World::Transform | World::Connector)
    }

    pub(crate) fn installed(&self) -> Installed {
        Installed {
            hash: self.hash,
            descriptor: self.descriptor.clone(),
            imports: self.imports.clone(),
        }
    }
}

/// Why a component cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LoadError {
    /// Nobody has it.
    #[error("there is no component {0}; upload the plugin again")]
    Missing(ContentHash),
    /// It could not be read.
    #[error("component {hash} could not be read: {reason}")]
    Unavailable { hash: ContentHash, reason: String },
    /// It was accepted once and is not any more.
    #[error("component {hash} is not accepted by this version of Tombolo: {reason}")]
    Refused { hash: ContentHash, reason: InstallError },
}

impl From<LoadError> for StepError {
    fn from(error: LoadError) -> Self {
        let (class, code) = match &error {
            LoadError::Missing(_) => (ErrorClass::Permanent, "plugin-missing"),
            LoadError::Unavailable { .. } => (ErrorClass::Transient, "plugin-unavailable"),
            // It compiled and described itself before: this time something was in the way.
            LoadError::Refused {
                reason: InstallError::CompileFailed { .. } | InstallError::DescribeFailed { .. },
                ..
            } => (ErrorClass::Transient, "plugin-unavailable"),
            LoadError::Refused { .. } => (ErrorClass::Permanent, "plugin-refused"),
        };
        Self::new(class, code, error.to_string())
    }
}

/// All components.
pub(crate) struct Library {
    engine: Engine,
    settings: Arc<SandboxSettings>,
    linkers: Linkers,
    cache: Arc<Cache>,
    compilation: Compilation,
    source: Arc<dyn ComponentSource>,
    /// The evaluator, which comes with the host and not from the source.
    builtin: (ContentHash, Bytes),
    shelf: Mutex<HashMap<ContentHash, Slot>>,
    uses: AtomicU64,
}

#[derive(Clone, Default)]
struct Slot {
    loaded: Arc<OnceCell<Arc<Loaded>>>,
    last_use: u64,
}

impl Library {
    pub(crate) fn new(
        engine: Engine,
        settings: Arc<SandboxSettings>,
        cache: Cache,
        compilation: Compilation,
        source: Arc<dyn ComponentSource>,
        builtin: (ContentHash, Bytes),
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            linkers: Linkers::new(&engine)?,
            engine,
            settings,
            cache: Arc::new(cache),
            compilation,
            source,
            builtin,
            shelf: Mutex::default(),
            uses: AtomicU64::new(0),
        })
    }

    pub(crate) fn set_compilation(&mut self, compilation: Compilation) {
        self.compilation = compilation;
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A component that was installed before.
    pub(crate) async fn get(
        &self,
        hash: ContentHash,
        runner: &Runner,
    ) -> Result<Arc<Loaded>, LoadError> {
        let slot = self.slot(hash);
        let loaded = slot.loaded.get_or_try_init(|| self.fetch(hash, runner)).await?;
        Ok(Arc::clone(loaded))
    }

    /// Checks, compiles and describes a component that comes from outside.
    pub(crate) async fn install(
        &self,
        bytes: Bytes,
        runner: &Runner,
    ) -> Result<Arc<Loaded>, InstallError> {
        let limit = self.settings.max_component_bytes;
        if bytes.len() > limit {
            return Err(InstallError::TooLarge { size: bytes.len(), limit });
        }
        let (bytes, hash, surface) = blocking(move || {
            let surface = inspect::inspect(&bytes, limit)?;
            let hash = ContentHash::of(&bytes);
            Ok((bytes, hash, surface))
        })
        .await?;
        let slot = self.slot(hash);
        let loaded = slot
            .loaded
            .get_or_try_init(|| async {
                let component = self.compile(hash, bytes).await?;
                let loaded = self.prepare(hash, component, surface, runner).await;
                if loaded.is_err() {
                    self.cache.remove(hash);
                }
                loaded
            })
            .await?;
        Ok(Arc::clone(loaded))
    }

    async fn fetch(&self, hash: ContentHash, runner: &Runner) -> Result<Arc<Loaded>, LoadError> {
        let refused = |reason| LoadError::Refused { hash, reason };
        let component = match self.cached(hash).await {
            Some(component) => component,
            None => {
                let bytes = self.bytes(hash).await?;
                self.compile(hash, bytes).await.map_err(refused)?
            }
        };
        let surface = surface(&self.engine, &component);
        self.prepare(hash, component, surface, runner).await.map_err(refused)
    }

    async fn bytes(&self, hash: ContentHash) -> Result<Bytes, LoadError> {
        if self.builtin.0 == hash {
            return Ok(self.builtin.1.clone());
        }
        let unavailable = |reason| LoadError::Unavailable { hash, reason };
        let bytes = self
            .source
            .component(hash)
            .await
            .map_err(unavailable)?
            .ok_or(LoadError::Missing(hash))?;
        if ContentHash::of(&bytes) != hash {
            return Err(unavailable("its bytes have another hash; they were damaged".to_owned()));
        }
        Ok(bytes)
    }

    async fn cached(&self, hash: ContentHash) -> Option<Component> {
        let (cache, engine) = (Arc::clone(&self.cache), self.engine.clone());
        let component = tokio::task::spawn_blocking(move || {
            let code = cache.load(hash)?;
            load::component(&engine, &code)
                .inspect_err(|error| tracing::warn!(%hash, "cached code does not load: {error:#}"))
                .ok()
        });
        component.await.ok().flatten()
    }

    async fn compile(&self, hash: ContentHash, bytes: Bytes) -> Result<Component, InstallError> {
        let code = self.compilation.compile(bytes).await?;
        let (cache, engine) = (Arc::clone(&self.cache), self.engine.clone());
        blocking(move || {
            let component = load::component(&engine, &code)
                .map_err(|error| InstallError::CompileFailed { reason: format!("{error:#}") })?;
            keep(&cache, hash, &code);
            Ok(component)
        })
        .await
    }

    /// Describes the component, holds it against its world and binds it to that world's linker.
    async fn prepare(
        &self,
        hash: ContentHash,
        component: Component,
        surface: Surface,
        runner: &Runner,
    ) -> Result<Arc<Loaded>, InstallError> {
        let mistyped = |error: wasmtime::Error| InstallError::Malformed {
            reason: format!("it does not fit this host's interfaces: {error:#}"),
        };
        worlds::check(World::Connector, &surface.imports)?;
        // The widest linker: the world is not known before the plugin has described itself.
        let pre =
            runner::prepare(self.linkers.of(World::Connector), &component).map_err(mistyped)?;
        let descriptor = describe::describe(runner, &self.settings, &pre).await?;
        worlds::check(descriptor.world, &surface.imports)?;
        inspect::exports_fit(descriptor.world, &surface)?;
        let pre =
            runner::prepare(self.linkers.of(descriptor.world), &component).map_err(mistyped)?;
        Ok(Arc::new(Loaded { hash, pre, descriptor, imports: surface.imports }))
    }

    /// The place of a component, which makes it the one used last.
    fn slot(&self, hash: ContentHash) -> Slot {
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = shelf.get_mut(&hash) {
            slot.last_use = now;
            return slot.clone();
        }
        if shelf.len() >= self.settings.loaded_components.max(1)
            && let Some(oldest) =
                shelf.iter().min_by_key(|(_, slot)| slot.last_use).map(|(hash, _)| *hash)
        {
            shelf.remove(&oldest);
        }
        let slot = Slot { last_use: now, ..Slot::default() };
        shelf.insert(hash, slot.clone());
        slot
    }
}

/// A cache that cannot be written costs time and nothing else.
fn keep(cache: &Cache, hash: ContentHash, code: &Vouched) {
    if let Err(error) = cache.store(hash, code) {
        tracing::warn!(%hash, %error, "the compiled component could not be cached");
    }
}

fn surface(engine: &Engine, component: &Component) -> Surface {
    let ty = component.component_type();
    Surface {
        imports: ty.imports(engine).map(|(name, _)| name.to_owned()).collect(),
        exports: ty.exports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InstallError> + Send + 'static,
) -> Result<T, InstallError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| InstallError::CompileFailed { reason: error.to_string() })?
}
