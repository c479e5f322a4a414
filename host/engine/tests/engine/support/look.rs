//! All runs of a bench at once.

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Page, Reading, RunFilter, RunView};

use super::{Bench, eventually};

impl Bench {
    /// All runs, the newest first.
    pub async fn views(&self) -> Vec<RunView> {
        let page = Page { after: None, limit: 100 };
        let runs = self.store.runs(self.tenant, &RunFilter::default(), page).await.unwrap();
        let mut views = Vec::new();
        for summary in runs {
            views.push(self.store.run(self.tenant, summary.run.id).await.unwrap().unwrap());
        }
        views
    }

    /// All runs, once there are at least so many and all have ended. What a run starts is stored with
    /// its end, so nothing follows.
    pub async fn all_ended(&self, at_least: usize) -> Vec<RunView> {
        let what = format!("{at_least} runs that have ended");
        eventually(&what, async || {
            let views = self.views().await;
            let all = views.len() >= at_least && views.iter().all(|view| view.run.state.ended());
            all.then_some(views)
        })
        .await
    }

    /// The newest run of a workflow, once there is one and it has ended.
    pub async fn ended_of(&self, workflow: &str) -> RunView {
        self.ended(self.newest_of(workflow).await).await
    }

    /// The newest run of a workflow, once there is one.
    pub async fn newest_of(&self, workflow: &str) -> RunId {
        eventually(&format!("a run of {workflow}"), async || {
            let mut views = self.views().await.into_iter();
            views.find(|view| view.workflow_name == workflow).map(|view| view.run.id)
        })
        .await
    }
}
