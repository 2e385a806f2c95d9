//! What each method of each route takes and answers.

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
        _ => panic!("{method} of {route:?} is not described"),
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

fn set_enabled(enabled: bool, schemas: &mut Schemas) -> Operation {
    let job = of_job(ok("How it stands now.", vec![schemas.answer::<CareAnswer>()]));
    let id = json!({
        "name": "id", "in": "path", "required": true, "description": "The session.",
        "schema": { "type": "string", "format": "uuid" },
    });
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
