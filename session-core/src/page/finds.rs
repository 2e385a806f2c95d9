//! What `lol_html`'s handlers gather: values from scripts that a browser would run, and a login form's fields.

use std::{borrow::Cow, cell::RefCell, rc::Rc};

use lol_html::{
    ElementContentHandlers, Selector, element,
    html_content::{Element, TextChunk, TextType},
};

use super::{
    calls::Key,
    lexer::{Grammar, Lexer},
};

/// What was found so far, and the script that is being read.
pub(super) struct Finds {
    pub(super) refresh_token: Option<String>,
    pub(super) fingerprint: Option<String>,
    /// A call that sets the token was begun, or a script was given up.
    pub(super) may_set_token: bool,
    pub(super) fields: LoginFields,
    pub(super) recent: Recent,
    script: Option<Script>,
    script_bytes: u64,
    /// The element at hand is inside of a `<template>`.
    inert: bool,
}

/// The fields of upstream's login form.
pub(super) struct LoginFields {
    mail: bool,
    password: bool,
}

impl LoginFields {
    pub(super) const fn are_both_there(&self) -> bool {
        self.mail && self.password
    }
}

/// What happened since last asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recent {
    Nothing,
    /// A value was found in the script that is being read.
    Find,
    /// A value was found, and its script has ended.
    FindAndEnd,
}

struct Script {
    lexer: Lexer,
    left: u64,
}

type Handler = (Cow<'static, Selector>, ElementContentHandlers<'static>);

thread_local! {
    /// Parsed once: for a small page that takes longer than to read it.
    static SELECTORS: [Selector; 4] = [
        element!("template script", |_element| Ok(())),
        element!("template input[name]", |_element| Ok(())),
        element!("script", |_element| Ok(())),
        element!("input[name]", |_element| Ok(())),
    ]
    .map(|(selector, _): Handler| selector.into_owned());
}

/// Handlers run in this order: what is in a template is marked before it is looked at.
pub(super) fn handlers(finds: &Rc<RefCell<Finds>>) -> [Handler; 4] {
    let [template_script, template_input, script, input] = SELECTORS.with(Clone::clone).map(Cow::Owned);
    [
        (template_script, marking_inert(finds)),
        (template_input, marking_inert(finds)),
        (script, reading_scripts(finds)),
        (input, seeing_inputs(finds)),
    ]
}

fn marking_inert(finds: &Rc<RefCell<Finds>>) -> ElementContentHandlers<'static> {
    let finds = Rc::clone(finds);
    ElementContentHandlers::default().element(move |_element: &mut Element<'_, '_>| {
        finds.borrow_mut().inert = true;
        Ok(())
    })
}

fn reading_scripts(finds: &Rc<RefCell<Finds>>) -> ElementContentHandlers<'static> {
    let (begin, read) = (Rc::clone(finds), Rc::clone(finds));
    ElementContentHandlers::default()
        .element(move |element: &mut Element<'_, '_>| {
            begin.borrow_mut().begin_script(element);
            Ok(())
        })
        .text(move |chunk: &mut TextChunk<'_>| {
            read.borrow_mut().read(chunk);
            Ok(())
        })
}

fn seeing_inputs(finds: &Rc<RefCell<Finds>>) -> ElementContentHandlers<'static> {
    let finds = Rc::clone(finds);
    ElementContentHandlers::default().element(move |element: &mut Element<'_, '_>| {
        finds.borrow_mut().see_input(element);
        Ok(())
    })
}

impl Finds {
    pub(super) const fn new(script_bytes: u64) -> Self {
        Self {
            refresh_token: None,
            fingerprint: None,
            may_set_token: false,
            fields: LoginFields {
                mail: false,
                password: false,
            },
            recent: Recent::Nothing,
            script: None,
            script_bytes,
            inert: false,
        }
    }

