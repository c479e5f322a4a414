//! Asks a plugin what it is: in a fresh instance that reaches nothing, with a clock at zero and the
//! same randomness every time, under bounds much tighter than those of a call.

use std::time::Duration;

use tombolo_core::clock::Timestamp;
use tombolo_core::descriptor::Descriptor;
use tombolo_core::ports::sandbox::InstallError;

use crate::bindings::PluginPre;
use crate::clock::Time;
use crate::descriptor;
use crate::guest::{Call, Guest, Setup};
use crate::random::Random;
use crate::runner::{Answer, Reach, Request, Runner, Work, ticks};
use crate::settings::SandboxSettings;
use crate::state::StateBuffer;

pub(crate) async fn describe(
    runner: &Runner,
    settings: &SandboxSettings,
    plugin: &PluginPre<Guest>,
) -> Result<Descriptor, InstallError> {
    let failed = |reason: String| InstallError::DescribeFailed { reason };
    let request = Request {
        work: Work::Describe,
        reach: Reach::Inside,
        timeout: Duration::from_millis(settings.describe.timeout_ms),
        output_bytes: settings.describe.output_bytes,
        keep: None,
        interrupt: None,
    };
    let setup = |_ends| Setup {
        call: Call {
            caller: None,
            connection: None,
            deadline: Timestamp(0),
            time: Time::Frozen(Timestamp(0)),
            ticks: ticks(settings.describe.timeout_ms),
        },
        random: Random::seeded("describe", settings.call.random_bytes),
        state: StateBuffer::new(None, settings.state),
        session: None,
        memory_bytes: settings.describe.memory_bytes,
    };
    let ran = runner.run(plugin, request, setup).await;
    match ran.answer {
        Ok(Answer::Described(text)) => tokio::task::spawn_blocking(move || descriptor::read(&text))
            .await
            .map_err(|error| failed(error.to_string()))?,
        Ok(Answer::Done(_) | Answer::Failed(_)) => {
            Err(failed("the plugin answered something else".to_owned()))
        }
        Err(failure) => Err(failed(format!("{}: {}", failure.code(), failure.message()))),
    }
}
