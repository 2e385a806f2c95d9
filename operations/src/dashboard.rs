//! The dashboard's pages, with their plots: whole HTML documents, without inline code or style, so that a strict CSP holds.
//!
//! Serving them, cookies and who may see them are the Worker's.

mod pages;

mod glance;

mod plots;

mod ages;

mod stretch;

mod tables;

mod verdict;

mod plot;

mod words;

use maud::html;

use crate::{
    overview::Overview,
    sessions::{FoundSessions, RunHistory, SessionHistory},
};

pub use verdict::{Level, Verdict, verdict};

/// Where the dashboard is.
const BASE: &str = "/api/internal/dashboard";

/// The pages' style sheet.
pub const CSS: &str = include_str!("dashboard/dashboard.css");

/// The pages' script.
pub const JS: &str = include_str!("dashboard/dashboard.js");

/// Which time the plots show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Span {
    /// The last 24 hours.
    #[default]
    Day,
    /// The last 7 days.
    Week,
}

impl Span {
    /// The span of so many hours, if the pages have it.
    pub const fn from_hours(hours: u32) -> Option<Self> {
        match hours {
            24 => Some(Self::Day),
            168 => Some(Self::Week),
            _ => None,
        }
    }

    /// Its length.
    pub const fn hours(self) -> u32 {
        match self {
            Self::Day => 24,
            Self::Week => 168,
        }
    }
}

/// Where the reader is, and what their forms must carry.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Proves that a form came from one of these pages.
    pub csrf: &'a str,
    /// With which key they signed in: the first digits of a digest.
    pub key_id: &'a str,
    /// What came of what they did last.
    pub notice: Option<Notice>,
}

/// What came of an operator's action: told on the next page, by its name in `?notice=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The session was renewed.
    Refreshed,
    /// It had been some seconds before: nothing was done.
    Fresh,
    /// It was not.
    RefreshFailed,
    /// The batch looks after it again.
    Enabled,
    /// The batch leaves it alone.
    Disabled,
    /// A refresh is under way already, or there is no room for its call.
    Busy,
}

impl Notice {
    const ALL: [Self; 6] = [
        Self::Refreshed,
        Self::Fresh,
        Self::RefreshFailed,
        Self::Enabled,
        Self::Disabled,
        Self::Busy,
    ];

    /// The notice of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.as_str() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "refreshed",
            Self::Fresh => "fresh",
            Self::RefreshFailed => "refresh_failed",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Busy => "busy",
        }
    }
}

/// The page that asks for the key.
pub fn sign_in(wrong_key: bool) -> String {
    pages::sign_in(wrong_key).into_string()
}

/// How everything stands.
pub fn overview(overview: &Overview, span: Span, visit: &Visit<'_>) -> String {
    pages::overview(overview, span, visit).into_string()
}

/// The part of [`overview`] that updates by itself: a fragment.
pub fn overview_live(overview: &Overview, span: Span) -> String {
    html! {
        (glance::glance(overview, span))
        (plots::plots(overview, span))
        (tables::alerts(overview))
        (tables::trouble(overview))
        (tables::runs(overview))
        (tables::operators(&overview.actions, overview.now, true))
    }
    .into_string()
}

/// One session, what happened to it, and the buttons for it.
pub fn session(history: &SessionHistory, visit: &Visit<'_>) -> String {
    pages::session(history, visit).into_string()
}

/// The sessions that were found for `query`.
pub fn found(sessions: &FoundSessions, query: &str, visit: &Visit<'_>) -> String {
    pages::found(sessions, query, visit).into_string()
}

/// One run, and what failed in it.
pub fn run(history: &RunHistory, visit: &Visit<'_>) -> String {
    pages::run(history, visit).into_string()
}

/// An error in words, and the way back.
pub fn trouble_page(status: u16, text: &str) -> String {
    pages::trouble_page(status, text).into_string()
}

#[cfg(test)]
mod tests;
