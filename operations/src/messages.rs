//! Alerts and sessions' events as receivers get them: in words, in three formats, signed.
//!
//! What there is to tell comes from the database function `watch`. Sending it, and noting what came of that, is up to the
//! Worker.

mod chat;
mod delivery;
mod signature;
mod words;

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use session_core::time::Timestamp;

use crate::{overview::AlertKind, sessions::EventKind};

pub use delivery::{DeliveryError, retry_in};
pub use signature::SigningKey;

/// Something to tell.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// To operators.
    Alert(AlertMessage),
    /// To the app.
    Event(EventMessage),
}

/// An alert went on, is still on, or is over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertMessage {
    /// The same each time that the message is sent: receivers tell repetitions by it.
    pub id: String,
    /// Which alert.
    pub alert: AlertKind,
    /// What became of it.
    pub status: AlertStatus,
    /// Since when it is on.
    pub since: Timestamp,
    /// When that happened.
    pub at: Timestamp,
    /// What was seen: see [`AlertKind`].
    pub details: Value,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It went on.
    Firing,
    /// It is on still.
    Repeated,
    /// It is over.
    Over,
}

/// A session was lost, or came back.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventMessage {
    /// The same each time that the message is sent.
    pub id: String,
    /// What happened.
    pub event: EventKind,
    /// To which session.
    pub session_id: String,
    /// When.
    pub at: Timestamp,
}

impl Message {
    /// The message's own name, for `webhook-id`.
    pub fn id(&self) -> &str {
        match self {
            Self::Alert(alert) => &alert.id,
            Self::Event(event) => &event.id,
        }
    }
}

/// How a receiver wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON of our own.
    Generic,
    /// For an incoming webhook of Slack's.
    Slack,
    /// For a webhook of Discord's.
    Discord,
}

impl Format {
    /// What the receiver at `host` understands.
    pub fn of_host(host: &str) -> Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_of = |site: &str| {
            host.strip_suffix(site)
                .is_some_and(|front| front.is_empty() || front.ends_with('.'))
        };
        if is_of("hooks.slack.com") {
            Self::Slack
        } else if is_of("discord.com") || is_of("discordapp.com") {
            Self::Discord
        } else {
            Self::Generic
        }
    }
}

/// No format has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be generic, slack or discord")]
pub struct UnknownFormatError;

impl FromStr for Format {
    type Err = UnknownFormatError;

    fn from_str(name: &str) -> Result<Self, UnknownFormatError> {
        match name {
            "generic" => Ok(Self::Generic),
            "slack" => Ok(Self::Slack),
            "discord" => Ok(Self::Discord),
            _ => Err(UnknownFormatError),
        }
    }
}

/// The JSON to send. Events are for programs, and have one format.
pub fn body(message: &Message, format: Format) -> String {
    match message {
        Message::Event(event) => generic_event(event),
        Message::Alert(alert) => {
            let words = words::of(alert);
            match format {
                Format::Generic => generic_alert(alert, &words),
                Format::Slack => chat::slack(&words),
                Format::Discord => chat::discord(&words, alert.status),
            }
        }
    }
    .to_string()
}

fn generic_alert(alert: &AlertMessage, words: &words::Words) -> Value {
    json!({
        "id": alert.id, "kind": "alert", "alert": alert.alert, "status": alert.status, "title": words.title,
        "text": words.text, "since": alert.since, "at": alert.at, "details": alert.details,
    })
}

fn generic_event(event: &EventMessage) -> Value {
    json!({
        "id": event.id, "kind": "event", "event": event.event, "sessionId": event.session_id, "at": event.at,
    })
}

#[cfg(test)]
mod tests;
