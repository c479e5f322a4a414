//! `cargo xtask`: the commands that developers and the build server run.
//!
//! Owns how things are built, shown and checked. Never holds product code, and depends on no crate
//! of the house, so that it is compiled in seconds.

mod bench;
mod build;
mod demo;
mod faults;
mod keep;
mod metadata;
mod place;
mod program;
mod setup;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use crate::demo::{Builds, Ending};
use crate::place::Place;

const HELP: &str = "\
Developer commands of Tombolo.

Usage: cargo xtask <command>

Commands:
  setup           Check the Rust toolchain and add the target wasm32-wasip2 if it is missing
  plugins         Compile all plugins to WebAssembly components
  demo [options]  Build everything, start Tombolo and stand-ins of HubSpot and Asana, and bring one
                  signed webhook through a workflow. Stays up until ctrl-c, or leaves with --once.
                  With --built it takes what was built before
  test [filter]   Run every check: format, rules, lints, documentation, tests, generated files, a
                  short round of the benchmarks, demo. With a filter: only the tests whose names
                  contain it
  faults [times]  Run the fault suites (random histories, deaths at every write, kill -9, power
                  cuts, full disks) so many times as long as the tests do; 10 unless said otherwise
  tidy            Check the rules that a reviewer would forget. Compiles nothing
  generate        Write the files that are generated from the code
  bench [...]     Run the benchmarks; `cargo xtask bench --help` lists them

The first build takes about a quarter of an hour on two cores, because wasmtime is part of it.
";

/// The demo leaves when it has shown everything.
const ONCE: &str = "--once";

/// The demo builds nothing.
const BUILT: &str = "--built";

const DEMO_OPTIONS: [&str; 2] = [ONCE, BUILT];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match arguments {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        // The benchmarks have a help of their own.
        [command, "--help" | "-h"] if *command != "bench" => dispatch(&[]),
        ["setup"] => setup::run(&Place::find()?).map(done),
        ["plugins"] => build::plugins(&Place::find()?).map(done),
        ["demo", options @ ..] if options.iter().all(|option| DEMO_OPTIONS.contains(option)) => {
            let builds = if options.contains(&BUILT) { Builds::Done } else { Builds::Needed };
            let ending = if options.contains(&ONCE) { Ending::Once } else { Ending::CtrlC };
            demo::run(&Place::find()?, builds, ending).map(done)
        }
        ["test"] => test::run(&Place::find()?),
        ["test", filter] if !filter.starts_with('-') => test::run_filtered(&Place::find()?, filter),
        ["faults"] => faults::run(&Place::find()?, faults::DEFAULT_TIMES).map(done),
        ["faults", times] if times.parse::<u32>().is_ok() => {
            faults::run(&Place::find()?, times.parse()?).map(done)
        }
        ["tidy"] => tidy::run(&Place::find()?).map(done),
        ["generate"] => build::generate(&Place::find()?).map(done),
        ["bench", rest @ ..] => bench::run(&Place::find()?, rest).map(done),
        [keep::COMMAND, command @ ..] => keep::run(command),
        _ => {
            eprint!("error: `{}` is not a command\n\n{HELP}", arguments.join(" "));
            Ok(ExitCode::from(2))
        }
    }
}
