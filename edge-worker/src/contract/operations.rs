//! What each method of each route takes and answers.

use operations::{
    health::Readiness,
    overview::Overview,
    sessions::{FoundSessions, RunHistory, Runs, SessionHistory},
};
use schemars::Schema;
use serde_json::{Value, json};
use session_core::{
    problem::ErrorCode,
    requests::{BatchChoice, FreshChoice, NoChoice, SessionChoice},
    wire::{CareAnswer, DryRun, Health, RefreshAnswer, RefreshStatus, SessionCheck},
};

use super::{Schemas, refer};
use crate::{ensure, routes::Route, run::Summary};

/// One method of one route.
pub(super) struct Operation {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) security: Value,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Schema>,
    pub(super) needs_body: bool,
    pub(super) success: Success,
    /// All that it can fail with.
    pub(super) codes: Vec<ErrorCode>,
    /// What some failures hold besides.
    pub(super) detail: Option<Schema>,
    detailed: fn(ErrorCode) -> Detail,
    /// Headers of every answer, beyond those that all have.
    also: &'static [(&'static str, &'static str)],
}

pub(super) struct Success {
    pub(super) status: u16,
    pub(super) about: &'static str,
    pub(super) schema: Option<Value>,
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// Its media type.
    pub(super) kind: &'static str,
}

/// Whether a failure with a code holds more than every failure does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Always,
    Maybe,
    Never,
}

impl Operation {
    /// Those of every answer.
    pub(super) fn headers(&self) -> Value {
        let mut headers = json!({ "X-Request-Id": refer("RequestId") });
        if self.tag == "users" {
            headers["Access-Control-Allow-Origin"] = refer("AllowOrigin");
        }
        for (name, header) in self.also {
            headers[name] = refer(header);
        }
        headers
    }

    pub(super) fn detail_of(&self, code: ErrorCode) -> Detail {
        match self.detail {
            Some(_) => (self.detailed)(code),
            None => Detail::Never,
        }
    }
}

/// What can happen to whatever asks the database.
const DATABASE: [ErrorCode; 6] = [
    ErrorCode::Misconfigured,
    ErrorCode::Interrupted,
    ErrorCode::DatabaseUnavailable,
    ErrorCode::DatabaseTimedOut,
    ErrorCode::DatabaseRefused,
    ErrorCode::DatabaseUnintelligible,
];

const USER: [ErrorCode; 7] = [
    ErrorCode::BadRequest,
    ErrorCode::Unauthorized,
    ErrorCode::EmailMissing,
    ErrorCode::CrossSite,
    ErrorCode::SessionNotFound,
    ErrorCode::RateLimited,
    ErrorCode::KeysUnavailable,
];

/// What can happen to an attempt.
const ATTEMPT: [ErrorCode; 12] = [
    ErrorCode::SessionExpired,
    ErrorCode::SessionUnusable,
    ErrorCode::RefreshInProgress,
    ErrorCode::TooSoon,
    ErrorCode::UpstreamRefused,
    ErrorCode::UpstreamFault,
    ErrorCode::UpstreamUnreachable,
    ErrorCode::UpstreamUnrecognised,
    ErrorCode::UpstreamThrottled,
    ErrorCode::UpstreamSpared,
    ErrorCode::UpstreamTimedOut,
    ErrorCode::Superseded,
];

const JSON: &str = "application/json";

const BODY: [ErrorCode; 2] = [ErrorCode::BodyTimeout, ErrorCode::BodyTooLarge];

const INTERNAL: [ErrorCode; 3] = [
    ErrorCode::BadRequest,
    ErrorCode::Unauthorized,
    ErrorCode::RateLimited,
];

const ERRORS_OF_DATABASE: [ErrorCode; 5] = [
    ErrorCode::DatabaseUnavailable,
    ErrorCode::DatabaseTimedOut,
    ErrorCode::DatabaseRefused,
    ErrorCode::DatabaseRowRefused,
    ErrorCode::DatabaseUnintelligible,
];

