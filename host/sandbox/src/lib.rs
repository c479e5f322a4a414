//! Runs what is not trusted: plugins and expressions, as WebAssembly components in wasmtime.
//!
//! Owns compilation, the cache of compiled code, instances and their bounds. Never opens a
//! connection: a plugin's calls go to the egress port. Never stores anything but compiled code.
//!
//! | file | subject |
//! |---|---|
//! | `settings` | every bound, by name |
//! | `engine` | the wasmtime engine, its pool, its tick |
//! | `inspect`, `worlds`, `descriptor`, `describe` | what is accepted at upload |
//! | `compile`, `cache`, `load`, `library` | from bytes to a component that is ready |
//! | `runner`, `guest`, `limits`, `warm` | one call in one instance |
//! | `log`, `context`, `state`, `http`, `clock`, `random` | what a guest can import |
//! | `failure` | how a call ends that the plugin did not end |
//! | `invoke`, `expression` | the two uses |

mod bindings;
mod cache;
mod calls;
mod clock;
mod compile;
mod context;
mod describe;
mod descriptor;
mod engine;
mod expression;
mod failure;
mod guest;
mod http;
mod inspect;
mod invoke;
mod library;
mod limits;
mod load;
mod log;
mod random;
mod runner;
mod settings;
mod state;
mod warm;
mod worlds;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tombolo_core::clock::Clock;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::ContentHash;
use tombolo_core::json::Json;
use tombolo_core::ports::egress::Egress;
use tombolo_core::ports::sandbox::{
    ComponentSource, Evaluation, ExpressionError, InstallError, Installed, Invocation, Invoked,
    Sandbox,
};

pub use crate::compile::{Compiler, compile_worker};
pub use crate::settings::{
    CallBounds, HttpBounds, LogBounds, PureBounds, SandboxSettings, StateBounds, WarmBounds,
};

use crate::cache::Cache;
use crate::compile::Compilation;
use crate::expression::Evaluator;
use crate::invoke::Host;
use crate::library::{Library, LoadError, Loaded};
use crate::runner::Runner;

/// The sandbox on wasmtime.
pub struct WasmSandbox {
    settings: Arc<SandboxSettings>,
    library: Library,
    runner: Runner,
    egress: Arc<dyn Egress>,
    clock: Arc<dyn Clock>,
    evaluator: ContentHash,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// wasmtime does not take the settings, or this machine.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// The folder for compiled components cannot be used.
    #[error("the folder for compiled components, {folder}, cannot be used: {reason}")]
    Cache {
        /// Where it should be.
        folder: String,
        /// What is wrong.
        reason: std::io::Error,
    },
}

impl From<wasmtime::Error> for SandboxError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }
}

impl WasmSandbox {
    /// Starts the engine. `cache_dir` is made if it is missing, and closed to other users;
    /// `evaluator` is the component of plugin `jq`, compiled when it is first needed.
    pub fn new(
        settings: SandboxSettings,
        cache_dir: &Path,
        egress: Arc<dyn Egress>,
        source: Arc<dyn ComponentSource>,
        clock: Arc<dyn Clock>,
        evaluator: Bytes,
    ) -> Result<Self, SandboxError> {
        let settings = Arc::new(settings);
        let engine = engine::running(&settings)?;
        let cache = Cache::open(cache_dir, &engine, settings.cache_bytes).map_err(|reason| {
            SandboxError::Cache { folder: cache_dir.display().to_string(), reason }
        })?;
        let hash = ContentHash::of(&evaluator);
        let library = Library::new(
            engine.clone(),
            Arc::clone(&settings),
            cache,
            Compilation::new(engine.clone(), Compiler::InProcess, &settings),
            source,
            (hash, evaluator),
        )?;
        let runner = Runner::new(engine, Arc::clone(&settings));
        Ok(Self { settings, library, runner, egress, clock, evaluator: hash })
    }

    /// Compiles somewhere else than on a thread of this process.
    #[must_use]
    pub fn compile_with(mut self, compiler: Compiler) -> Self {
        let engine = self.library.engine().clone();
        self.library.set_compilation(Compilation::new(engine, compiler, &self.settings));
        self
    }

    /// Loads the evaluator, so that the first expression does not wait for it.
    pub async fn warm_up(&self) -> Result<(), StepError> {
        self.evaluator().await?;
        Ok(())
    }

    /// How many instances wait for their next call.
    pub fn warm_instances(&self) -> usize {
        self.runner.warm_instances()
    }

    async fn evaluator(&self) -> Result<Arc<Loaded>, LoadError> {
        self.library.get(self.evaluator, &self.runner).await
    }

    fn ask<'a>(&'a self, plugin: &'a Loaded) -> Evaluator<'a> {
        Evaluator { settings: &self.settings, runner: &self.runner, plugin }
    }
}

#[async_trait]
impl Sandbox for WasmSandbox {
    async fn install(&self, bytes: Bytes) -> Result<Installed, InstallError> {
        Ok(self.library.install(bytes, &self.runner).await?.installed())
    }

    async fn invoke(&self, invocation: Invocation) -> Invoked {
        match self.library.get(invocation.plugin, &self.runner).await {
            Ok(plugin) => {
                let host = Host {
                    settings: &self.settings,
                    runner: &self.runner,
                    egress: &self.egress,
                    clock: &self.clock,
                };
                host.invoke(&plugin, &invocation).await
            }
            Err(error) => Invoked {
                result: Err(error.into()),
                logs: Vec::new(),
                calls: Vec::new(),
                journal: Vec::new(),
                state: Vec::new(),
            },
        }
    }

    async fn evaluate(&self, evaluation: Evaluation) -> Result<Vec<Json>, ExpressionError> {
        if evaluation.expressions.is_empty() {
            return Ok(Vec::new());
        }
        let plugin = self.evaluator().await.map_err(|error| ExpressionError {
            index: 0,
            class: ErrorClass::Transient,
            code: expression::UNAVAILABLE.to_owned(),
            message: error.to_string(),
            position: None,
        })?;
        self.ask(&plugin).evaluate(&evaluation).await
    }

    async fn check(&self, expressions: Vec<String>) -> Result<Vec<ExpressionError>, StepError> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let plugin = self.evaluator().await?;
        self.ask(&plugin).check(&expressions).await
    }
}
