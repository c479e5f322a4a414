//! `GET /api/v1/runs/{id}/events`: a run's changes as server-sent events, until it ended.
//!
//! The interest is declared before the run is read for the snapshot, so nothing falls between the
//! snapshot and the first change. What is told is durable. A change may be older than the snapshot before it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tombolo_core::id::RunId;
use tombolo_core::ports::intake::{Change, Follow, Progress};
use tombolo_core::ports::store::RunView;

use super::model::RunDetail;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::{Kind, Problem};

/// A comment is sent after so much silence, so that nothing between closes the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What a follower is asked to wait who finds no place.
const FULL_RETRY: Duration = Duration::from_secs(5);
/// Changes may be lost so often in a row, without one between, before the stream ends: then the
/// process stops, or the follower is hopelessly slow.
const MAX_RESTARTS: u32 = 3;

/// Follows a run: first `event: snapshot` with the run as `GET /api/v1/runs/{id}` has it, then
/// `event: step` and `event: run` as they change. Ends after the run ended, or after an hour. When
/// changes were missed, another snapshot comes. `event: stopping` is the last one of a server that
/// stops: connect again.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}/events",
    tag = "runs",
    operation_id = "followRun",
    params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String))
)]
pub(crate) async fn follow(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<RunId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = app.followers.clone().try_acquire_owned().map_err(|_| {
        let limit = app.settings().max_followers;
        let detail = format!("{limit} runs are being followed (limit max_followers)");
        Problem::new(Kind::TooManyFollowers, detail).retry_after(FULL_RETRY)
    })?;
    // Only a run that is the caller's and goes on is followed.
    let view = super::find(&app, &caller, id).await?;
    let until = Instant::now() + app.settings().max_follow;
    let mut follower = Follower::new(app, caller, id, until, place);
    if view.run.state.ended() {
        follower.show(view);
    } else {
        follower.start_over().await?;
    }
    let stream = unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still here")))
}

/// One reader of one run.
struct Follower {
    app: Shared,
    caller: Caller,
    run: RunId,
    changes: Option<Box<dyn Follow>>,
    until: Instant,
    /// To be sent, in order.
    ready: VecDeque<Event>,
    /// Nothing follows what is ready.
    ended: bool,
    restarts: u32,
    counter: u64,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    fn new(
        app: Shared,
        caller: Caller,
        run: RunId,
        until: Instant,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            app,
            caller,
            run,
            changes: None,
            until,
            ready: VecDeque::new(),
            ended: false,
            restarts: 0,
            counter: 0,
            _place: place,
        }
    }

    /// None when the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let changes = self.changes.as_mut().filter(|_| !self.ended)?;
            let stopping = self.app.ports.stopping.cancelled();
            let change = tokio::time::timeout_at(self.until, changes.next());
            let change = tokio::select! {
                change = change => change,
                () = stopping => {
                    self.stop();
                    continue;
                }
            };
            match change {
                Err(_) => self.ended = true,
                Ok(Some(progress)) => self.tell(&progress),
                Ok(None) if self.restarts == MAX_RESTARTS => self.ended = true,
                Ok(None) => {
                    self.restarts += 1;
                    self.ended = self.start_over().await.is_err() || self.ended;
                }
            }
        }
    }

    fn show(&mut self, view: RunView) {
        self.ended = view.run.state.ended();
        self.push("snapshot", &RunDetail::from(view));
    }

    fn tell(&mut self, progress: &Progress) {
        self.restarts = 0;
        match &progress.change {
            Change::Step { node, item, state, attempt } => {
                let data = json!({"node": node, "item": item, "state": state, "attempt": attempt, "at": progress.at});
                self.push::<Value>("step", &data);
            }
            Change::Run { state } => {
                self.ended = state.ended();
                self.push::<Value>("run", &json!({"state": state, "at": progress.at}));
            }
        }
    }

    /// The process stops; the run goes on after its next start.
    fn stop(&mut self) {
        self.push::<Value>("stopping", &json!({}));
        self.ended = true;
    }

    /// Interest first, then the run as it stands.
    async fn start_over(&mut self) -> Result<(), Problem> {
        self.changes = Some(self.app.ports.intake.follow(self.caller.tenant, self.run));
        let view = super::find(&self.app, &self.caller, self.run).await?;
        self.show(view);
        Ok(())
    }

    fn push<T: Serialize>(&mut self, name: &str, data: &T) {
        let data = serde_json::to_string(data).unwrap_or_default();
        let event = Event::default().event(name).id(self.counter.to_string()).data(data);
        self.counter += 1;
        self.ready.push_back(event);
    }
}
