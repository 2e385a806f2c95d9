//! What a body that wasn't recognised is made of, for operators: upstream may have changed its markup.
//!
//! Nothing of the body's own comes out: words of fixed lists, lengths, and counts. A page holds its user's token, name and
//! e-mail, in places that nobody can foresee.

mod html;
mod json;
mod tree;
mod words;

use words::{TYPES, listed};

/// How much of a body is looked at, in bytes.
pub const OUTLINED_BYTES: usize = 64 * 1024;

/// How long an outline can be, in bytes.
pub const OUTLINE_BYTES: usize = 2_000;

/// The outline of a body that began with `prefix`, with at most [`OUTLINE_BYTES`]. `content_type`: the header's value.
///
/// Its first line says what the body is. Then follow its elements, indented: `form[action method *]`; text as its length:
/// `text 42`; scripts with those words they hold that matter: `code 310 (localStorage setItem)`; siblings that are alike
/// as one: `li ×12`, with the longest's lengths.
pub fn outline(prefix: &[u8], content_type: Option<&str>) -> String {
    let (seen, _) = prefix.split_at(prefix.len().min(OUTLINED_BYTES));
    let trimmed = seen.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(seen).trim_ascii();
    let tree = match trimmed.first() {
        Some(b'{' | b'[') => json::tree(trimmed),
        _ => html::tree(seen, content_type),
    };
    let size = if prefix.len() < OUTLINED_BYTES {
        format!("{} bytes", prefix.len())
    } else {
        format!("the first {OUTLINED_BYTES} bytes")
    };
    tree::written(&format!("{}, {size}", media_type(content_type)), &tree)
}

fn media_type(content_type: Option<&str>) -> &'static str {
    let Some(declared) = content_type else {
        return "no type";
    };
    let essence = declared.split(';').next().unwrap_or_default().trim();
    listed(&TYPES, &essence.to_ascii_lowercase()).unwrap_or("another type")
}

#[cfg(test)]
mod tests;
