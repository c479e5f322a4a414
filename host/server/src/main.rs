//! The binary `tombolo`: configuration, wiring, command line.

mod assemble;
mod callbacks;
mod checkpoint_file;
mod cli;
mod config;
mod copying;
mod data_dir;
mod database;
mod first_start;
mod in_store;
mod keys;
mod listen;
mod logs;
mod notary;
mod place;
mod roles;
mod serve;
mod system;

use std::process::ExitCode;

use clap::Parser;

/// Half the processor time of the system's allocator, which takes a fifth of that of a run: what
/// one thread makes another one drops. Measured with `cargo xtask bench w1 w4`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A component is compiled in a process of its own that can be killed; see `assemble`.
    if std::env::args_os().nth(1).is_some_and(|first| first == assemble::COMPILE_WORKER) {
        return tombolo_sandbox::compile_worker();
    }
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tombolo: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli::run(cli)) {
        Ok(code) => code,
        Err(error) => cli::report(&error),
    }
}
