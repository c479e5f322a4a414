//! Compilation in a process of its own. This program is the test and, called with `compile`, the
//! process: so it has its own `main` and no test harness.

#[expect(dead_code, reason = "shared with the scenarios, which use the rest")]
#[path = "support/mod.rs"]
mod support;

use std::process::ExitCode;

use serde_json::json;
use support::wat_plugin::WatPlugin;
use support::{Call, component, settings};
use tombolo_core::ports::sandbox::{InstallError, Sandbox};
use tombolo_sandbox::{Compiler, SandboxSettings};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("compile") => return tombolo_sandbox::compile_worker(),
        // A compiler that never ends.
        Some("hang") => loop {
            std::thread::park();
        },
        _ => {}
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        code_of_another_process_runs().await;
        println!("test code_of_another_process_runs ... ok");
        a_compiler_without_memory_is_named().await;
        println!("test a_compiler_without_memory_is_named ... ok");
        a_compiler_that_hangs_is_killed().await;
        println!("test a_compiler_that_hangs_is_killed ... ok");
    });
    ExitCode::SUCCESS
}

fn lab(settings: SandboxSettings, argument: &str) -> (support::Lab, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let evaluator = component("plugin_jq");
    let compiler = Compiler::Process {
        program: std::env::current_exe().expect("this program"),
        arguments: vec![argument.to_owned()],
    };
    (support::Lab::compiling(settings, folder.path(), evaluator, compiler), folder)
}

async fn code_of_another_process_runs() {
    let (lab, _folder) = lab(settings(), "compile");
    let abuse = lab.install("guest_abuse").await;
    assert_eq!(lab.output(Call::new(abuse, "echo", json!([1]))).await, json!([1]));
}

async fn a_compiler_without_memory_is_named() {
    let mut settings = settings();
    settings.compile_memory_bytes = 64 * 1024 * 1024;
    let (lab, _folder) = lab(settings, "compile");
    let error = lab.sandbox.install(component("plugin_jq")).await.expect_err("too little memory");
    let InstallError::CompileFailed { reason } = &error else { panic!("{error}") };
    assert!(reason.contains("compile_memory_bytes"), "{reason}");
}

async fn a_compiler_that_hangs_is_killed() {
    let mut settings = settings();
    settings.compile_timeout_ms = 200;
    let (lab, _folder) = lab(settings, "hang");
    for _ in 0..2 {
        let error = lab.sandbox.install(WatPlugin::default().build()).await.expect_err("no answer");
        let InstallError::CompileFailed { reason } = &error else { panic!("{error}") };
        assert!(reason.contains("compile_timeout_ms"), "{reason}");
    }
}