/// Describes what `method` does on `route`.
pub(super) fn operation(route: Route, method: &str, schemas: &mut Schemas) -> Operation {
    match (route, method) {
        (Route::Health, "GET" | "HEAD") => health(method, schemas),
        (Route::Contract, "GET" | "HEAD") => contract(method),
        (Route::Refresh, "GET") => Operation {
            id: "refreshStatus",
            summary: "How my session stands",
            ..of_user(ok("How it stands.", vec![schemas.answer::<RefreshStatus>()]))
        },
        (Route::Refresh, "POST") => refresh(schemas),
        (Route::SessionCheck, "GET") => Operation {
            id: "sessionCheck",
            summary: "Whether my session can be used, and what to do",
            ..of_user(ok("How it stands.", vec![schemas.answer::<SessionCheck>()]))
        },
        (Route::Refresh, "OPTIONS") => preflight("preflightRefresh"),
        (Route::SessionCheck, "OPTIONS") => preflight("preflightCheck"),
        (Route::RunBatch, "POST") => run_batch(schemas),
        (Route::EnsureFresh, "POST") => ensure_fresh(schemas),
        (Route::SetEnabled { enabled }, "POST") => set_enabled(enabled, schemas),
        (Route::RefreshSession, "POST") => refresh_session(schemas),
        (Route::Dashboard, method) => dashboard(method),
        (route, "GET") => looking(route, schemas),
        _ => panic!("{method} of {route:?} is not described"),
    }
}

/// Describes what only looks.
fn looking(route: Route, schemas: &mut Schemas) -> Operation {
    match route {
        Route::Session => Operation {
            id: "session",
            summary: "One session and what happened to it",
            parameters: vec![id_in_path("The session.")],
            codes: [
                &LOOK[..],
                &DATABASE,
                &[ErrorCode::NotFound, ErrorCode::SessionNotFound],
            ]
            .concat(),
            ..look(ok(
                "How it stands, and its history.",
                vec![schemas.answer::<SessionHistory>()],
            ))
        },
        Route::Sessions => Operation {
            id: "sessions",
            summary: "Look for sessions",
            about: "With `query` those that fit it; without one, or with `trouble=true` alone, those that are expired, given up or failing. At most 50 are told.",
            parameters: vec![
                parameter(
                    "query",
                    "A part of an e-mail address, or an id.",
                    &json!({ "type": "string", "pattern": "^[^\\u0000]*[!-~][^\\u0000]*$", "maxLength": 255 }),
                ),
                parameter("trouble", "Those in trouble.", &json!({ "const": "true" })),
            ],
            ..look(ok("What was found.", vec![schemas.answer::<FoundSessions>()]))
        },
        Route::Run => Operation {
            id: "run",
            summary: "One run and what failed in it",
            parameters: vec![id_in_path("The run.")],
            codes: [&LOOK[..], &DATABASE, &[ErrorCode::NotFound]].concat(),
            ..look(ok("The run.", vec![schemas.answer::<RunHistory>()]))
        },
        Route::Runs => Operation {
            id: "runs",
            summary: "The latest runs",
            parameters: vec![parameter(
                "limit",
                "How many, 20 if not given.",
                &json!({ "type": "integer", "minimum": 1, "maximum": 100 }),
            )],
            ..look(ok("Newest first.", vec![schemas.answer::<Runs>()]))
        },
        Route::Overview => Operation {
            id: "overview",
            summary: "How everything stands",
            parameters: vec![parameter(
                "hours",
                "For how long back, 24 if not given.",
                &json!({ "enum": [24, 168] }),
            )],
            ..look(ok(
                "What the dashboard shows.",
                vec![schemas.answer::<Overview>()],
            ))
        },
        Route::Metrics => Operation {
            id: "metrics",
            summary: "Metrics, as OpenMetrics text",
            ..look(text(
                "For Prometheus and the like.",
                "application/openmetrics-text",
            ))
        },
        Route::Readiness => Operation {
            id: "readiness",
            summary: "Whether all is well, and what is not",
            codes: [
                &LOOK[..],
                &[
                    ErrorCode::Misconfigured,
                    ErrorCode::Interrupted,
                    ErrorCode::NotReady,
                ],
            ]
            .concat(),
            detail: Some(schemas.answer::<Readiness>()),
            detailed: |code| match code {
                ErrorCode::NotReady => Detail::Always,
                _ => Detail::Never,
            },
            ..look(ok("All is well.", vec![schemas.answer::<Readiness>()]))
        },
        _ => panic!("GET of {route:?} is not described"),
    }
}

fn plain(tag: &'static str, success: Success) -> Operation {
    Operation {
        id: "",
        tag,
        summary: "",
        about: "",
        security: json!([]),
        parameters: Vec::new(),
        body: None,
        needs_body: false,
        success,
        codes: Vec::new(),
        detail: None,
        detailed: |_| Detail::Never,
        also: &[],
    }
}

