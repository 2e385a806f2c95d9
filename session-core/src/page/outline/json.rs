//! The outline of a JSON text: keys that are known, and of what kind their values are.

use serde_json::Value;

use super::{
    tree::{MOST_DEPTH, Node},
    words::{KEYS, listed},
};

/// The tree of a text that begins as JSON does.
pub(super) fn tree(text: &[u8]) -> Node {
    let mut root = Node::new("");
    let read = serde_json::from_str::<Value>(&String::from_utf8_lossy(text));
    root.take(read.map_or_else(
        |error| Node::new(if error.is_eof() { "broken off" } else { "not JSON" }),
        |value| node("", &value, 1),
    ));
    root
}

fn node(key: &str, value: &Value, depth: usize) -> Node {
    let label = |kind: &str| format!("{key}{kind}");
    let mut node = match value {
        Value::Null => Node::new(label("null")),
        Value::Bool(_) => Node::new(label("boolean")),
        Value::Number(_) => Node::new(label("number")),
        Value::String(text) => Node::sized(&label("string"), text.chars().count()),
        Value::Array(_) => Node::new(label("array")),
        Value::Object(_) => Node::new(label("object")),
    };
    if depth < MOST_DEPTH {
        for inner in inner_of(value, depth.saturating_add(1)) {
            node.take(inner);
        }
    }
    node
}

fn inner_of(value: &Value, depth: usize) -> Vec<Node> {
    match value {
        Value::Array(values) => values.iter().map(|value| node("", value, depth)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let key = listed(&KEYS, key).unwrap_or("*");
                node(&format!("{key}: "), value, depth)
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
