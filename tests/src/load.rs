//! Something to do for hosts: senders that send until they are answered, a workflow with a call that
//! may be repeated and one that may not, and the sinks that count these calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::host::{Answer, Host, HostOptions, POLL_LIMIT, poll};
use crate::sink::{Recording, Sink, SinkOptions};

const SENDERS: usize = 16;

/// The longest that the last calls may take to come.
const LAST_CALLS: Duration = Duration::from_secs(20);

/// What hosts are given to do: events, and two sinks that their runs call.
pub struct Load {
    keyed: Sink,
    once: Sink,
    /// The run that was told for each event.
    taken: Mutex<BTreeMap<usize, String>>,
    /// Answers that asked to send again.
    refused: Mutex<Vec<Answer>>,
}

impl Load {
    /// Starts the sinks.
    pub fn start() -> anyhow::Result<Self> {
        let recording = SinkOptions { recording: Recording::Arrivals, ..SinkOptions::default() };
        let (keyed, once) = (Sink::start(recording)?, Sink::start(recording)?);
        let (taken, refused) = Default::default();
        Ok(Self { keyed, once, taken, refused })
    }

    /// Options of a host that may call the sinks.
    pub fn allowed(&self, options: HostOptions) -> HostOptions {
        options.allow(&self.keyed.origin()).allow(&self.once.origin())
    }

    /// Sets the connections, and applies the workflow.
    pub async fn prepare(&self, host: &Host) -> anyhow::Result<()> {
        host.connection("keyed", json!({"base_url": self.keyed.origin()})).await?;
        host.connection("once", json!({"base_url": self.once.origin()})).await?;
        host.apply(&workflow()).await?;
        Ok(())
    }

    /// Sends these events to the host, each until it is taken.
    pub async fn send(
        &self,
        host: &Host,
        events: impl Iterator<Item = usize>,
    ) -> anyhow::Result<()> {
        let sent: Vec<anyhow::Result<()>> = stream::iter(events)
            .map(async |event| self.send_until_taken(host, event).await)
            .buffer_unordered(SENDERS)
            .collect()
            .await;
        sent.into_iter().collect()
    }

    async fn send_until_taken(&self, host: &Host, event: usize) -> anyhow::Result<()> {
        let answer = poll("an event to be taken", async || {
            // No answer: the process may be dead at this moment.
            let Ok(answer) = host.deliver("load", &json!({"id": event})).await else {
                return Ok(None);
            };
            if answer.status != 202 {
                self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                return Ok(None);
            }
            Ok(Some(answer.json()))
        });
        let answer = answer.await?;
        let run = answer["runs"][0].as_str().with_context(|| answer.to_string())?;
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(event, run.to_owned());
        Ok(())
    }

    /// How many events were taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Answers so far that asked to send again.
    pub fn refused(&self) -> Vec<Answer> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks that every event that was taken has its run, which has ended, and one call that may be
    /// repeated at least and one that may not at most. Returns a line of counts.
    pub async fn check(&self, host: &Host) -> anyhow::Result<String> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut succeeded, mut unknown) = (0, 0);
        for (event, run) in &taken {
            let run = host.ended(run).await.with_context(|| format!("event {event}"))?;
            ensure!(run.state_of("work") == "succeeded", "{run}");
            match (run.state(), run.state_of("once")) {
                ("succeeded", "succeeded") => succeeded += 1,
                // Cut off in the middle of the call: nobody can know.
                ("failed", "unknown") => unknown += 1,
                _ => anyhow::bail!("it ended in another way\n{run}"),
            }
        }
        let runs: BTreeSet<&String> = taken.values().collect();
        let on_record = host.all_runs("").await?.len();
        ensure!(runs.len() == taken.len() && on_record == taken.len(), "{on_record} runs");
        self.check_calls(taken.len(), succeeded).await?;
        Ok(format!("{} events taken, {unknown} runs unknown, lost=0", taken.len()))
    }

    async fn check_calls(&self, taken: usize, succeeded: usize) -> anyhow::Result<()> {
        self.keyed.wait_for(taken as u64, LAST_CALLS).await?;
        let (keyed, once) = (self.keyed.counts(), self.once.counts());
        // One key for each event, however often it was called.
        ensure!(keyed.distinct_ids == taken as u64, "{taken} events, {keyed:?}");
        ensure!(keyed.distinct_keys == taken as u64, "{taken} events, {keyed:?}");
        ensure!(once.repeated_ids == 0, "an unsafe call was repeated: {once:?}");
        ensure!(once.distinct_ids >= succeeded as u64, "{succeeded} succeeded, {once:?}");
        Ok(())
    }

    /// Waits until an answer that came after so many others asks to send again.
    pub async fn wait_for_refusal(&self, after: usize) -> anyhow::Result<Answer> {
        poll("a refusal", async || Ok(self.refused().into_iter().nth(after))).await
    }

    /// Waits for so many events to be taken.
    pub async fn wait_for_taken(&self, events: usize) -> anyhow::Result<()> {
        let what = format!("{events} events to be taken within {POLL_LIMIT:?}");
        poll(&what, async || Ok((self.taken() >= events).then_some(()))).await
    }
}

fn workflow() -> Value {
    let post = |connection: &str, after: &str| {
        json!({
            "use": "http.request", "connection": connection, "after": [after],
            "with": {"method": "POST", "path": "/hit", "json": "${ .steps.work }"}
        })
    };
    let (mut keyed, once) = (post("keyed", "work"), post("once", "keyed"));
    keyed["effect"] = "keyed".into();
    keyed["retry"] = json!({"attempts": 20, "backoff": {"first": "10ms", "max": "10ms"}});
    let on = json!({"path": "load", "verify": "none", "dedupe": "${ .id }"});
    json!({
        "name": "load",
        "triggers": {"event": {"webhook": on}},
        "nodes": {
            "work": {"use": "data.map", "with": {
                "input": "${ .trigger }", "program": "{id, note: \"event \\(.id)\"}"
            }},
            "keyed": keyed,
            "once": once,
        }
    })
}
