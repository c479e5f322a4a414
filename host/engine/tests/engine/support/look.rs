//! All runs of a bench at once.

use tombolo_core::ports::store::{Page, Reading, RunFilter, RunView};

use super::{Bench, PATIENCE};

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
        let look = async {
            loop {
                let views = self.views().await;
                if views.len() >= at_least && views.iter().all(|view| view.run.state.ended()) {
                    return views;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(views) => views,
            Err(_) => panic!("not {at_least} ended runs: {:#?}", self.views().await),
        }
    }

    /// The newest run of a workflow, once there is one and it has ended.
    pub async fn ended_of(&self, workflow: &str) -> RunView {
        let look = async {
            loop {
                let mut views = self.views().await.into_iter();
                if let Some(view) = views.find(|view| view.workflow_name == workflow) {
                    return self.ended(view.run.id).await;
                }
                tokio::task::yield_now().await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, look).await;
        ended.unwrap_or_else(|_| panic!("no run of {workflow}"))
    }
}
