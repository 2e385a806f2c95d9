//! What operators and their machines ask: how everything stands, sessions, runs, metrics, and whether all is well.

use operations::{
    health::{Facts, Readiness},
    metrics::{self, Metrics},
    overview::Overview,
    sessions::{FoundSessions, Run, RunHistory, Runs, SessionHistory},
};
use serde::Deserialize;
use serde_json::json;
use session_core::requests::{SessionId, Wanted, When};
use std::time::Duration;
use worker::{Headers, Request, Response};

use crate::{
    answer::ApiError,
    config::Config,
    database::DatabaseError,
    ensure::{self, Freshness, NoneFresh},
    log,
    pass::Operator,
    runtime::Asker,
};

/// Attempts, events and actions that are told of one session.
const MOST_OF_A_SESSION: u32 = 100;

/// Sessions that a search tells.
const MOST_FOUND: u32 = 50;

/// The times that an overview can tell of, in hours.
const SPANS: [u32; 2] = [24, 168];

const MOST_RUNS: u32 = 100;
const USUAL_RUNS: u32 = 20;
const LONGEST_QUERY: usize = 255;

/// A query's parameters: those of these names, each once at the most.
pub(crate) fn parameters<const N: usize>(
    request: &Request,
    names: [&str; N],
) -> Result<[Option<String>; N], ApiError> {
    let url = request.url().map_err(|_| ApiError::NoSuchRoute)?;
    let mut values = [const { None }; N];
    for (name, value) in url.query_pairs() {
        let place = names.iter().position(|known| *known == name);
        match place.and_then(|place| values.get_mut(place)) {
            Some(slot @ None) => *slot = Some(value.into_owned()),
            Some(Some(_)) => {
                return Err(bad(format!(
                    "the parameter {} is given twice",
                    names.join(" or ")
                )));
            }
            None if N == 0 => return Err(bad("this address takes no parameters")),
            None => {
                return Err(bad(format!(
                    "the query may hold {}, and nothing else",
                    names.join(" and ")
                )));
            }
        }
    }
    Ok(values)
}

fn bad(reason: impl Into<String>) -> ApiError {
    ApiError::BadRequest(reason.into())
}

/// For how many hours an overview is asked.
pub(crate) fn hours(text: Option<&str>) -> Result<u32, ApiError> {
    let Some(text) = text else {
        return Ok(24);
    };
    let hours = text.parse().ok().filter(|hours| SPANS.contains(hours));
    hours.ok_or_else(|| bad("the parameter hours must be 24 or 168"))
}

/// How everything stands.
pub(crate) async fn overview(config: &Config, hours: u32) -> Result<Overview, ApiError> {
    Ok(config
        .ask_of_upstream("overview", json!({ "p_hours": hours }))
        .await?)
}

/// Sessions by id or e-mail; without a query those in trouble.
pub(crate) async fn find(config: &Config, query: Option<&str>) -> Result<FoundSessions, ApiError> {
    let arguments = json!({ "p_query": query, "p_limit": MOST_FOUND });
    Ok(config.call("find_sessions", &arguments).await?)
}

/// The same, as a request asks for it: `trouble` says what no query means anyhow.
pub(crate) async fn find_as_asked(request: &Request, config: &Config) -> Result<FoundSessions, ApiError> {
    let [query, trouble] = parameters(request, ["query", "trouble"])?;
    let fits = |query: &str| {
        query.chars().count() <= LONGEST_QUERY
            && query.bytes().any(|byte| byte.is_ascii_graphic())
            && !query.contains('\0')
    };
    match (query, trouble.as_deref()) {
        (Some(query), None | Some("true")) if fits(&query) => find(config, Some(query.trim())).await,
        (None, None | Some("true")) => find(config, None).await,
        _ => Err(bad(
            "query must be a part of an e-mail address or a session's id, and trouble, if given, true",
        )),
    }
}

