//! The one wasmtime engine: its settings, its pool and its clock tick.
//!
//! The same [`configuration`] compiles and runs; only the pool differs, and that does not change
//! the code. Never runs a component.

use std::num::NonZeroUsize;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy, WasmFeatures,
};

use crate::settings::SandboxSettings;

/// How often a running guest is looked at: it yields, and its processor time is counted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Most frames kept of a trap's backtrace.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(20).expect("not zero");

/// Memories, tables and core instances of one component: what a slot of the pool has room for. The
/// same holds for instances made on demand.
pub(crate) const MEMORIES_PER_COMPONENT: u32 = 4;
pub(crate) const TABLES_PER_COMPONENT: u32 = 8;
pub(crate) const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// wasmtime's own data of one instance.
const INSTANCE_BYTES: usize = 10 * 1024 * 1024;

/// Of a used memory, what is written back to its first state instead of being given back to the
/// system page by page: a page that has to be got again costs more than one that is wiped.
const KEPT_MEMORY_BYTES: usize = 256 * 1024;

/// The same for tables.
const KEPT_TABLE_BYTES: usize = 64 * 1024;

/// What decides how components are compiled.
fn configuration(max_stack_bytes: usize) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .wasm_component_model(true)
        .concurrency_support(false)
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_gc(false)
        .wasm_features(WasmFeatures::EXCEPTIONS, false)
        .epoch_interruption(true)
        .native_unwind_info(false)
        .memory_init_cow(true)
        .max_wasm_stack(max_stack_bytes)
        .async_stack_size(max_stack_bytes.saturating_add(1536 * 1024))
        // The same bits on every machine: what is pure is computed again elsewhere.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES));
    config
}

/// An engine that only compiles: it reserves no address space, so that its process can be bounded.
pub(crate) fn compiling(max_stack_bytes: usize) -> wasmtime::Result<Engine> {
    Engine::new(&configuration(max_stack_bytes))
}

/// The engine that runs everything: pooled, or on demand where address space is short.
pub(crate) fn running(settings: &SandboxSettings) -> wasmtime::Result<Engine> {
    let mut config = configuration(settings.max_stack_bytes);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    let engine = Engine::new(&config).or_else(|error| {
        tracing::warn!(
            %error,
            "no address space for {} pooled instances; instances are made on demand, which is slower",
            settings.instances
        );
        Engine::new(&configuration(settings.max_stack_bytes))
    })?;
    tick(&engine)?;
    Ok(engine)
}

/// Room for every call that may run and every instance that may be kept warm, so that load waits at
/// the semaphore and never fails here.
fn pool(settings: &SandboxSettings) -> PoolingAllocationConfig {
    let running = settings.instances.saturating_add(settings.computing_instances);
    let slots = running.saturating_add(settings.warm.instances).max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(slots.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(slots.saturating_mul(TABLES_PER_COMPONENT))
        .total_stacks(slots)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memory_size(settings.largest_memory_bytes())
        .table_elements(settings.call.table_elements)
        .linear_memory_keep_resident(KEPT_MEMORY_BYTES)
        .table_keep_resident(KEPT_TABLE_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Ends with the engine: the thread holds it weakly.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, which does nothing but tick")]
fn tick(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("sandbox-tick".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}
