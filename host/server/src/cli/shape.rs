//! A DAG drawn as a tree: every node once, below the last of the nodes that it waits for.
//!
//! Knows names and edges only; what stands beside a name is the business of whoever draws.

use serde_json::Value;

/// A node of a workflow's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShapeNode {
    /// Its name.
    pub(super) name: String,
    /// `plugin.operation` or a built-in.
    pub(super) uses: String,
    /// The connection that it calls out through.
    pub(super) connection: Option<String>,
    /// `node` or `node.port`, as written.
    pub(super) after: Vec<String>,
}

/// A line of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch {
    /// What stands before the name: `│  └─ `.
    pub(super) lead: String,
    /// What stands before further lines about the same node, and before its children.
    pub(super) below: String,
    /// Position of the node in the list that was given.
    pub(super) node: usize,
    /// Edges other than the one that is drawn.
    pub(super) also_after: Vec<String>,
}

/// The nodes of a definition, in the order of the file.
pub(super) fn nodes(definition: &Value) -> Vec<ShapeNode> {
    let text = |node: &Value, key: &str| node[key].as_str().map(str::to_owned);
    let node = |(name, node): (&String, &Value)| ShapeNode {
        name: name.clone(),
        uses: text(node, "use").unwrap_or_default(),
        connection: text(node, "connection"),
        after: node["after"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|edge| edge.as_str().map(str::to_owned))
            .collect(),
    };
    definition["nodes"].as_object().into_iter().flatten().map(node).collect()
}

/// Draws the nodes. Edges to nodes that are not there are left out, and so are those of a cycle,
/// which no applied workflow has.
pub(super) fn tree(nodes: &[ShapeNode]) -> Vec<Branch> {
    let shape = Shape::of(nodes);
    let mut branches = Vec::with_capacity(nodes.len());
    shape.draw(None, "", &mut branches);
    branches
}

struct Shape<'a> {
    nodes: &'a [ShapeNode],
    /// The node above, and which of the edges leads to it.
    above: Vec<Option<(usize, usize)>>,
}

impl<'a> Shape<'a> {
    fn of(nodes: &'a [ShapeNode]) -> Self {
        let parents: Vec<Vec<Option<usize>>> = nodes
            .iter()
            .map(|node| node.after.iter().map(|edge| parent(nodes, edge)).collect())
            .collect();
        let depths = depths(&parents);
        let above = parents
            .iter()
            .zip(&depths)
            .map(|(edges, depth)| {
                // The last one to end: the deepest; of several, the first that is written.
                let known = edges.iter().enumerate().filter_map(|(edge, at)| Some(((*at)?, edge)));
                known
                    .filter(|(at, _)| depths[*at] < *depth)
                    .max_by_key(|(at, edge)| (depths[*at], usize::MAX - *edge))
            })
            .collect();
        Self { nodes, above }
    }

    fn draw(&self, above: Option<usize>, lead: &str, branches: &mut Vec<Branch>) {
        let children: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.above[*node].map(|(at, _)| at) == above)
            .collect();
        for child in &children {
            let last = children.last() == Some(child);
            let (corner, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let drawn = self.above[*child].map(|(_, edge)| edge);
            let edges = self.nodes[*child].after.iter().enumerate();
            branches.push(Branch {
                lead: format!("{lead}{corner}"),
                below: format!("{lead}{below}"),
                node: *child,
                also_after: edges
                    .filter(|(edge, _)| drawn.is_some_and(|drawn| drawn != *edge))
                    .map(|(_, edge)| edge.clone())
                    .collect(),
            });
            self.draw(Some(*child), &format!("{lead}{below}"), branches);
        }
    }
}

/// The node that an edge comes from: `node` or `node.port`.
fn parent(nodes: &[ShapeNode], edge: &str) -> Option<usize> {
    let name = edge.split_once('.').map_or(edge, |(name, _)| name);
    nodes.iter().position(|node| node.name == name)
}

/// The longest way to each node. Ends for cycles, too: no way is longer than there are nodes.
fn depths(parents: &[Vec<Option<usize>>]) -> Vec<usize> {
    let mut depths = vec![0; parents.len()];
    for _ in 0..parents.len() {
        let mut changed = false;
        for (node, edges) in parents.iter().enumerate() {
            let depth = edges.iter().flatten().map(|at| depths[*at] + 1).max().unwrap_or(0);
            let depth = depth.min(parents.len());
            changed |= depth != depths[node];
            depths[node] = depth;
        }
        if !changed {
            break;
        }
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::{ShapeNode, nodes, tree};
    use serde_json::json;

    fn draw(nodes: &[(&str, &[&str])]) -> Vec<String> {
        let nodes: Vec<ShapeNode> = nodes
            .iter()
            .map(|(name, after)| ShapeNode {
                name: (*name).to_owned(),
                uses: String::new(),
                connection: None,
                after: after.iter().map(|edge| (*edge).to_owned()).collect(),
            })
            .collect();
        let line = |branch: &super::Branch| {
            let also = branch.also_after.join(",");
            format!("{}{} {also}", branch.lead, nodes[branch.node].name).trim_end().to_owned()
        };
        tree(&nodes).iter().map(line).collect()
    }

    #[test]
    fn a_chain_and_two_branches() {
        assert_eq!(
            draw(&[
                ("deal", &[]),
                ("tier", &["deal"]),
                ("big", &["tier.enterprise"]),
                ("small", &["tier.x"]),
                ("log", &[])
            ]),
            ["├─ deal", "│  └─ tier", "│     ├─ big", "│     └─ small", "└─ log"]
        );
    }

    #[test]
    fn a_diamond_is_drawn_below_the_last_one_and_names_the_other_edges() {
        assert_eq!(
            draw(&[
                ("a", &[]),
                ("b", &["a"]),
                ("c", &["b"]),
                ("d", &["a.error", "c", "b"]),
                ("e", &["b", "d"])
            ]),
            ["└─ a", "   └─ b", "      └─ c", "         └─ d a.error,b", "            └─ e b"]
        );
    }

    #[test]
    fn cycles_and_unknown_nodes_lose_no_node() {
        let drawn = draw(&[("a", &["b"]), ("b", &["a"]), ("c", &["ghost"]), ("d", &["d"])]);
        assert_eq!(drawn.len(), 4, "{drawn:?}");
    }

    #[test]
    fn the_definition_is_read_in_the_order_of_the_file() {
        let definition = json!({"nodes": {
            "z": {"use": "hubspot.get-deal", "connection": "hubspot"},
            "a": {"use": "set", "after": ["z"]},
        }});
        let nodes = nodes(&definition);
        assert_eq!(
            (nodes[0].name.as_str(), nodes[0].connection.as_deref()),
            ("z", Some("hubspot"))
        );
        assert_eq!(
            (nodes[1].uses.as_str(), nodes[1].after.as_slice()),
            ("set", &["z".to_owned()][..])
        );
    }
}