/// An answer that is one of these, and a success.
fn ok(about: &'static str, schemas: Vec<Schema>) -> Success {
    let mut kinds: Vec<_> = schemas.into_iter().map(Value::from).collect();
    let kind = if kinds.len() == 1 {
        kinds.remove(0)
    } else {
        json!({ "anyOf": kinds })
    };
    Success {
        status: 200,
        about,
        schema: Some(json!({ "allOf": [kind, { "$ref": "#/components/schemas/Success" }] })),
        headers: &[],
        kind: JSON,
    }
}

fn health(method: &str, schemas: &mut Schemas) -> Operation {
    let runs = ok("It runs.", vec![schemas.answer::<Health>()]);
    let is_head = method == "HEAD";
    Operation {
        id: if is_head { "healthHead" } else { "health" },
        summary: "Whether the Worker runs",
        ..plain(
            "public",
            if is_head {
                Success { schema: None, ..runs }
            } else {
                runs
            },
        )
    }
}

fn contract(method: &str) -> Operation {
    let is_head = method == "HEAD";
    Operation {
        id: if is_head { "contractHead" } else { "contract" },
        summary: "This document",
        ..plain(
            "public",
            Success {
                kind: JSON,
                status: 200,
                about: "OpenAPI 3.1.",
                schema: (!is_head).then(|| json!({ "type": "object", "required": ["openapi", "paths"] })),
                headers: &[],
            },
        )
    }
}

fn of_user(success: Success) -> Operation {
    let session = json!({
        "name": "sessionId", "in": "query", "description": "Which of my sessions; the one signed in last if none is named.",
        "schema": { "type": "string", "format": "uuid" },
    });
    Operation {
        security: json!([{ "bearer": [] }, { "cookie": [] }]),
        parameters: vec![session],
        codes: [&USER[..], &DATABASE].concat(),
        ..plain("users", success)
    }
}

fn refresh(schemas: &mut Schemas) -> Operation {
    let key = json!({
        "name": "Idempotency-Key", "in": "header",
        "description": "Made up for each request, and sent again with its repetitions: they get the first one's answer.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$" },
    });
    let answer = ok("The session is fresh.", vec![schemas.answer::<RefreshAnswer>()]);
    let own = [ErrorCode::IdempotencyKeyReused, ErrorCode::DatabaseRowRefused];
    Operation {
        id: "refresh",
        summary: "Refresh my session now",
        about: "Joins a refresh that is under way, and reuses one that ended moments ago.",
        parameters: vec![key],
        body: Some(schemas.request::<SessionChoice>()),
        codes: [&USER[..], &BODY, &ATTEMPT, &DATABASE, &own].concat(),
        also: &[("Idempotency-Replayed", "Replayed")],
        ..of_user(answer)
    }
}

fn preflight(id: &'static str) -> Operation {
    Operation {
        id,
        summary: "What a browser asks before it calls from another origin",
        codes: vec![
            ErrorCode::Misconfigured,
            ErrorCode::Interrupted,
            ErrorCode::RateLimited,
        ],
        ..plain(
            "users",
            Success {
                kind: JSON,
                status: 204,
                about: "What may be sent; `Access-Control-Allow-Origin` is there if the origin may call.",
                schema: None,
                headers: &[
                    ("Access-Control-Allow-Methods", "AllowMethods"),
                    ("Access-Control-Allow-Headers", "AllowHeaders"),
                    ("Access-Control-Max-Age", "MaxAge"),
                ],
            },
        )
    }
}

fn of_job(success: Success) -> Operation {
    Operation {
        security: json!([{ "key": [] }]),
        codes: [&INTERNAL[..], &BODY, &DATABASE].concat(),
        ..plain("internal", success)
    }
}

fn run_batch(schemas: &mut Schemas) -> Operation {
    let answer = ok(
        "What was done; or, of a dry run, what is due.",
        vec![schemas.answer::<Summary>(), schemas.answer::<DryRun>()],
    );
    let job = of_job(answer);
    let own = [
        ErrorCode::BatchFailed,
        ErrorCode::UpstreamSpared,
        ErrorCode::DatabaseRowRefused,
    ];
    Operation {
        id: "refreshSessions",
        summary: "Refresh what is due",
        body: Some(schemas.request::<BatchChoice>()),
        codes: [&job.codes[..], &own].concat(),
        detail: Some(schemas.answer::<Summary>()),
        detailed: |code| match code {
            ErrorCode::BatchFailed | ErrorCode::UpstreamSpared => Detail::Always,
            code if ERRORS_OF_DATABASE.contains(&code) => Detail::Maybe,
            _ => Detail::Never,
        },
        ..job
    }
}

