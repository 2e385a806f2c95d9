//! What goes out: JSON with `success`, and for each failure its status, code and sentence.

use std::time::Duration;

use access_token::token::TokenError;
use operations::health::Readiness;
use serde::Serialize;
use serde_json::{Value, json};
use session_core::{
    outcome::{Outcome, OutcomeCode},
    problem::ErrorCode,
    requests::BodyError,
    time::{Timestamp, whole_seconds},
    wire::Problem,
};
use worker::{Headers, Response};

use crate::{
    config::ConfigError,
    database::DatabaseError,
    ensure::{self, NoneFresh},
    idempotency,
    identity::IdentityError,
    run::Summary,
};

/// Everything that can be wrong with a request, or go wrong with it. The log gets more than the asker.
#[derive(Debug)]
pub(crate) enum ApiError {
    Misconfigured(ConfigError),
    Identity(IdentityError),
    InternalKey,
    NoSuchRoute,
    MethodNotAllowed {
        allow: &'static str,
    },
    BadRequest(String),
    BodyTooLarge,
    BodyTimeout,
    NoSession,
    SessionExpired,
    Busy {
        retry_after: Duration,
    },
    TooSoon {
        retry_after: Duration,
    },
    Upstream {
        code: OutcomeCode,
        retry_after: Option<Duration>,
    },
    /// Upstream is left alone for the moment.
    Spared {
        retry_after: Duration,
    },
    CrossSite,
    /// Somebody asks too often.
    RateLimited {
        retry_after: Duration,
    },
    Superseded,
    Database(DatabaseError),
    BatchFailed(Box<Summary>),
    BatchSpared(Box<Summary>),
    NoneFresh(ensure::NoneFresh, Box<ensure::Answer>),
    NoSuchSession,
    /// The `Idempotency-Key` was another session's.
    KeyReused,
    /// A refresh that ended, at this time of the database's: now, or when an earlier request with its key was answered.
    Settled {
        error: Box<ApiError>,
        at: Timestamp,
        replayed: bool,
    },
    BatchBroken(DatabaseError, Box<Summary>),
    /// Something is not well.
    NotReady(Readiness),
    Interrupted,
}

/// An error as it is shown: stable code, which has its status, and a sentence for people.
struct Shown {
    code: ErrorCode,
    error: String,
    /// Where the code says when to try again, and something better than [`SOON`] is known.
    retry_after: Option<Duration>,
}

impl Shown {
    /// The header `Retry-After`.
    fn retry_after(&self) -> Option<Duration> {
        self.code.says_when().then(|| self.retry_after.unwrap_or(SOON))
    }
}

/// Made by contract.rs.
const CONTRACT: &str = include_str!("../openapi.json");

const SPARED: &str = "aimharder has trouble, or had too many calls. It is left alone for the moment.";

/// How long to wait where nothing better is known.
const SOON: Duration = Duration::from_secs(5);

/// The same of aimharder's trouble.
const LATER: Duration = Duration::from_secs(30);

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        Self::Misconfigured(error)
    }
}

impl ApiError {
    /// An attempt that did not renew the session.
    pub(crate) fn from_outcome(outcome: &Outcome) -> Self {
        Self::from_code(outcome.code(), outcome.retry_after())
    }

    /// The same, of an attempt that only its code is known of.
    pub(crate) const fn from_code(code: OutcomeCode, retry_after: Option<Duration>) -> Self {
        match code {
            OutcomeCode::Expired => Self::SessionExpired,
            code => Self::Upstream { code, retry_after },
        }
    }

