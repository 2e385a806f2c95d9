//! Whole pages: what is around their content, and the forms.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use session_core::{time::Timestamp, wire::State};

use crate::{
    overview::Overview,
    sessions::{FoundSessions, Run, RunHistory, Session, SessionHistory},
};

use super::{
    BASE, Span, Visit, overview_live, tables,
    words::{ago, long, maybe_ago, minute, moment, notice, number, plain, short, standing, took},
};

/// A document with its head; `script` where the page has something to do by itself.
fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · aimharder-keepalive" }
                link rel="stylesheet" href={ (BASE) "/dashboard.css" };
                script src={ (BASE) "/dashboard.js" } type="module" {}
            }
            body { (body) }
        }
    }
}

/// A page for somebody who signed in.
fn page(title: &str, query: &str, visit: &Visit<'_>, inside: &Markup) -> Markup {
    let body = html! {
        a.skip href="#main" { "Skip to the content" }
        header.top {
            a.home href=(BASE) { "aimharder-keepalive" }
            (search(query))
            (sign_out(visit))
        }
        main id="main" tabindex="-1" {
            (told(visit))
            (inside)
        }
    };
    document(title, &body)
}

fn search(query: &str) -> Markup {
    html! {
        form.search role="search" action={ (BASE) "/sessions" } {
            label.unseen for="query" { "Search sessions by e-mail or id" }
            input id="query" name="query" type="search" value=(query) placeholder="E-mail or id" required autocomplete="off"
                autocapitalize="none" spellcheck="false";
            button { "Search" }
        }
    }
}

fn sign_out(visit: &Visit<'_>) -> Markup {
    html! {
        form.sign-out method="post" action={ (BASE) "/sign-out" } {
            input type="hidden" name="csrf" value=(visit.csrf);
            span.quiet { "Key " code { (visit.key_id) } }
            button { "Sign out" }
        }
    }
}

fn told(visit: &Visit<'_>) -> Markup {
    let Some((text, good)) = visit.notice.map(notice) else {
        return html! {};
    };
    let (class, sign) = if good { ("good", "✓") } else { ("attention", "!") };
    html! {
        p.notice.(class) role="status" { span.sign aria-hidden="true" { (sign) } (text) }
    }
}

pub(super) fn sign_in(wrong_key: bool) -> Markup {
    let invalid = wrong_key.then_some("true");
    let described = wrong_key.then_some("wrong");
    let body = html! {
        main.small id="main" {
            h1 { "aimharder-keepalive" }
            p { "Sign in to see how sessions fare." }
            form.sign-in method="post" action=(BASE) {
                label for="key" { "Internal key" }
                input id="key" name="key" type="password" autocomplete="current-password" required autofocus
                    aria-invalid=[invalid] aria-describedby=[described];
                @if wrong_key { p.wrong id="wrong" role="alert" { "That is not the key." } }
                button.main-button { "Sign in" }
            }
        }
    };
    document("Sign in", &body)
}

pub(super) fn overview(overview: &Overview, span: Span, visit: &Visit<'_>) -> Markup {
    let url = format!("{BASE}/live?hours={}", span.hours());
    let inside = html! {
        div.heading {
            h1 { "Sessions" }
            p.update id="update" {
                span id="updated" { (moment(overview.now, &format!("As of {} UTC", minute(overview.now)))) }
                span.stale id="stale" role="status" {}
                noscript { " · reload for newer numbers" }
            }
        }
        div id="live" data-url=(url) { (PreEscaped(overview_live(overview, span))) }
    };
    page("Overview", "", visit, &inside)
}

pub(super) fn session(history: &SessionHistory, visit: &Visit<'_>) -> Markup {
    let (session, now) = (&history.session, history.now);
    let inside = html! {
        div.heading { h1.long { (session.email) } (tables::badge(session)) }
        p.sentence { (standing(session)) }
        @if session.is_refreshing { p { "A refresh is under way." } }
        (buttons(session, visit))
        (session_facts(session, now))
        (tables::attempts("Attempts", &history.attempts, now, true))
        (tables::events(&history.events, now))
        (tables::operators(&history.actions, now, false))
    };
    page(&session.email, "", visit, &inside)
}

