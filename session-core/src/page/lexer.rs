//! A script's text, character by character, into the few tokens that matter. Constant memory: no token is kept
//! longer than it lasts, and none beyond a bound.
//!
//! What isn't JavaScript (a string that ends with its line, a bracket that was never opened) ends the script.

use super::{
    calls::{Calls, Key},
    context::{Context, Moved},
    text::{Escape, Escaped, Text},
};

/// What a script is made of, as far as calls need to know.
#[derive(Clone, Copy)]
pub(super) enum Token<'a> {
    /// A name or keyword.
    Word(&'a str),
    /// A string, or a template without substitutions.
    Text(&'a str),
    Dot,
    /// `?.`
    OptionalDot,
    Comma,
    OpenParenthesis,
    CloseParenthesis,
    OpenBracket,
    CloseBracket,
    Other,
}

/// Which grammar a script follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// With `<!--` and `-->` as comments.
    Classic,
    Module,
}

#[derive(Clone, Copy)]
enum Mode {
    /// Between tokens.
    Code,
    Word,
    WordEscape(Escape),
    Number,
    /// `/` was seen.
    Slash,
    LineComment,
    BlockComment {
        star: bool,
    },
    Quoted(char),
    QuotedEscape(char, Escape),
    /// `plain`: no substitution so far.
    Template {
        plain: bool,
    },
    TemplateDollar {
        plain: bool,
    },
    TemplateEscape(bool, Escape),
    /// A template's carriage return, which is a line feed together with one that follows.
    TemplateReturn {
        plain: bool,
    },
    RegExp {
        class: bool,
        escaped: bool,
    },
    /// `?` was seen.
    Question,
    /// `?.` was seen: with a digit behind it, a question mark and a number.
    QuestionDot,
    Equals,
    Plus,
    /// So many characters of `<!--` were seen.
    Open(u8),
    /// So many characters of `-->` were seen. `first`: nothing but blanks and comments before it on its line.
    Close {
        seen: u8,
        first: bool,
    },
    GivenUp,
}

/// Whether a character was used up by the token that it met.
#[derive(PartialEq, Eq)]
enum Used {
    Yes,
    /// It ended a token, and belongs to the next.
    No,
}

/// Reads one script.
pub(super) struct Lexer {
    grammar: Grammar,
    mode: Mode,
    text: Text,
    context: Context,
    calls: Calls,
    found: Option<(Key, String)>,
    /// The token before was a dot.
    member: bool,
    /// Only blanks and comments so far on this line.
    line_start: bool,
}

impl Lexer {
    pub(super) fn new(grammar: Grammar) -> Self {
        Self {
            grammar,
            mode: Mode::Code,
            text: Text::default(),
            context: Context::new(),
            calls: Calls::new(),
            found: None,
            member: false,
            line_start: true,
        }
    }

    /// Takes a character. Answers the call that it completes.
    pub(super) fn push(&mut self, char: char) -> Option<(Key, String)> {
        while self.step(char) == Used::No {}
        self.found.take()
    }

    /// Whether a call that sets the token was begun, or may have been where reading was given up.
    pub(super) fn may_set_token(&self) -> bool {
        self.calls.sets_token() || matches!(self.mode, Mode::GivenUp)
    }

    pub(super) fn give_up(&mut self) {
        self.mode = Mode::GivenUp;
    }

    /// The script is over. One that ends within a literal is no JavaScript, or it was misread: a division was taken for
    /// the start of a regular expression.
    pub(super) fn end(&mut self) {
        match self.mode {
            Mode::RegExp { .. }
            | Mode::Quoted(_)
            | Mode::QuotedEscape(..)
            | Mode::Template { .. }
            | Mode::TemplateDollar { .. }
            | Mode::TemplateEscape(..)
            | Mode::TemplateReturn { .. } => self.give_up(),
            Mode::Code
            | Mode::Word
            | Mode::WordEscape(_)
            | Mode::Number
            | Mode::Slash
            | Mode::LineComment
            | Mode::BlockComment { .. }
            | Mode::Question
            | Mode::QuestionDot
            | Mode::Equals
            | Mode::Plus
            | Mode::Open(_)
            | Mode::Close { .. }
            | Mode::GivenUp => {}
        }
    }

    fn step(&mut self, char: char) -> Used {
        match self.mode {
            Mode::Code => self.code(char),
            Mode::Word => self.word(char),
            Mode::WordEscape(Escape::Start) if char != 'u' => self.go(Mode::GivenUp),
            Mode::WordEscape(escape) => self.escape(escape, char, Mode::WordEscape, Mode::Word),
            Mode::Number => self.number(char),
            Mode::Slash => self.slash(char),
            Mode::LineComment | Mode::BlockComment { .. } => self.comment(char),
            Mode::Quoted(quote) => self.quoted(quote, char),
            Mode::QuotedEscape(quote, escape) => self.escape(
                escape,
                char,
                |escape| Mode::QuotedEscape(quote, escape),
                Mode::Quoted(quote),
            ),
            Mode::Template { plain } => self.template(plain, char),
            Mode::TemplateDollar { plain } => self.template_dollar(plain, char),
            Mode::TemplateEscape(plain, escape) => self.escape(
                escape,
                char,
                |escape| Mode::TemplateEscape(plain, escape),
                Mode::Template { plain },
            ),
            Mode::TemplateReturn { plain } => self.template_return(plain, char),
            Mode::RegExp { class, escaped } => self.regexp(class, escaped, char),
            Mode::Question | Mode::QuestionDot => self.question(char),
            Mode::Equals => self.equals(char),
            Mode::Plus => self.plus(char),
            Mode::Open(seen) => self.open_comment(seen, char),
            Mode::Close { seen, first } => self.close_comment(seen, first, char),
            Mode::GivenUp => Used::Yes,
        }
    }

