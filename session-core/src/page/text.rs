//! The text of a token that is being read, bounded, and the escapes in it.

/// Text beyond this many bytes is dropped. No token or fingerprint comes near, so what is cut here is refused
/// later for its shape.
const BOUND: usize = 4096;

/// Bounded text, made from JavaScript's UTF-16 units.
#[derive(Default)]
pub(super) struct Text {
    string: String,
    /// A first half of a surrogate pair that waits for its second.
    high: Option<u16>,
}

impl Text {
    pub(super) fn clear(&mut self) {
        self.string.clear();
        self.high = None;
    }

    pub(super) fn push(&mut self, char: char) {
        self.settle();
        if self.string.len() < BOUND {
            self.string.push(char);
        }
    }

    /// Adds what an escape stands for. Half a surrogate pair alone becomes U+FFFD, like on the way to a server.
    pub(super) fn push_code(&mut self, code: u32) {
        match (self.high, u16::try_from(code)) {
            (Some(high), Ok(low @ 0xDC00..=0xDFFF)) => {
                self.high = None;
                let pair = char::decode_utf16([high, low]).next().and_then(Result::ok);
                self.push(pair.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (_, Ok(high @ 0xD800..=0xDBFF)) => {
                self.settle();
                self.high = Some(high);
            }
            _ => self.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn settle(&mut self) {
        if self.high.take().is_some() && self.string.len() < BOUND {
            self.string.push(char::REPLACEMENT_CHARACTER);
        }
    }

    pub(super) fn as_str(&mut self) -> &str {
        self.settle();
        &self.string
    }
}

/// An escape sequence behind its backslash, character by character.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// The backslash was seen.
    Start,
    /// `\x` or `\u`, with so many hexadecimal digits to come.
    Hex { code: u32, left: u8 },
    /// `\u`, where a brace may follow.
    Unicode,
    /// `\u{`.
    Braced { code: u32 },
    /// `\0` to `\377`.
    Octal { code: u32 },
    /// A line continuation's carriage return, which may have a line feed.
    CarriageReturn,
}

/// What a character does to an escape.
pub(super) enum Escaped {
    /// More is to come.
    Pending(Escape),
    /// The escape stands for this.
    Code(u32),
    /// The escape stands for this, and ended before the character.
    CodeBefore(u32),
    /// The escape stands for nothing.
    Nothing,
    /// The escape stood for nothing, and ended before the character.
    NothingBefore,
    /// Not JavaScript.
    Invalid,
}

impl Escape {
    pub(super) fn push(self, char: char) -> Escaped {
        match self {
            Self::Start => Self::start(char),
            Self::Hex { code, left } => match (char.to_digit(16), left) {
                (Some(digit), 1) => Escaped::Code(code << 4 | digit),
                (Some(digit), _) => Escaped::Pending(Self::Hex {
                    code: code << 4 | digit,
                    left: left.saturating_sub(1),
                }),
                (None, _) => Escaped::Invalid,
            },
            Self::Unicode if char == '{' => Escaped::Pending(Self::Braced { code: 0 }),
            Self::Unicode => Self::Hex { code: 0, left: 4 }.push(char),
            Self::Braced { code } if char == '}' => Escaped::Code(code),
            Self::Braced { code } => match char.to_digit(16).map(|digit| code << 4 | digit) {
                Some(code) if code <= 0x0010_FFFF => Escaped::Pending(Self::Braced { code }),
                _ => Escaped::Invalid,
            },
            Self::Octal { code } => match char.to_digit(8).map(|digit| code << 3 | digit) {
                Some(longer) if longer <= 0o377 => Escaped::Pending(Self::Octal { code: longer }),
                _ => Escaped::CodeBefore(code),
            },
            Self::CarriageReturn if char == '\n' => Escaped::Nothing,
            Self::CarriageReturn => Escaped::NothingBefore,
        }
    }

    fn start(char: char) -> Escaped {
        match char {
            'b' => Escaped::Code(0x08),
            't' => Escaped::Code(0x09),
            'n' => Escaped::Code(0x0A),
            'v' => Escaped::Code(0x0B),
            'f' => Escaped::Code(0x0C),
            'r' => Escaped::Code(0x0D),
            'x' => Escaped::Pending(Self::Hex { code: 0, left: 2 }),
            'u' => Escaped::Pending(Self::Unicode),
            '0'..='7' => Self::Octal { code: 0 }.push(char),
            '\r' => Escaped::Pending(Self::CarriageReturn),
            '\n' | '\u{2028}' | '\u{2029}' => Escaped::Nothing,
            other => Escaped::Code(u32::from(other)),
        }
    }
}
