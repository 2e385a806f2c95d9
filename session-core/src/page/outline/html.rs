//! The outline of a page: its elements as far as they are known, and how much text is in them.

use std::{cell::RefCell, rc::Rc};

use lol_html::{
    AsciiCompatibleEncoding, DocumentContentHandlers, ElementContentHandlers, HtmlRewriter, MemorySettings,
    Settings, element,
    html_content::{Comment, Element, TextChunk, TextType},
};

use super::{
    super::{PARSER_BYTES, charset},
    tree::{MOST_DEPTH, Node},
    words::{ATTRIBUTES, ELEMENTS, FIELDS, SCRIPT_WORDS, held, listed},
};

/// Elements that end where another of their kind begins.
const ENDED_BY_NEXT: [&str; 8] = ["dd", "dt", "li", "option", "p", "td", "th", "tr"];

/// The tree of a page, or of any text: that is a page of text alone.
pub(super) fn tree(page: &[u8], content_type: Option<&str>) -> Node {
    let growing = Rc::new(RefCell::new(Growing::new()));
    let mut rewriter = rewriter(&growing, content_type);
    let is_read = rewriter.write(page).is_ok() && rewriter.end().is_ok();
    let mut growing = growing.borrow_mut();
    growing.close_to(0);
    if !is_read {
        growing.root.take(Node::new("unreadable from here"));
    }
    std::mem::replace(&mut growing.root, Node::new(""))
}

fn rewriter(growing: &Rc<RefCell<Growing>>, content_type: Option<&str>) -> HtmlRewriter<'static, fn(&[u8])> {
    let declared = content_type.and_then(charset);
    let element = Rc::clone(growing);
    let elements: (_, ElementContentHandlers<'static>) = element!("*", move |seen| {
        see_element(&element, seen);
        Ok(())
    });
    let settings = Settings::new()
        .with_encoding(declared.unwrap_or_else(AsciiCompatibleEncoding::utf_8))
        .with_adjust_charset_on_meta_tag(declared.is_none())
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(PARSER_BYTES))
        .with_strict(false)
        .append_document_content_handler(between_elements(growing))
        .append_element_content_handler(elements);
    let ignore: fn(&[u8]) = |_| {};
    HtmlRewriter::new(settings, ignore)
}

fn between_elements(growing: &Rc<RefCell<Growing>>) -> DocumentContentHandlers<'static> {
    let (text, comment) = (Rc::clone(growing), Rc::clone(growing));
    DocumentContentHandlers::default()
        .text(move |chunk: &mut TextChunk<'_>| {
            text.borrow_mut().see_text(chunk);
            Ok(())
        })
        .comments(move |seen: &mut Comment<'_>| {
            let length = seen.text().chars().count();
            comment.borrow_mut().put(Node::sized("comment", length));
            Ok(())
        })
}

fn see_element(growing: &Rc<RefCell<Growing>>, element: &mut Element<'_, '_>) {
    let name = listed(&ELEMENTS, &element.tag_name()).unwrap_or("other");
    let node = Node::new(format!("{name}{}", attributes(element)));
    let opened = growing
        .borrow_mut()
        .open(name, node, element.end_tag_handlers().is_some());
    if let (Some(depth), Some(handlers)) = (opened, element.end_tag_handlers()) {
        let growing = Rc::clone(growing);
        handlers.push(Box::new(move |_tag| {
            growing.borrow_mut().close_to(depth);
            Ok(())
        }));
    }
}

/// The names of attributes, those unknown as one star at the end, and the value of `name` where it is known.
fn attributes(element: &Element<'_, '_>) -> String {
    let mut names = Vec::new();
    let mut others = false;
    for attribute in element.attributes() {
        let name = attribute.name();
        match listed(&ATTRIBUTES, &name) {
            Some("name") => match listed(&FIELDS, &attribute.value()) {
                Some(field) => names.push(format!("name={field}")),
                None => names.push("name".to_owned()),
            },
            Some(known) => names.push(known.to_owned()),
            None => others = true,
        }
    }
    names.extend(others.then(|| "*".to_owned()));
    if names.is_empty() {
        String::new()
    } else {
        format!("[{}]", names.join(" "))
    }
}

/// A tree that grows: elements that are open, each in the one before.
struct Growing {
    root: Node,
    open: Vec<Node>,
    text: Length,
    script: Option<String>,
}

/// How many characters a text has without the blanks around it.
#[derive(Default)]
struct Length {
    seen: usize,
    blanks: usize,
}

impl Growing {
    fn new() -> Self {
        Self {
            root: Node::new(""),
            open: Vec::new(),
            text: Length::default(),
            script: None,
        }
    }

    /// Takes an element; answers how deep it lies if what follows is in it.
    fn open(&mut self, name: &str, node: Node, holds: bool) -> Option<usize> {
        self.end_text();
        if ENDED_BY_NEXT.contains(&name) && self.open.last().is_some_and(|last| last.is_named(name)) {
            self.close_to(self.open.len().saturating_sub(1));
        }
        let depth = self.open.len();
        if holds && depth < MOST_DEPTH {
            self.open.push(node);
            return Some(depth);
        }
        self.hang(node);
        None
    }

    fn close_to(&mut self, depth: usize) {
        self.end_text();
        while self.open.len() > depth
            && let Some(node) = self.open.pop()
        {
            self.hang(node);
        }
    }

    fn put(&mut self, node: Node) {
        self.end_text();
        self.hang(node);
    }

    fn hang(&mut self, node: Node) {
        self.open.last_mut().unwrap_or(&mut self.root).take(node);
    }

    fn see_text(&mut self, chunk: &TextChunk<'_>) {
        if chunk.text_type() == TextType::ScriptData {
            self.script.get_or_insert_default().push_str(chunk.as_str());
        }
        for char in chunk.as_str().chars() {
            self.text.count(char);
        }
        if chunk.last_in_text_node() {
            self.end_text();
        }
    }

    fn end_text(&mut self) {
        let script = self.script.take();
        let Length { seen, .. } = std::mem::take(&mut self.text);
        if seen == 0 {
            return;
        }
        self.hang(match script {
            Some(script) => Node::sized("code", seen).with_words(held(&SCRIPT_WORDS, &script)),
            None => Node::sized("text", seen),
        });
    }
}

impl Length {
    const fn count(&mut self, char: char) {
        if !char.is_whitespace() {
            self.seen = self.seen.saturating_add(self.blanks).saturating_add(1);
            self.blanks = 0;
        } else if self.seen > 0 {
            self.blanks = self.blanks.saturating_add(1);
        }
    }
}
