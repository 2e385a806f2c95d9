//! Finds `localStorage.setItem("refreshToken", "…")` in a script's tokens.
//!
//! A call counts when its closing parenthesis is there, whatever surrounds it: a reader can't know whether a
//! function is ever called, or a branch taken. Values that are computed don't count.

use super::lexer::Token;

/// The keys that are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    RefreshToken,
    Fingerprint,
}

impl Key {
    fn named(name: &str) -> Option<Self> {
        match name {
            "refreshToken" => Some(Self::RefreshToken),
            "fingerprint" => Some(Self::Fingerprint),
            _ => None,
        }
    }
}

/// An object whose members matter.
#[derive(Clone, Copy)]
enum Object {
    /// `window` and its other names.
    Global,
    /// `localStorage`.
    Storage,
    /// `localStorage.setItem`.
    SetItem,
}

impl Object {
    fn named(name: &str) -> Option<Self> {
        match name {
            "window" | "self" | "globalThis" => Some(Self::Global),
            "localStorage" => Some(Self::Storage),
            _ => None,
        }
    }

    fn member(self, name: &str) -> Option<Self> {
        match (self, name) {
            (Self::Global, name) => Self::named(name),
            (Self::Storage, "setItem") => Some(Self::SetItem),
            _ => None,
        }
    }
}

/// How far a call has come.
#[derive(Clone, Copy)]
enum At {
    /// Outside. `free`: what comes is a name of its own, not a member of something or made by `new`.
    Outside {
        free: bool,
    },
    Object(Object),
    Dot(Object),
    OptionalDot(Object),
    Bracket(Object),
    /// `["name"`, which makes it this object once the bracket closes.
    Member(Object),
    Parenthesis,
    Key(Key),
    KeyComma(Key),
    Value(Key),
    ValueComma(Key),
}

/// A call that waits for its further arguments to end, which JavaScript evaluates and `setItem` ignores.
struct Waiting {
    key: Key,
    value: String,
    /// The nesting inside of the call's parentheses.
    depth: usize,
}

/// Follows a script's tokens.
pub(super) struct Calls {
    at: At,
    value: String,
    waiting: Option<Waiting>,
    sets_token: bool,
}

impl Calls {
    pub(super) const fn new() -> Self {
        Self {
            at: At::Outside { free: true },
            value: String::new(),
            waiting: None,
            sets_token: false,
        }
    }

    /// Whether a call that sets the token was begun, whatever came of it.
    pub(super) const fn sets_token(&self) -> bool {
        self.sets_token
    }

    /// Takes a token; `depth` is the nesting before it. Answers a call that it completes.
    pub(super) fn push(&mut self, token: Token<'_>, depth: usize) -> Option<(Key, String)> {
        if matches!(token, Token::CloseParenthesis)
            && self.waiting.as_ref().is_some_and(|call| call.depth == depth)
        {
            self.at = At::Outside { free: true };
            return self.waiting.take().map(|call| (call.key, call.value));
        }
        if let (At::Value(key) | At::ValueComma(key), Token::CloseParenthesis) = (self.at, token) {
            self.at = At::Outside { free: true };
            return Some((key, std::mem::take(&mut self.value)));
        }
        if let At::ValueComma(key) = self.at {
            self.waiting = self.waiting.take().or_else(|| {
                Some(Waiting {
                    key,
                    value: std::mem::take(&mut self.value),
                    depth,
                })
            });
            self.at = At::Outside { free: true };
        }
        self.at = self.next(token).unwrap_or_else(|| self.anew(token));
        self.sets_token |= matches!(self.at, At::KeyComma(Key::RefreshToken));
        None
    }

    fn next(&mut self, token: Token<'_>) -> Option<At> {
        match (self.at, token) {
            (At::Object(object), Token::Dot) => Some(At::Dot(object)),
            (At::Object(object), Token::OptionalDot) => Some(At::OptionalDot(object)),
            (At::Object(object) | At::OptionalDot(object), Token::OpenBracket) => Some(At::Bracket(object)),
            (At::Dot(object) | At::OptionalDot(object), Token::Word(name)) => {
                object.member(name).map(At::Object)
            }
            (At::Bracket(object), Token::Text(name)) => object.member(name).map(At::Member),
            (At::Member(object), Token::CloseBracket) => Some(At::Object(object)),
            (At::Object(Object::SetItem) | At::OptionalDot(Object::SetItem), Token::OpenParenthesis) => {
                Some(At::Parenthesis)
            }
            (At::Parenthesis, Token::Text(name)) => Key::named(name).map(At::Key),
            (At::Key(key), Token::Comma) => Some(At::KeyComma(key)),
            (At::KeyComma(key), Token::Text(value)) => {
                self.value.clear();
                self.value.push_str(value);
                Some(At::Value(key))
            }
            (At::Value(key), Token::Comma) => Some(At::ValueComma(key)),
            _ => None,
        }
    }

    /// Where the token leads that continued nothing.
    fn anew(&self, token: Token<'_>) -> At {
        let member = matches!(
            self.at,
            At::Dot(_) | At::OptionalDot(_) | At::Outside { free: false }
        );
        match token {
            Token::Word("new") | Token::Dot | Token::OptionalDot => At::Outside { free: false },
            Token::Word(name) if !member => {
                Object::named(name).map_or(At::Outside { free: true }, At::Object)
            }
            _ => At::Outside { free: true },
        }
    }
}
