//! The order of nodes, and the way round where there is none.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex as GraphIndex};

use super::{Compiler, Draft};
use crate::json::push_pointer;
use crate::workflow::issue::Issue;

impl Compiler<'_> {
    /// Positions of drafts in topological order, the file's order where edges leave a choice;
    /// None, and an issue that names the path, if edges go round.
    pub(super) fn order(&mut self, drafts: &[Draft<'_>]) -> Option<Vec<usize>> {
        let graph = graph(drafts);
        let mut open: Vec<usize> = graph
            .node_indices()
            .map(|vertex| graph.neighbors_directed(vertex, Direction::Incoming).count())
            .collect();
        let mut free: BTreeSet<usize> = (0..open.len()).filter(|at| open[*at] == 0).collect();
        let mut order = Vec::with_capacity(open.len());
        while let Some(at) = free.pop_first() {
            order.push(at);
            for next in graph.neighbors(GraphIndex::new(at)) {
                open[next.index()] -= 1;
                if open[next.index()] == 0 {
                    free.insert(next.index());
                }
            }
        }
        if order.len() == drafts.len() {
            return Some(order);
        }
        for path in cycles(&graph) {
            let names: Vec<_> = path.iter().map(|at| drafts[*at].name).collect();
            let pointer = format!("{}/after", push_pointer("/nodes", names[0]));
            let message = format!("edges go round: {} -> {}", names.join(" -> "), names[0]);
            self.add(Issue::new(pointer, "cycle", message));
        }
        None
    }
}

/// The drafts' edges; vertices have the drafts' positions.
fn graph(drafts: &[Draft<'_>]) -> DiGraph<usize, ()> {
    let mut graph = DiGraph::new();
    let vertices: BTreeMap<&str, GraphIndex> =
        drafts.iter().enumerate().map(|(at, draft)| (draft.name, graph.add_node(at))).collect();
    for draft in drafts {
        for (from, _) in &draft.edges {
            graph.add_edge(vertices[from], vertices[draft.name], ());
        }
    }
    graph
}

/// One path for each knot of nodes that lead to each other.
fn cycles(graph: &DiGraph<usize, ()>) -> Vec<Vec<usize>> {
    tarjan_scc(graph)
        .into_iter()
        .filter(|knot| knot.len() > 1 || graph.contains_edge(knot[0], knot[0]))
        .map(|knot| {
            let start = *knot.iter().min_by_key(|vertex| graph[**vertex]).unwrap_or(&knot[0]);
            let mut path = vec![start];
            let mut at = start;
            // Every vertex of the knot has a successor in it; follow until one comes again.
            while let Some(next) = graph.neighbors(at).find(|next| knot.contains(next)) {
                if let Some(first) = path.iter().position(|seen| *seen == next) {
                    path.drain(..first);
                    break;
                }
                path.push(next);
                at = next;
            }
            path.into_iter().map(|vertex| graph[vertex]).collect()
        })
        .collect()
}