    fn go(&mut self, mode: Mode) -> Used {
        self.mode = mode;
        Used::Yes
    }

    fn again(&mut self, mode: Mode) -> Used {
        self.mode = mode;
        Used::No
    }

    fn code(&mut self, char: char) -> Used {
        if is_line_end(char) {
            self.line_start = true;
            return Used::Yes;
        }
        if char.is_whitespace() || char == '\u{FEFF}' {
            return Used::Yes;
        }
        if char == '/' {
            return self.go(Mode::Slash);
        }
        let first = std::mem::replace(&mut self.line_start, false);
        match char {
            '"' | '\'' => self.begin(Mode::Quoted(char)),
            '`' => self.begin(Mode::Template { plain: true }),
            '0'..='9' => self.go(Mode::Number),
            '\\' => self.begin(Mode::WordEscape(Escape::Start)),
            '?' => self.go(Mode::Question),
            '=' => self.go(Mode::Equals),
            '+' => self.go(Mode::Plus),
            '-' => self.go(Mode::Close { seen: 1, first }),
            '<' => self.go(Mode::Open(1)),
            _ if is_name(char) => {
                self.text.clear();
                self.again(Mode::Word)
            }
            _ => self.punctuation(char),
        }
    }

    fn begin(&mut self, mode: Mode) -> Used {
        self.text.clear();
        self.go(mode)
    }

    fn punctuation(&mut self, char: char) -> Used {
        self.emit(match char {
            '(' => Token::OpenParenthesis,
            ')' => Token::CloseParenthesis,
            '[' => Token::OpenBracket,
            ']' => Token::CloseBracket,
            '.' => Token::Dot,
            ',' => Token::Comma,
            _ => Token::Other,
        });
        let moved = match char {
            '(' => self.context.open_parenthesis(),
            '[' => self.context.open_bracket(),
            '{' => self.context.open_brace(),
            ')' | ']' | '}' => self.context.close(char),
            ';' => self.context.statement(),
            ':' => self.context.colon(),
            _ => self.context.operator(),
        };
        match moved {
            Moved::Code => Used::Yes,
            Moved::Template => self.begin(Mode::Template { plain: false }),
            Moved::Lost => self.go(Mode::GivenUp),
        }
    }

    /// Hands a token on, in the nesting before it.
    fn emit(&mut self, token: Token<'_>) {
        self.member = matches!(token, Token::Dot | Token::OptionalDot);
        self.found = self.calls.push(token, self.context.depth()).or(self.found.take());
    }

    /// A token that is none of ours and has told the context itself.
    fn other(&mut self, mode: Mode) -> Used {
        self.emit(Token::Other);
        self.go(mode)
    }

    fn other_before(&mut self) -> Used {
        self.emit(Token::Other);
        self.again(Mode::Code)
    }

    fn word(&mut self, char: char) -> Used {
        if is_name(char) {
            self.text.push(char);
            return Used::Yes;
        }
        if char == '\\' {
            return self.go(Mode::WordEscape(Escape::Start));
        }
        let word = self.text.as_str();
        self.context.word(word, self.member);
        self.found = self
            .calls
            .push(Token::Word(word), self.context.depth())
            .or(self.found.take());
        self.member = false;
        self.again(Mode::Code)
    }

    fn number(&mut self, char: char) -> Used {
        if is_name(char) || char == '.' {
            return Used::Yes;
        }
        self.context.operand();
        self.other_before()
    }

    /// Feeds an escape, and goes on in `pending` or `after`.
    fn escape(&mut self, escape: Escape, char: char, pending: impl Fn(Escape) -> Mode, after: Mode) -> Used {
        match escape.push(char) {
            Escaped::Pending(escape) => self.go(pending(escape)),
            Escaped::Code(code) => {
                self.text.push_code(code);
                self.go(after)
            }
            Escaped::CodeBefore(code) => {
                self.text.push_code(code);
                self.again(after)
            }
            Escaped::Nothing => self.go(after),
            Escaped::NothingBefore => self.again(after),
            // A tagged template may hold what is no escape; its text is none for us then.
            Escaped::Invalid if matches!(after, Mode::Template { .. }) => {
                self.again(Mode::Template { plain: false })
            }
            Escaped::Invalid => self.go(Mode::GivenUp),
        }
    }

