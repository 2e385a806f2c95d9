//! Where in a script the reader stands: whether a `/` divides or starts a regular expression, whether a brace
//! opens a block, an object or a template's substitution. Decided from the token before and a bounded stack,
//! as far as that goes without a parser: after a function expression a `/` is taken for a regular expression.

/// What may stand next, by the token before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A statement: `/` starts a regular expression, `{` a block.
    Statement,
    /// An operand: `/` starts a regular expression, `{` an object.
    Operand,
    /// An operator: `/` divides, `{` starts a body.
    Operator,
    /// What follows a colon: `{` depends on where the colon stands.
    AfterColon,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Parenthesis,
    /// That of `if`, `while`, `for` or `with`, behind which a statement starts.
    Head,
    Bracket,
    Block,
    Object,
    Substitution,
}

/// A script nested deeper is given up.
const DEPTH: usize = 1024;

/// Where punctuation led.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// To code.
    Code,
    /// Back to a template's text.
    Template,
    /// Beyond the bound of nesting, or out of a bracket that was never opened.
    Lost,
}

pub(super) struct Context {
    next: Next,
    /// The word before makes the coming parenthesis a head.
    head: bool,
    open: Vec<Open>,
}

impl Context {
    pub(super) const fn new() -> Self {
        Self {
            next: Next::Statement,
            head: false,
            open: Vec::new(),
        }
    }

    pub(super) fn slash_divides(&self) -> bool {
        self.next == Next::Operator
    }

    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// A literal or a name has ended.
    pub(super) fn operand(&mut self) {
        self.set(Next::Operator);
    }

    /// Punctuation after which an operand stands.
    pub(super) fn operator(&mut self) -> Moved {
        self.set(Next::Operand)
    }

    /// `;` or `=>`.
    pub(super) fn statement(&mut self) -> Moved {
        self.set(Next::Statement)
    }

    pub(super) fn colon(&mut self) -> Moved {
        self.set(Next::AfterColon)
    }

    /// `++` or `--`: behind an operand it belongs to it.
    pub(super) fn step(&mut self) {
        if self.next != Next::Operator {
            self.set(Next::Operand);
        }
    }

    /// A word; `member`: behind a dot, where no word is a keyword.
    pub(super) fn word(&mut self, word: &str, member: bool) {
        let awaited_head = self.head && word == "await";
        let next = match word {
            _ if member => Next::Operator,
            "else" | "do" | "try" | "finally" => Next::Statement,
            "return" | "typeof" | "case" | "throw" | "yield" | "in" | "of" | "new" | "void" | "delete"
            | "instanceof" | "await" | "default" => Next::Operand,
            _ => Next::Operator,
        };
        self.set(next);
        self.head = !member && (awaited_head || matches!(word, "if" | "while" | "for" | "with"));
    }

    fn set(&mut self, next: Next) -> Moved {
        self.next = next;
        self.head = false;
        Moved::Code
    }

    pub(super) fn open_parenthesis(&mut self) -> Moved {
        let kind = if self.head { Open::Head } else { Open::Parenthesis };
        self.push(kind, Next::Operand)
    }

    pub(super) fn open_bracket(&mut self) -> Moved {
        self.push(Open::Bracket, Next::Operand)
    }

    pub(super) fn open_substitution(&mut self) -> Moved {
        self.push(Open::Substitution, Next::Operand)
    }

    pub(super) fn open_brace(&mut self) -> Moved {
        let in_expression = self.open.last().is_some_and(|open| *open != Open::Block);
        match self.next {
            Next::Operand => self.push(Open::Object, Next::Operand),
            Next::AfterColon if in_expression => self.push(Open::Object, Next::Operand),
            _ => self.push(Open::Block, Next::Statement),
        }
    }

    fn push(&mut self, open: Open, next: Next) -> Moved {
        self.set(next);
        self.open.push(open);
        if self.open.len() > DEPTH {
            Moved::Lost
        } else {
            Moved::Code
        }
    }

    pub(super) fn close(&mut self, closing: char) -> Moved {
        match (self.open.pop(), closing) {
            (Some(Open::Head), ')') | (Some(Open::Block), '}') => self.set(Next::Statement),
            (Some(Open::Parenthesis), ')') | (Some(Open::Bracket), ']') | (Some(Open::Object), '}') => {
                self.set(Next::Operator)
            }
            (Some(Open::Substitution), '}') => Moved::Template,
            _ => Moved::Lost,
        }
    }
}