fn buttons(session: &Session, visit: &Visit<'_>) -> Markup {
    let button = |action: &str, text: &str, main: bool| {
        html! {
            form method="post" action={ (BASE) "/sessions/" (session.id) "/" (action) } {
                input type="hidden" name="csrf" value=(visit.csrf);
                button.main-button[main] { (text) }
            }
        }
    };
    html! {
        div.buttons {
            (button("refresh", "Refresh now", true))
            @if session.enabled { (button("disable", "Disable", false)) } @else { (button("enable", "Enable", false)) }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { span.value { (value) } } } }
}

fn session_facts(session: &Session, now: Timestamp) -> Markup {
    let planned = session.state == State::Active && session.enabled;
    html! {
        dl.facts {
            (fact("Last renewed", &maybe_ago(session.last_refresh_date, now)))
            (fact("Last attempt", &maybe_ago(session.last_attempt_at, now)))
            @if planned { (fact("Next refresh", &next(session.next_refresh_due, now))) }
            (fact("Failing since", &maybe_ago(session.failing_since, now)))
            (fact("Failures in a row", &html! { (number(session.consecutive_failures)) }))
            (fact("Renewals so far", &html! { (number(session.refresh_count)) }))
            (fact("Signed in", &ago(session.signed_in_at, now)))
        }
        p.quiet { "Id " code { (session.id) } }
    }
}

fn next(due: Option<Timestamp>, now: Timestamp) -> Markup {
    match due {
        Some(at) if at <= now => moment(at, &format!("due for {}", long(now.since(at).as_secs()))),
        due => maybe_ago(due, now),
    }
}

pub(super) fn found(found: &FoundSessions, query: &str, visit: &Visit<'_>) -> Markup {
    let inside = html! {
        h1 { "Search" }
        @if found.sessions.is_empty() {
            p { "No session has “" (query) "” in its e-mail address or as its id." }
        } @else {
            p {
                @if found.more { "The first " (number(found.sessions.len() as u64)) " sessions" } @else { "All sessions" }
                " for “" (query) "”."
            }
            div.card { (tables::session_table("found-table", "Sessions found", &found.sessions, found.now)) }
        }
    };
    page("Search", query, visit, &inside)
}

pub(super) fn run(history: &RunHistory, visit: &Visit<'_>) -> Markup {
    let (run, now) = (&history.run, history.now);
    let inside = html! {
        h1 { "Run of " (moment(run.started_at, &minute(run.started_at))) " UTC" }
        p.sentence { "What went wrong: " (tables::wrong(run)) "." }
        (run_facts(run, now))
        (tables::attempts("Attempts that did not renew their session", &history.failures, now, false))
    };
    page(&format!("Run {}", short(&run.id)), "", visit, &inside)
}

fn run_facts(run: &Run, now: Timestamp) -> Markup {
    let dash = || "–".to_owned();
    html! {
        dl.facts {
            (fact("Started by", &html! { (plain(&run.trigger)) }))
            (fact("Started", &ago(run.started_at, now)))
            (fact("Took", &html! { (run.duration_ms.map_or_else(dash, took)) }))
            (fact("Claimed", &html! { (number(run.claimed)) }))
            (fact("Renewed", &html! { (number(run.refreshed)) }))
            (fact("Expired", &html! { (number(run.expired)) }))
            (fact("Failed", &html! { (number(run.failed)) }))
            (fact("Left due", &html! { (run.remaining.map_or_else(dash, number)) }))
        }
        p.quiet { "Id " code { (run.id) } }
    }
}

pub(super) fn trouble_page(status: u16, text: &str) -> Markup {
    let body = html! {
        main.small id="main" {
            h1 { "That did not work" }
            p { (text) }
            p.quiet { "Status " (status) }
            p { a href=(BASE) { "Back to the dashboard" } }
        }
    };
    document("Trouble", &body)
}