    fn quoted(&mut self, quote: char, char: char) -> Used {
        match char {
            '\\' => self.go(Mode::QuotedEscape(quote, Escape::Start)),
            '\n' | '\r' => self.go(Mode::GivenUp),
            _ if char == quote => self.end_text(true),
            _ => {
                self.text.push(char);
                Used::Yes
            }
        }
    }

    /// The end of a string or template. `plain`: its text is all there is to it.
    fn end_text(&mut self, plain: bool) -> Used {
        self.context.operand();
        let token = if plain {
            Token::Text(self.text.as_str())
        } else {
            Token::Other
        };
        self.found = self.calls.push(token, self.context.depth()).or(self.found.take());
        self.member = false;
        self.go(Mode::Code)
    }

    fn template(&mut self, plain: bool, char: char) -> Used {
        match char {
            '\\' => self.go(Mode::TemplateEscape(plain, Escape::Start)),
            '$' => self.go(Mode::TemplateDollar { plain }),
            '`' => self.end_text(plain),
            '\r' => {
                self.text.push('\n');
                self.go(Mode::TemplateReturn { plain })
            }
            _ => {
                self.text.push(char);
                Used::Yes
            }
        }
    }

    fn template_dollar(&mut self, plain: bool, char: char) -> Used {
        if char != '{' {
            self.text.push('$');
            return self.again(Mode::Template { plain });
        }
        self.emit(Token::Other);
        match self.context.open_substitution() {
            Moved::Lost => self.go(Mode::GivenUp),
            _ => self.go(Mode::Code),
        }
    }

    fn template_return(&mut self, plain: bool, char: char) -> Used {
        if char == '\n' {
            self.go(Mode::Template { plain })
        } else {
            self.again(Mode::Template { plain })
        }
    }

    fn slash(&mut self, char: char) -> Used {
        match char {
            '/' => return self.go(Mode::LineComment),
            '*' => return self.go(Mode::BlockComment { star: false }),
            _ => self.line_start = false,
        }
        if self.context.slash_divides() {
            self.context.operator();
            return self.other_before();
        }
        self.again(Mode::RegExp {
            class: false,
            escaped: false,
        })
    }

    fn comment(&mut self, char: char) -> Used {
        self.line_start |= is_line_end(char);
        match self.mode {
            Mode::LineComment if is_line_end(char) => self.go(Mode::Code),
            Mode::BlockComment { star: true } if char == '/' => self.go(Mode::Code),
            Mode::BlockComment { .. } => self.go(Mode::BlockComment { star: char == '*' }),
            _ => Used::Yes,
        }
    }

    fn regexp(&mut self, class: bool, escaped: bool, char: char) -> Used {
        match char {
            _ if is_line_end(char) => self.go(Mode::GivenUp),
            _ if escaped => self.go(Mode::RegExp {
                class,
                escaped: false,
            }),
            '\\' => self.go(Mode::RegExp { class, escaped: true }),
            '[' => self.go(Mode::RegExp {
                class: true,
                escaped: false,
            }),
            ']' => self.go(Mode::RegExp {
                class: false,
                escaped: false,
            }),
            '/' if !class => {
                self.context.operand();
                self.other(Mode::Code)
            }
            _ => Used::Yes,
        }
    }

    fn question(&mut self, char: char) -> Used {
        let dot = matches!(self.mode, Mode::QuestionDot);
        if !dot && char == '.' {
            return self.go(Mode::QuestionDot);
        }
        self.context.operator();
        if dot && !char.is_ascii_digit() {
            self.emit(Token::OptionalDot);
            return self.again(Mode::Code);
        }
        self.other_before()
    }

    fn equals(&mut self, char: char) -> Used {
        if char == '>' {
            self.context.statement();
            return self.other(Mode::Code);
        }
        self.context.operator();
        self.other_before()
    }

    fn plus(&mut self, char: char) -> Used {
        if char == '+' {
            self.context.step();
            return self.other(Mode::Code);
        }
        self.context.operator();
        self.other_before()
    }

    fn open_comment(&mut self, seen: u8, char: char) -> Used {
        match (self.grammar, seen, char) {
            (Grammar::Classic, 1, '!') => self.go(Mode::Open(2)),
            (Grammar::Classic, 2, '-') => self.go(Mode::Open(3)),
            (Grammar::Classic, 3, '-') => self.go(Mode::LineComment),
            _ => {
                self.context.operator();
                self.other_before()
            }
        }
    }

    fn close_comment(&mut self, seen: u8, first: bool, char: char) -> Used {
        match (seen, char) {
            (1, '-') => self.go(Mode::Close { seen: 2, first }),
            (2, '>') if first && self.grammar == Grammar::Classic => self.go(Mode::LineComment),
            (1, _) => {
                self.context.operator();
                self.other_before()
            }
            _ => {
                self.context.step();
                self.other_before()
            }
        }
    }
}

fn is_line_end(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Whether a character can stand in a name. Wider than the standard beyond ASCII, where no name of ours lies;
/// `#` makes a private name one word.
fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric()
        || matches!(char, '_' | '$' | '#')
        || !(char.is_ascii() || char.is_whitespace() || matches!(char, '\u{FEFF}'))
}