    /// Whether an operator should hear of it.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Misconfigured(_)
                | Self::Database(_)
                | Self::Interrupted
                | Self::Identity(IdentityError::KeysUnavailable { .. })
        )
    }

    /// The code and the sentence, for the log.
    pub(crate) fn to_log(&self) -> (ErrorCode, String) {
        let shown = self.shown();
        (
            shown.code,
            if let Self::Database(error) = self {
                error.to_string()
            } else {
                shown.error
            },
        )
    }

    /// The status and the sentence, for a page.
    pub(crate) fn words(&self) -> (u16, String) {
        let shown = self.shown();
        (shown.code.status(), shown.error)
    }

    /// The answer.
    pub(crate) fn to_response(&self, request_id: &str, now: Timestamp) -> worker::Result<Response> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            problem: Problem,
            #[serde(flatten)]
            summary: Option<&'a Summary>,
            #[serde(flatten)]
            sessions: Option<&'a ensure::Answer>,
            #[serde(flatten)]
            readiness: Option<&'a Readiness>,
        }
        if let Self::Settled { error, at, replayed } = self {
            let response = error.to_response(request_id, *at)?;
            return mark_replayed(response, *replayed);
        }
        let shown = self.shown();
        let status = shown.code.status();
        let body = Body {
            problem: Problem {
                success: false,
                error: shown.error,
                code: shown.code,
                request_id: request_id.to_owned(),
                server_time: now,
            },
            summary: match self {
                Self::BatchFailed(summary) | Self::BatchSpared(summary) | Self::BatchBroken(_, summary) => {
                    Some(summary)
                }
                _ => None,
            },
            sessions: match self {
                Self::NoneFresh(_, answer) => Some(answer),
                _ => None,
            },
            readiness: match self {
                Self::NotReady(readiness) => Some(readiness),
                _ => None,
            },
        };
        let response = json_response(serde_json::to_string(&body).unwrap_or_default(), status)?;
        self.tell_headers(response.headers())?;
        Ok(response)
    }

    /// What headers say of it, whatever the answer's form.
    pub(crate) fn tell_headers(&self, headers: &Headers) -> worker::Result<()> {
        if let Some(wait) = self.shown().retry_after() {
            headers.set("Retry-After", &whole_seconds(wait).max(1).to_string())?;
        }
        match self {
            Self::MethodNotAllowed { allow } => headers.set("Allow", allow),
            Self::Identity(IdentityError::Missing) => headers.set("WWW-Authenticate", "Bearer"),
            Self::Identity(IdentityError::Refused(TokenError::Invalid | TokenError::Expired)) => {
                headers.set("WWW-Authenticate", r#"Bearer error="invalid_token""#)
            }
            _ => Ok(()),
        }
    }

    fn shown(&self) -> Shown {
        let plain = |code, error: &str| Shown {
            code,
            error: error.to_owned(),
            retry_after: None,
        };
        let later = |code, error: &str, retry_after| Shown {
            retry_after: Some(retry_after),
            ..plain(code, error)
        };
        match self {
            Self::Settled { error, .. } => error.shown(),
            Self::KeyReused => plain(
                ErrorCode::IdempotencyKeyReused,
                "This Idempotency-Key was used for another session.",
            ),
            Self::Misconfigured(error) => plain(ErrorCode::Misconfigured, &sentence(&error.to_string())),
            Self::Identity(error @ IdentityError::Refused(TokenError::NoEmail)) => {
                plain(ErrorCode::EmailMissing, &sentence(&error.to_string()))
            }
            Self::Identity(error @ IdentityError::KeysUnavailable { retry_after }) => later(
                ErrorCode::KeysUnavailable,
                &sentence(&error.to_string()),
                *retry_after,
            ),
            Self::RateLimited { retry_after } => later(
                ErrorCode::RateLimited,
                "These are too many requests. Please wait.",
                *retry_after,
            ),
            Self::Identity(error) => plain(ErrorCode::Unauthorized, &sentence(&error.to_string())),
            Self::CrossSite => plain(
                ErrorCode::CrossSite,
                "A sign-in by cookie is taken from pages of this site alone, and changes only as JSON.",
            ),
            Self::InternalKey => plain(ErrorCode::Unauthorized, "A valid x-api-key is required."),
            Self::NoSuchRoute => plain(ErrorCode::NotFound, "There is nothing at this address."),
            Self::MethodNotAllowed { allow } => plain(
                ErrorCode::MethodNotAllowed,
                &format!("This address takes {allow}."),
            ),
            Self::BadRequest(reason) => plain(ErrorCode::BadRequest, &sentence(reason)),
            Self::BodyTooLarge => plain(ErrorCode::BodyTooLarge, "The request's body is too large."),
            Self::BodyTimeout => plain(ErrorCode::BodyTimeout, "The request's body did not come in time."),
            Self::NoSession => plain(ErrorCode::SessionNotFound, "You have no such aimharder session."),
            Self::SessionExpired => plain(
                ErrorCode::SessionExpired,
                "The aimharder session is over. Please sign in to aimharder again.",
            ),
            Self::Busy { retry_after } => later(
                ErrorCode::RefreshInProgress,
                "A refresh of this session is under way.",
                *retry_after,
            ),
            Self::TooSoon { retry_after } => later(
                ErrorCode::TooSoon,
                "This session was tried a moment ago. Please wait.",
                *retry_after,
            ),
            Self::Upstream { code, retry_after } => shown_upstream(*code, *retry_after),
            Self::Superseded => plain(
                ErrorCode::Superseded,
                "A newer sign-in took this refresh's place. Please try again.",
            ),
            Self::Database(error) | Self::BatchBroken(error, _) => shown_database(*error),
            Self::BatchFailed(_) => plain(
                ErrorCode::BatchFailed,
                "No session could be refreshed: aimharder is away or refuses us.",
            ),
            Self::Spared { retry_after } => later(ErrorCode::UpstreamSpared, SPARED, *retry_after),
            Self::BatchSpared(_) => later(ErrorCode::UpstreamSpared, SPARED, LATER),
            Self::NoneFresh(why, _) => match *why {
                NoneFresh::Database(error) => shown_database(error),
                NoneFresh::Failed => plain(
                    ErrorCode::NoneFresh,
                    "None of these sessions could be made as fresh as that.",
                ),
                NoneFresh::Spared { retry_after } => later(ErrorCode::UpstreamSpared, SPARED, retry_after),
                NoneFresh::Busy => plain(ErrorCode::RefreshInProgress, "Others refresh these sessions."),
            },
            Self::NotReady(_) => plain(ErrorCode::NotReady, "Something is not well: see the checks."),
            Self::NoSuchSession => plain(ErrorCode::SessionNotFound, "There is no such session."),
            Self::Interrupted => plain(
                ErrorCode::Interrupted,
                "The work was interrupted. Please try again.",
            ),
        }
    }
}