    fn begin_script(&mut self, element: &Element<'_, '_>) {
        let inert = std::mem::take(&mut self.inert);
        self.end_script();
        self.script = grammar(element).filter(|_| !inert).map(|grammar| Script {
            lexer: Lexer::new(grammar),
            left: self.script_bytes,
        });
    }

    fn read(&mut self, chunk: &TextChunk<'_>) {
        let Some(script) = self
            .script
            .as_mut()
            .filter(|_| chunk.text_type() == TextType::ScriptData)
        else {
            return;
        };
        for char in chunk.as_str().chars() {
            let Some(left) = script.left.checked_sub(char.len_utf8() as u64) else {
                script.lexer.give_up();
                break;
            };
            script.left = left;
            // A browser's parser puts it in the place of NUL before a script is read.
            let char = if char == '\0' {
                char::REPLACEMENT_CHARACTER
            } else {
                char
            };
            let Some((key, value)) = script.lexer.push(char) else {
                continue;
            };
            self.recent = Recent::Find;
            match key {
                Key::RefreshToken => self.refresh_token = Some(value),
                Key::Fingerprint => self.fingerprint = Some(value),
            }
        }
        self.may_set_token |= script.lexer.may_set_token();
        if chunk.last_in_text_node() {
            self.end_script();
        }
    }

    fn end_script(&mut self) {
        if let Some(mut script) = self.script.take() {
            script.lexer.end();
            self.may_set_token |= script.lexer.may_set_token();
        }
        if self.recent == Recent::Find {
            self.recent = Recent::FindAndEnd;
        }
    }

    fn see_input(&mut self, element: &Element<'_, '_>) {
        if std::mem::take(&mut self.inert) {
            return;
        }
        match element.get_attribute("name").as_deref() {
            Some("mail") => self.fields.mail = true,
            Some("pw") => self.fields.password = true,
            _ => {}
        }
    }
}

/// Which grammar a `<script>` follows, if a browser would run what it holds.
/// Source: <https://html.spec.whatwg.org/multipage/scripting.html#prepare-the-script-element>
fn grammar(element: &Element<'_, '_>) -> Option<Grammar> {
    if element.has_attribute("src") {
        return None;
    }
    let kind = match (element.get_attribute("type"), element.get_attribute("language")) {
        (Some(kind), _) if kind.is_empty() => DEFAULT.to_owned(),
        (Some(kind), _) => kind.trim_ascii().to_ascii_lowercase(),
        (None, Some(language)) if !language.is_empty() => format!("text/{language}").to_ascii_lowercase(),
        (None, _) => DEFAULT.to_owned(),
    };
    if kind == "module" {
        return Some(Grammar::Module);
    }
    let classic = JAVASCRIPT.contains(&kind.as_str());
    let runs = classic && !element.has_attribute("nomodule") && !waits_for_another_event(element);
    runs.then_some(Grammar::Classic)
}

/// Old browsers' `<script for=… event=…>`: only the window's `onload` runs, and at once.
fn waits_for_another_event(element: &Element<'_, '_>) -> bool {
    let named = |name| Some(element.get_attribute(name)?.trim_ascii().to_ascii_lowercase());
    let (Some(target), Some(event)) = (named("for"), named("event")) else {
        return false;
    };
    target != "window" || !matches!(event.as_str(), "onload" | "onload()")
}

const DEFAULT: &str = "text/javascript";

/// Source: <https://mimesniff.spec.whatwg.org/#javascript-mime-type>
const JAVASCRIPT: [&str; 16] = [
    "application/ecmascript",
    "application/javascript",
    "application/x-ecmascript",
    "application/x-javascript",
    "text/ecmascript",
    "text/javascript",
    "text/javascript1.0",
    "text/javascript1.1",
    "text/javascript1.2",
    "text/javascript1.3",
    "text/javascript1.4",
    "text/javascript1.5",
    "text/jscript",
    "text/livescript",
    "text/x-ecmascript",
    "text/x-javascript",
];
