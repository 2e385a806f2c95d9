//! An outline before it is written: nodes in nodes, those alike folded into one.

use std::{collections::BTreeSet, fmt::Write};

use super::OUTLINE_BYTES;

/// How deep a tree goes; what lies deeper is counted with what holds it.
pub(super) const MOST_DEPTH: usize = 40;

/// How deep it is shown: the deepest that fits.
const SHOWN_DEPTHS: [usize; 8] = [MOST_DEPTH, 16, 12, 10, 8, 6, 5, 4];

/// How many siblings may lie between two that are alike for them to be folded: heads have such things by turns.
const NEAR: usize = 32;

/// Written where something was left out.
const LEFT_OUT: &str = "…";

/// An element, a text, a value.
#[derive(Debug)]
pub(super) struct Node {
    label: String,
    length: Option<usize>,
    words: Vec<&'static str>,
    times: usize,
    inner: Vec<Self>,
}

/// Lengths are no difference: twelve items of a list are twelve of a kind.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.times == other.times && self.is_alike(other)
    }
}

impl Node {
    pub(super) fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            length: None,
            words: Vec::new(),
            times: 1,
            inner: Vec::new(),
        }
    }

    pub(super) fn sized(label: &str, length: usize) -> Self {
        Self {
            length: Some(length),
            ..Self::new(label)
        }
    }

    pub(super) fn with_words(self, words: Vec<&'static str>) -> Self {
        Self { words, ..self }
    }

    /// Puts a node in, or onto one that is alike, if there is one near.
    pub(super) fn take(&mut self, node: Self) {
        let alike = self
            .inner
            .iter_mut()
            .rev()
            .take(NEAR)
            .find(|near| near.is_alike(&node));
        match alike {
            Some(alike) => {
                alike.times = alike.times.saturating_add(node.times);
                alike.keep_longest(&node);
            }
            None => self.inner.push(node),
        }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.label.split('[').next() == Some(name)
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.label == other.label && self.words == other.words && self.inner == other.inner
    }

    fn keep_longest(&mut self, other: &Self) {
        self.length = self.length.max(other.length);
        for (mine, theirs) in self.inner.iter_mut().zip(&other.inner) {
            mine.keep_longest(theirs);
        }
    }

    fn gather_words(&self, words: &mut BTreeSet<&'static str>) {
        words.extend(&self.words);
        for inner in &self.inner {
            inner.gather_words(words);
        }
    }

    fn write_label(&self, out: &mut String) {
        out.push_str(&self.label);
        if let Some(length) = self.length {
            // Writing to a string can't fail.
            let _ = write!(out, " {length}");
        }
        if !self.words.is_empty() {
            let _ = write!(out, " ({})", self.words.join(" "));
        }
        if self.times > 1 {
            let _ = write!(out, " ×{}", self.times);
        }
    }
}

/// The outline: its title, and what is in `root`, as deep as there is room for. Where it has to be cut all the same, what
/// scripts hold is told first.
pub(super) fn written(title: &str, root: &Node) -> String {
    for depth in SHOWN_DEPTHS {
        let lines = Lines::of(title.to_owned(), root, depth);
        if !lines.is_cut {
            return lines.text;
        }
    }
    let [.., least] = SHOWN_DEPTHS;
    let mut words = BTreeSet::new();
    root.gather_words(&mut words);
    let words: Vec<_> = words.into_iter().collect();
    let told = if words.is_empty() {
        "nothing known".to_owned()
    } else {
        words.join(" ")
    };
    Lines::of(format!("{title}\nscripts hold: {told}"), root, least).text
}

struct Lines {
    text: String,
    depth: usize,
    is_cut: bool,
}

impl Lines {
    fn of(title: String, root: &Node, depth: usize) -> Self {
        let mut lines = Self {
            text: title,
            depth,
            is_cut: false,
        };
        lines.write_inner(root, 0, 0);
        lines
    }

    fn write_inner(&mut self, node: &Node, depth: usize, indent: usize) {
        for inner in &node.inner {
            if self.is_cut {
                return;
            }
            let mut line = format!("\n{}", " ".repeat(indent));
            let (last, depth) = self.write_chain(inner, depth, &mut line);
            self.push(&line);
            if depth < self.depth {
                self.write_inner(last, depth, indent.saturating_add(1));
            }
        }
    }

    /// Writes what holds only one thing, and that, on one line; answers the last of them, and how deep its own lie.
    fn write_chain<'a>(&self, mut node: &'a Node, mut depth: usize, line: &mut String) -> (&'a Node, usize) {
        node.write_label(line);
        depth = depth.saturating_add(1);
        while depth < self.depth
            && let [only] = node.inner.as_slice()
        {
            line.push_str(" > ");
            only.write_label(line);
            node = only;
            depth = depth.saturating_add(1);
        }
        if depth >= self.depth && !node.inner.is_empty() {
            line.push_str(" > ");
            line.push_str(LEFT_OUT);
        }
        (node, depth)
    }

    fn push(&mut self, line: &str) {
        let room = OUTLINE_BYTES.saturating_sub(self.text.len());
        if line.len().saturating_add(LEFT_OUT.len()).saturating_add(1) <= room {
            self.text.push_str(line);
        } else {
            self.is_cut = true;
            self.text.push('\n');
            self.text.push_str(LEFT_OUT);
        }
    }
}