fn shown_upstream(outcome: OutcomeCode, retry_after: Option<Duration>) -> Shown {
    let (code, error) = match outcome {
        OutcomeCode::Throttled => (ErrorCode::UpstreamThrottled, "aimharder asks us to slow down."),
        OutcomeCode::Refused => (ErrorCode::UpstreamRefused, "aimharder refused the request."),
        OutcomeCode::UpstreamFault => (ErrorCode::UpstreamFault, "aimharder has a fault."),
        OutcomeCode::Unreachable => (ErrorCode::UpstreamUnreachable, "aimharder can't be reached."),
        OutcomeCode::TimedOut => (ErrorCode::UpstreamTimedOut, "aimharder did not answer in time."),
        OutcomeCode::Unusable => (
            ErrorCode::SessionUnusable,
            "What is stored of this session can't be used. Please sign in again.",
        ),
        OutcomeCode::Unrecognised | OutcomeCode::Refreshed | OutcomeCode::Expired => (
            ErrorCode::UpstreamUnrecognised,
            "aimharder answered something that we don't understand.",
        ),
    };
    Shown {
        code,
        error: error.to_owned(),
        retry_after: retry_after.or(Some(LATER)),
    }
}

fn shown_database(error: DatabaseError) -> Shown {
    let text = match error {
        DatabaseError::Unavailable(_) | DatabaseError::TimedOut => "The database is away.",
        DatabaseError::RowRefused => "The database refuses what is to be written of this session.",
        DatabaseError::Refused(_) | DatabaseError::Unintelligible => "The database can't be used.",
    };
    Shown {
        code: error.code(),
        error: text.to_owned(),
        retry_after: None,
    }
}

/// An answer of success: `body`'s fields and `success: true`.
pub(crate) fn success(body: &impl Serialize) -> worker::Result<Response> {
    let mut body = serde_json::to_value(body).unwrap_or_default();
    if let Value::Object(fields) = &mut body {
        fields.insert("success".to_owned(), json!(true));
    }
    json_response(body.to_string(), 200)
}

/// Says of an answer that an earlier request got it already.
pub(crate) fn mark_replayed(response: Response, replayed: bool) -> worker::Result<Response> {
    if replayed {
        response.headers().set(idempotency::REPLAYED, "true")?;
    }
    Ok(response)
}

/// The contract: for everybody, and for some minutes.
pub(crate) fn contract() -> worker::Result<Response> {
    let response = json_response(CONTRACT, 200)?;
    response.headers().set("Cache-Control", "public, max-age=300")?;
    Ok(response)
}

fn json_response(body: impl Into<String>, status: u16) -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("Content-Type", "application/json; charset=utf-8")?;
    Ok(Response::ok(body)?.with_headers(headers).with_status(status))
}

/// What every answer says besides: no cache keeps it, no page shows or embeds it, and it is JSON and nothing else.
const SAFEGUARDS: [(&str, &str); 7] = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=31536000"),
];

/// Adds to an answer what every answer has, unless it says otherwise itself.
pub(crate) fn safeguard(headers: &Headers) -> worker::Result<()> {
    SAFEGUARDS
        .iter()
        .filter(|(name, _)| !headers.has(name).unwrap_or(false))
        .try_for_each(|(name, value)| headers.set(name, value))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str() + ".")
        .unwrap_or_default()
}