/// One session and what happened to it.
pub(crate) async fn session(config: &Config, id: &SessionId) -> Result<SessionHistory, ApiError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Some(Box<SessionHistory>),
        None { session: () },
    }
    let arguments = json!({ "p_session_id": id.as_str(), "p_limit": MOST_OF_A_SESSION });
    match config.call("session_history", &arguments).await? {
        Told::Some(history) => Ok(*history),
        Told::None { session: () } => Err(ApiError::NoSuchSession),
    }
}

/// The latest runs.
pub(crate) async fn runs(request: &Request, config: &Config) -> Result<Runs, ApiError> {
    let [limit] = parameters(request, ["limit"])?;
    let limit = match limit {
        None => USUAL_RUNS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST_RUNS).contains(limit))
            .ok_or_else(|| bad("the parameter limit must be a whole number from 1 to 100"))?,
    };
    Ok(config.call("list_runs", &json!({ "p_limit": limit })).await?)
}

/// One run and what failed in it.
pub(crate) async fn run(config: &Config, id: &SessionId) -> Result<RunHistory, ApiError> {
    #[derive(Deserialize)]
    struct Told {
        now: session_core::time::Timestamp,
        run: Option<Run>,
        failures: Vec<operations::sessions::Attempt>,
    }
    let told: Told = config
        .call("run_history", &json!({ "p_run_id": id.as_str() }))
        .await?;
    let run = told.run.ok_or(ApiError::NoSuchRoute)?;
    Ok(RunHistory {
        run,
        failures: told.failures,
        now: told.now,
    })
}

/// The text for machines that measure.
pub(crate) async fn metrics(config: &Config) -> Result<Response, ApiError> {
    let told: Metrics = config.ask_of_upstream("metrics", json!({})).await?;
    let text = metrics::to_open_metrics(&told).map_err(|_| ApiError::Interrupted)?;
    respond(text, metrics::CONTENT_TYPE, 200).map_err(|_| ApiError::Interrupted)
}

/// An answer that is no JSON.
pub(crate) fn respond(text: String, content_type: &str, status: u16) -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("Content-Type", content_type)?;
    Ok(Response::ok(text)?.with_headers(headers).with_status(status))
}

/// Whether all is well.
pub(crate) async fn readiness(config: &Config) -> Readiness {
    let told: Result<Facts, DatabaseError> = config.ask_of_upstream("health", json!({})).await;
    match &told {
        Ok(facts) => Readiness::of(Ok(facts), config.cron_enabled),
        Err(error) => {
            let is_schema = matches!(error, DatabaseError::Refused(404) | DatabaseError::Unintelligible);
            let text = match error {
                DatabaseError::Refused(404) => {
                    "Its functions are missing: the migrations are not applied.".to_owned()
                }
                error => format!("It can't be used: {error}."),
            };
            Readiness::of(Err((&text, is_schema)), config.cron_enabled)
        }
    }
}

/// Refreshes one session now, whatever its age, and records who wanted that.
pub(crate) async fn refresh(
    id: &SessionId,
    operator: &Operator,
    config: &Config,
    asker: &Asker,
) -> Result<(ensure::Answer, Option<NoneFresh>), ApiError> {
    let wanted = Wanted {
        ids: vec![id.as_str().to_owned()],
        emails: Vec::new(),
        when: When::Now {
            max_age: Duration::ZERO,
        },
    };
    let told = ensure::ensure_fresh(&wanted, Duration::ZERO, config, asker).await;
    let result = match &told {
        Ok((answer, _)) => answer.first_result().map_or("failed", Freshness::as_str),
        Err(_) => "failed",
    };
    if result != Freshness::NotFound.as_str() {
        record(config, operator, "refresh", Some(id.as_str()), result).await;
    }
    match told? {
        (answer, _) if answer.first_result() == Some(Freshness::NotFound) => Err(ApiError::NoSuchSession),
        told => Ok(told),
    }
}

/// Records what was done. What can't be recorded is done all the same, and logged.
pub(crate) async fn record(
    config: &Config,
    operator: &Operator,
    action: &str,
    session_id: Option<&str>,
    result: &str,
) {
    if let Err(error) = config
        .note_action(&operator.key_id, action, session_id, result)
        .await
    {
        log::unrecorded(action, error);
    }
}