fn ensure_fresh(schemas: &mut Schemas) -> Operation {
    let job = of_job(ok(
        "At least one is fresh, or none could be: see `allFresh`. Of a time to come, see `allScheduled`.",
        vec![schemas.answer::<ensure::Answer>()],
    ));
    let own = [
        ErrorCode::NoneFresh,
        ErrorCode::UpstreamSpared,
        ErrorCode::RefreshInProgress,
        ErrorCode::DatabaseRowRefused,
    ];
    Operation {
        id: "ensureFresh",
        summary: "Have these sessions fresh, now or at a time to come",
        about: "At most 100 sessions in all. There is one entry for each name, ids first, in their order.",
        body: Some(schemas.request::<FreshChoice>()),
        needs_body: true,
        codes: [&job.codes[..], &own].concat(),
        detail: Some(schemas.answer::<ensure::Answer>()),
        detailed: |code| match code {
            ErrorCode::NoneFresh | ErrorCode::UpstreamSpared | ErrorCode::RefreshInProgress => Detail::Always,
            code if ERRORS_OF_DATABASE.contains(&code) => Detail::Maybe,
            _ => Detail::Never,
        },
        ..job
    }
}

const LOOK: [ErrorCode; 3] = INTERNAL;

/// What only looks.
fn look(success: Success) -> Operation {
    Operation {
        security: json!([{ "key": [] }]),
        codes: [&LOOK[..], &DATABASE].concat(),
        ..plain("internal", success)
    }
}

fn text(about: &'static str, kind: &'static str) -> Success {
    Success {
        status: 200,
        about,
        schema: Some(json!({ "type": "string" })),
        headers: &[],
        kind,
    }
}

fn parameter(name: &str, about: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": about, "schema": schema })
}

fn id_in_path(about: &str) -> Value {
    json!({
        "name": "id", "in": "path", "required": true, "description": about,
        "schema": { "type": "string", "format": "uuid" },
    })
}

fn dashboard(method: &str) -> Operation {
    let is_sign_in = method == "POST";
    let success = if is_sign_in {
        Success {
            status: 303,
            schema: None,
            ..text("Signed in.", "text/html")
        }
    } else {
        text("The page.", "text/html")
    };
    Operation {
        id: if is_sign_in {
            "dashboardSignIn"
        } else {
            "dashboard"
        },
        summary: if is_sign_in {
            "Sign in to the dashboard, by its own form"
        } else {
            "The dashboard, a page for people"
        },
        about: "What is below this address is the page's own, and no interface.",
        security: json!([]),
        codes: [&LOOK[..], &DATABASE, &BODY, &[ErrorCode::CrossSite]].concat(),
        ..plain("internal", success)
    }
}

fn refresh_session(schemas: &mut Schemas) -> Operation {
    let fresh = ensure_fresh(schemas);
    Operation {
        id: "refreshSession",
        summary: "Refresh one session now, whatever its age",
        about: "There is one entry. What was done is recorded, with the key's id.",
        parameters: vec![id_in_path("The session.")],
        body: Some(schemas.request::<NoChoice>()),
        needs_body: false,
        codes: [
            &fresh.codes[..],
            &[ErrorCode::NotFound, ErrorCode::SessionNotFound],
        ]
        .concat(),
        ..fresh
    }
}

fn set_enabled(enabled: bool, schemas: &mut Schemas) -> Operation {
    let job = of_job(ok("How it stands now.", vec![schemas.answer::<CareAnswer>()]));
    let id = id_in_path("The session.");
    Operation {
        id: if enabled { "enable" } else { "disable" },
        summary: if enabled {
            "Give a session back to the batch's care; one that was given up is taken up again"
        } else {
            "Take a session out of the batch's care"
        },
        parameters: vec![id],
        body: Some(schemas.request::<NoChoice>()),
        codes: [&job.codes[..], &[ErrorCode::NotFound, ErrorCode::SessionNotFound]].concat(),
        ..job
    }
}
