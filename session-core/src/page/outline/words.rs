//! The only words that an outline can hold.

/// Media types.
pub(super) const TYPES: [&str; 6] = [
    "application/json",
    "application/xhtml+xml",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/xml",
];

/// HTML's elements, and the roots of what else it can hold.
/// Source: <https://html.spec.whatwg.org/multipage/indices.html#elements-3>
#[rustfmt::skip]
pub(super) const ELEMENTS: [&str; 116] = [
    "a", "abbr", "address", "area", "article", "aside", "audio", "b", "base", "bdi", "bdo", "blockquote", "body", "br",
    "button", "canvas", "caption", "center", "cite", "code", "col", "colgroup", "data", "datalist", "dd", "del", "details",
    "dfn", "dialog", "div", "dl", "dt", "em", "embed", "fieldset", "figcaption", "figure", "font", "footer", "form", "frame",
    "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html", "i", "iframe", "img", "input",
    "ins", "kbd", "label", "legend", "li", "link", "main", "map", "mark", "math", "menu", "meta", "meter", "nav", "noscript",
    "object", "ol", "optgroup", "option", "output", "p", "param", "picture", "pre", "progress", "q", "rp", "rt", "ruby", "s",
    "samp", "script", "search", "section", "select", "slot", "small", "source", "span", "strong", "style", "sub", "summary",
    "sup", "svg", "table", "tbody", "td", "template", "textarea", "tfoot", "th", "thead", "time", "title", "tr", "track", "u",
    "ul",
];

/// Attributes, by name.
#[rustfmt::skip]
pub(super) const ATTRIBUTES: [&str; 37] = [
    "action", "async", "autocomplete", "charset", "checked", "class", "content", "defer", "dir", "disabled", "enctype", "for",
    "height", "hidden", "href", "http-equiv", "id", "lang", "language", "media", "method", "name", "nomodule", "nonce",
    "onclick", "onload", "onsubmit", "placeholder", "rel", "required", "role", "src", "style", "target", "title", "type",
    "value",
];

/// Values of `name`.
#[rustfmt::skip]
pub(super) const FIELDS: [&str; 9] = [
    "mail", "pw", "email", "password", "token", "fingerprint", "user", "username", "remember",
];

/// What scripts may hold.
#[rustfmt::skip]
pub(super) const SCRIPT_WORDS: [&str; 12] = [
    "localStorage", "sessionStorage", "setItem", "refreshToken", "fingerprint", "document.cookie", "location", "fetch",
    "XMLHttpRequest", "logout", "login", "token",
];

/// Keys of JSON's objects.
#[rustfmt::skip]
pub(super) const KEYS: [&str; 18] = [
    "code", "data", "error", "errors", "fingerprint", "location", "login", "logout", "message", "msg", "newToken", "ok",
    "redirect", "refreshToken", "result", "status", "success", "token",
];

/// The list's own copy of `word`, if it is in it.
pub(super) fn listed<const N: usize>(list: &[&'static str; N], word: &str) -> Option<&'static str> {
    list.iter().copied().find(|known| *known == word)
}

/// The words of the list that `text` holds; not as parts of longer names.
pub(super) fn held<const N: usize>(list: &[&'static str; N], text: &str) -> Vec<&'static str> {
    let holds = |word: &str| {
        text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|front| front.chars().next_back());
            let behind = text
                .get(at.saturating_add(word.len())..)
                .and_then(|rest| rest.chars().next());
            !before.is_some_and(is_name) && !behind.is_some_and(is_name)
        })
    };
    list.iter().copied().filter(|word| holds(word)).collect()
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '$')
}
