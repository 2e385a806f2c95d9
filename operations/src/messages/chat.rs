//! Alerts for Slack and Discord: within their limits, and with nothing in them that either would act upon.

use serde_json::{Value, json};

use super::{AlertStatus, words::Words};

/// Characters of a section's text.
/// Source: <https://api.slack.com/reference/block-kit/blocks#section>
const SLACK_BLOCK: usize = 3_000;

/// Characters of an embed's title and description.
/// Source: <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>
const DISCORD_TITLE: usize = 256;
const DISCORD_DESCRIPTION: usize = 4_096;

/// Room for what is put around an outline in a description.
const FENCES: usize = 16;

const RED: u32 = 0x00C6_2828;
const GREEN: u32 = 0x002E_7D32;

/// The body for an incoming webhook of Slack's.
pub(super) fn slack(words: &Words) -> Value {
    let title = escaped(&words.title, 300, slack_char);
    let room = SLACK_BLOCK
        .saturating_sub(title.chars().count())
        .saturating_sub(FENCES);
    let text = escaped(&words.text, room, slack_char);
    let mut blocks = vec![section(&format!("*{title}*\n{text}"))];
    if let Some(outline) = &words.outline {
        let outline = escaped(outline, SLACK_BLOCK.saturating_sub(FENCES), slack_char);
        blocks.push(section(&format!("```\n{outline}\n```")));
    }
    json!({ "text": title, "blocks": blocks })
}

/// `verbatim`: Slack makes no links and mentions of what merely looks like some.
fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
}

/// The body for a webhook of Discord's.
pub(super) fn discord(words: &Words, status: AlertStatus) -> Value {
    let color = match status {
        AlertStatus::Firing | AlertStatus::Repeated => RED,
        AlertStatus::Over => GREEN,
    };
    let outline = words.outline.as_deref().map(|outline| {
        let outline = escaped(outline, DISCORD_DESCRIPTION / 2, fenced_char);
        format!("\n```\n{outline}\n```")
    });
    let outline = outline.unwrap_or_default();
    let room = DISCORD_DESCRIPTION
        .saturating_sub(width(&outline))
        .saturating_sub(FENCES);
    let text = escaped(&words.text, room, discord_char);
    json!({
        "embeds": [{
            "title": escaped(&words.title, DISCORD_TITLE, discord_char),
            "description": format!("{text}{outline}"),
            "color": color,
        }],
        "allowed_mentions": { "parse": [] },
    })
}

/// As much of `text` as fits, escaped character by character, so that no escape is cut. An ellipsis stands for the rest.
fn escaped(text: &str, most: usize, escape: fn(char) -> String) -> String {
    let mut out = String::new();
    let mut left = most.saturating_sub(1);
    for char in text.chars() {
        let piece = escape(char);
        let Some(rest) = left.checked_sub(width(&piece)) else {
            out.push('…');
            break;
        };
        left = rest;
        out.push_str(&piece);
    }
    out
}

/// Length as JavaScript counts it, so that no reading of "characters" is exceeded.
fn width(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Source: <https://api.slack.com/docs/message-formatting>. There is no escape for
/// what begins and ends code: it becomes a character that looks alike.
fn slack_char(char: char) -> String {
    match char {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '`' => "'".to_owned(),
        _ => char.to_string(),
    }
}

/// A backslash makes any of Markdown's signs a mere sign. An at sign is kept apart from what would be a name.
fn discord_char(char: char) -> String {
    match char {
        '@' => "@\u{200b}".to_owned(),
        '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '#' | '-' | '[' | ']' | '(' | ')' => {
            format!("\\{char}")
        }
        _ => char.to_string(),
    }
}

/// In a block of code nothing is a sign, but for its end.
fn fenced_char(char: char) -> String {
    match char {
        '`' => "'".to_owned(),
        '@' => "@\u{200b}".to_owned(),
        _ => char.to_string(),
    }
}
