//! From a request to an answer.

use std::time::Duration;

use access_token::email::Email;
use session_core::{
    outcome::{Outcome, OutcomeCode},
    requests::{self, BatchChoice, Body, FreshChoice, NoChoice, SessionChoice, SessionId, When, Whole},
    session::ClaimedRow,
    time::Timestamp,
    wire::{DryRun, Health, State, StoredStatus, Up},
};
use worker::{Context, Env, Headers, Method, Request, Response};

use crate::{
    answer::{self, ApiError, mark_replayed, safeguard, success},
    config::{Config, config},
    dashboard,
    database::{
        DatabaseError, Fate, FinishResult, Holder, KeptAnswer, Trigger, UserClaim, UserClaimResult, UserWish,
    },
    ensure,
    idempotency::{self, KeyDigest},
    identity::{self, Provenance},
    log, operators,
    pass::Operator,
    rate_limit::{self, Counted},
    refresh::refresh_one,
    run::run,
    runtime::{Asker, CollectError, collect, fresh_id, now, outlive_the_asker, sleep, within},
};

/// Within this time of a success, a further request gets its result.
const REUSE: Duration = Duration::from_secs(10);

/// The first wait for a refresh that somebody else has under way; it doubles.
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// How long a refresh under way may take beyond its bound, for its write.
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// One user's refresh has calls to spare.
const MOST_CALLS_TO_WRITE: u32 = 10;

/// Due sessions are counted up to this.
const MOST_COUNTED: u32 = 10_001;

const SESSION_ID: &str = "the parameter sessionId must be a UUID";

/// Bodies are a few fields.
const LONGEST_BODY: usize = 16 * 1024;

/// But for a hundred e-mail addresses, of up to 255 characters each.
const LONGEST_LIST: usize = 128 * 1024;

/// How long a body may be on its way.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// All that we serve, and where. `{id}` stands for a session's.
pub(crate) const ROUTES: [(&str, Route); 17] = [
    ("/healthz", Route::Health),
    ("/openapi.json", Route::Contract),
    ("/api/auth/refresh", Route::Refresh),
    ("/api/auth/aimharder", Route::SessionCheck),
    ("/api/internal/refresh-sessions", Route::RunBatch),
    ("/api/internal/ensure-fresh", Route::EnsureFresh),
    (
        "/api/internal/sessions/{id}/enable",
        Route::SetEnabled { enabled: true },
    ),
    (
        "/api/internal/sessions/{id}/disable",
        Route::SetEnabled { enabled: false },
    ),
    ("/api/internal/sessions/{id}/refresh", Route::RefreshSession),
    ("/api/internal/sessions/{id}", Route::Session),
    ("/api/internal/sessions", Route::Sessions),
    ("/api/internal/runs/{id}", Route::Run),
    ("/api/internal/runs", Route::Runs),
    ("/api/internal/overview", Route::Overview),
    ("/api/internal/metrics", Route::Metrics),
    ("/api/internal/health", Route::Readiness),
    (dashboard::PATH, Route::Dashboard),
];

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Health,
    Contract,
    Refresh,
    SessionCheck,
    RunBatch,
    EnsureFresh,
    SetEnabled {
        enabled: bool,
    },
    RefreshSession,
    Session,
    Sessions,
    Run,
    Runs,
    Overview,
    Metrics,
    Readiness,
    /// And all that is below it, which is for people: its own pages, forms and files.
    Dashboard,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        if path
            .strip_prefix(dashboard::PATH)
            .is_some_and(|rest| rest.starts_with('/'))
        {
            return Some(Self::Dashboard);
        }
        let here = ROUTES
            .iter()
            .find(|(template, _)| *template == path || id_in(template, path).is_some());
        here.map(|(_, route)| *route)
    }

    /// Its methods, as the header `Allow` names them.
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Health | Self::Contract => "GET, HEAD",
            Self::SessionCheck => "GET, OPTIONS",
            Self::Refresh => "GET, POST, OPTIONS",
            Self::RunBatch | Self::EnsureFresh | Self::SetEnabled { .. } | Self::RefreshSession => "POST",
            Self::Session
            | Self::Sessions
            | Self::Run
            | Self::Runs
            | Self::Overview
            | Self::Metrics
            | Self::Readiness => "GET",
            Self::Dashboard => "GET, POST",
        }
    }

    const fn is_for_browsers(self) -> bool {
        matches!(self, Self::Refresh | Self::SessionCheck)
    }
}

/// The id in a path that is like the template, which has a place for one.
pub(crate) fn id_in<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let (before, after) = template.split_once("{id}")?;
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.contains('/')).then_some(id)
}

/// Answers every request; fails only if the platform does.
pub(crate) async fn answer(mut request: Request, env: &Env, context: &Context) -> worker::Result<Response> {
    let request_id = fresh_id();
    let origin = request.headers().get("Origin").ok().flatten();
    let route = Route::of(&request.path());
    let response = match dispatch(route, &mut request, &request_id, env, context).await {
        Ok(response) => response,
        Err(error) => {
            if error.is_ours() {
                let (code, reason) = error.to_log();
                log::request_failed(&request_id, code, &reason);
            }
            let page = (route == Some(Route::Dashboard)).then(|| dashboard::trouble(&error));
            match page {
                Some(Ok(page)) => page,
                _ => error.to_response(&request_id, now())?,
            }
        }
    };
    response.headers().set("X-Request-Id", &request_id)?;
    safeguard(response.headers())?;
    if route.is_some_and(Route::is_for_browsers) {
        allow_origin(response.headers(), origin.as_deref(), env)?;
    }
    Ok(response)
}

async fn dispatch(
    route: Option<Route>,
    request: &mut Request,
    request_id: &str,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let route = route.ok_or(ApiError::NoSuchRoute)?;
    let not_allowed = ApiError::MethodNotAllowed { allow: route.allow() };
    let method = method(request).ok_or(not_allowed)?;
    match (route, &method) {
        (Route::Health, Method::Get | Method::Head) => return ok(&Health { status: Up::Ok }),
        (Route::Contract, Method::Get | Method::Head) => {
            return answer::contract().map_err(|_| ApiError::Interrupted);
        }
        _ => {}
    }
    let config = config(env)?;
    let asker = Asker::of(request, request_id);
    match (route, method) {
        (Route::Refresh, Method::Post) => refresh_now(request, asker, config, env, context).await,
        (Route::Refresh, Method::Get) => refresh_status(request, config, env, context).await,
        (Route::SessionCheck, Method::Get) => session_check(request, config, env, context).await,
        (Route::RunBatch, Method::Post) => run_batch(request, asker, config, env, context).await,
        (Route::EnsureFresh, Method::Post) => ensure_fresh(request, asker, config, env, context).await,
        (Route::SetEnabled { enabled }, Method::Post) => set_enabled(request, config, env, enabled).await,
        (Route::RefreshSession, Method::Post) => refresh_session(request, asker, config, env, context).await,
        (Route::Dashboard, method @ (Method::Get | Method::Post)) => {
            dashboard::answer(request, &method, asker, config, env, context).await
        }
        (
            route @ (Route::Session
            | Route::Sessions
            | Route::Run
            | Route::Runs
            | Route::Overview
            | Route::Metrics
            | Route::Readiness),
            Method::Get,
        ) => tell_operator(route, request, config, env).await,
        (Route::Refresh | Route::SessionCheck, Method::Options) => preflight(route),
        _ => Err(ApiError::MethodNotAllowed { allow: route.allow() }),
    }
}

/// The method, if it is one that some route takes. The runtime's own reading takes any unknown one for GET.
fn method(request: &Request) -> Option<Method> {
    match request.inner().method().as_str() {
        "GET" => Some(Method::Get),
        "HEAD" => Some(Method::Head),
        "POST" => Some(Method::Post),
        "OPTIONS" => Some(Method::Options),
        _ => None,
    }
}

async fn refresh_now(
    request: &mut Request,
    asker: Asker,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let email = signed_in(request, config, env, context).await?;
    let key = idempotency_key(request, &email)?;
    let choice: SessionChoice = read_body(request).await?;
    let in_query = session_in_query(request)?;
    let in_body = choice.session_id.map(|id| id.as_str().to_owned());
    if in_query.is_some() && in_body.is_some() && in_query != in_body {
        return Err(ApiError::BadRequest(
            "the query and the body name two sessions".to_owned(),
        ));
    }
    let session_id = in_body.or(in_query);
    let wish = UserWish {
        email,
        session_id,
        key,
    };
    cut_off(outlive_the_asker(context, async move { refresh_for(&wish, config, &asker).await }).await)?
}

fn idempotency_key(request: &Request, email: &Email) -> Result<Option<KeyDigest>, ApiError> {
    let wrong = || {
        let name = idempotency::HEADER;
        ApiError::BadRequest(format!(
            "the header {name} must be 1 to 200 visible ASCII characters"
        ))
    };
    let header = request.headers().get(idempotency::HEADER).map_err(|_| wrong())?;
    header
        .map(|key| KeyDigest::of(&key, email).ok_or_else(wrong))
        .transpose()
}

async fn refresh_for(wish: &UserWish, config: &Config, asker: &Asker) -> Result<Response, ApiError> {
    let holder = Holder {
        run_id: None,
        lease_id: fresh_id(),
        trigger: Trigger::User,
        request_id: asker.request_id().map(str::to_owned),
    };
    let mut wait = FIRST_LOOK;
    let give_up = now().after(config.timeout.saturating_add(BUSY_PAUSE));
    loop {
        let claim = config.claim_of_user(wish, &holder, REUSE).await?;
        let passes = match claim.result {
            // Somebody else is refreshing this session: their result is ours.
            UserClaimResult::Busy => true,
            // Others' calls are in the way, for a moment.
            UserClaimResult::Spared => claim.retry_after_seconds.is_none_or(|seconds| seconds <= 1),
            _ => false,
        };
        if !passes || now().after(wait) > give_up {
            return settle(claim, wish, &holder, config).await;
        }
        sleep(wait).await;
        if asker.has_left() {
            return Err(ApiError::Interrupted);
        }
        wait = wait.saturating_mul(2).min(Duration::from_secs(2));
    }
}

async fn settle(
    claim: UserClaim,
    wish: &UserWish,
    holder: &Holder,
    config: &Config,
) -> Result<Response, ApiError> {
    let retry_after = Duration::from_secs(claim.retry_after_seconds.unwrap_or(1).into());
    match (claim.result, claim.session, claim.status) {
        (UserClaimResult::Claimed, Some(row), _) => refresh_claimed(&row, wish, holder, config).await,
        (UserClaimResult::Reused, _, Some(status)) => {
            ok(&status.to_refresh_answer(true, config.manual_interval, claim.now))
        }
        (UserClaimResult::Replayed, _, Some(status)) => {
            let kept = claim.answer.ok_or(DatabaseError::Unintelligible)?;
            replay(&status, kept, claim.now, config)
        }
        (UserClaimResult::KeyReused, ..) => Err(ApiError::KeyReused),
        (UserClaimResult::Expired, ..) => Err(ApiError::SessionExpired),
        (UserClaimResult::Busy, ..) => Err(ApiError::Busy {
            retry_after: BUSY_PAUSE,
        }),
        (UserClaimResult::TooSoon, ..) => Err(ApiError::TooSoon { retry_after }),
        (UserClaimResult::Spared, ..) => Err(ApiError::Spared { retry_after }),
        _ => Err(ApiError::NoSession),
    }
}

async fn refresh_claimed(
    row: &ClaimedRow,
    wish: &UserWish,
    holder: &Holder,
    config: &Config,
) -> Result<Response, ApiError> {
    if !row.starts_in().is_zero() {
        sleep(row.starts_in()).await;
    }
    let refreshed = refresh_one(row, holder, config).await;
    let entries = std::slice::from_ref(&refreshed.entry);
    let finish = config.finish_with_key(holder, entries, MOST_CALLS_TO_WRITE, wish.key());
    let written = finish.await.answer?;
    let failed = |error: ApiError| ApiError::Settled {
        error: Box::new(error),
        at: written.now,
        replayed: false,
    };
    if let Some(error) = written.results.first().and_then(|told| told.result.error()) {
        log::unwritten([refreshed.entry.id()], error);
        return Err(error.into());
    }
    match written.results.into_iter().next() {
        Some(result) if result.result == Fate::Lost => Err(ApiError::Superseded),
        Some(result) if matches!(refreshed.outcome, Outcome::Refreshed(_)) => {
            let status = result.status.ok_or(ApiError::NoSession)?;
            ok(&status.to_refresh_answer(false, config.manual_interval, written.now))
        }
        Some(FinishResult {
            status: Some(status), ..
        }) if status.state != State::Expired && refreshed.outcome == Outcome::Expired => {
            // The database doesn't believe it: upstream calls every session over.
            Err(failed(ApiError::from_outcome(&Outcome::Unrecognised)))
        }
        _ => Err(failed(ApiError::from_outcome(&refreshed.outcome))),
    }
}

/// The answer that an earlier request with the same key got, as it was, with the time of then.
fn replay(
    status: &StoredStatus,
    kept: KeptAnswer,
    at: Timestamp,
    config: &Config,
) -> Result<Response, ApiError> {
    if kept.outcome != OutcomeCode::Refreshed {
        return Err(ApiError::Settled {
            error: Box::new(ApiError::from_code(kept.outcome, kept.retry_after())),
            at,
            replayed: true,
        });
    }
    let answer = ok(&status.to_refresh_answer(kept.reused, config.manual_interval, at))?;
    mark_replayed(answer, true).map_err(|_| ApiError::Interrupted)
}

async fn refresh_status(
    request: &Request,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let (status, now) = own_session(request, config, env, context).await?;
    ok(&status.to_refresh_status(config.manual_interval, now))
}

async fn session_check(
    request: &Request,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let (status, now) = own_session(request, config, env, context).await?;
    ok(&status.to_session_check(config.manual_interval, now))
}

/// How the asker's session stands, and as of when.
async fn own_session(
    request: &Request,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<(StoredStatus, Timestamp), ApiError> {
    let user = signed_in(request, config, env, context).await?;
    let stored = config
        .status(user.as_str(), session_in_query(request)?.as_deref())
        .await?;
    Ok((stored.status.ok_or(ApiError::NoSession)?, stored.now))
}

async fn run_batch(
    request: &mut Request,
    asker: Asker,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let operator = require_internal_key(request, config, env).await?;
    let choice: BatchChoice = read_body(request).await?;
    let batch_size = choice.batch_size.map_or(config.batch_size, Whole::number);
    if choice.dry_run.unwrap_or_default() {
        let outlook = config.outlook(MOST_COUNTED).await?;
        return ok(&DryRun {
            dry_run: true,
            claimed: 0,
            remaining: outlook.due,
            held: outlook.held,
            measured_life_seconds: outlook.life_seconds,
            recommended_interval_minutes: outlook
                .recommended_interval()
                .map(|interval| interval.as_secs() / 60),
        });
    }
    let work = async move {
        let calls = config.subrequest_limit.saturating_sub(1);
        let report = run(config, Trigger::Api, batch_size, calls, &asker).await;
        operators::record(config, &operator, "run", None, report.outcome()).await;
        report
    };
    let report = cut_off(outlive_the_asker(context, work).await)?;
    let summary = Box::new(report.summary);
    match report.error {
        Some(error) => Err(ApiError::BatchBroken(error, summary)),
        None if report.tally.failed_altogether() => Err(ApiError::BatchFailed(summary)),
        None if report.tally.was_held_altogether() && summary.remaining != Some(0) => {
            Err(ApiError::BatchSpared(summary))
        }
        None => ok(&summary),
    }
}

async fn ensure_fresh(
    request: &mut Request,
    asker: Asker,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    require_internal_key(request, config, env).await?;
    let choice: FreshChoice = read_long_body(request).await?;
    let wanted = choice.into_wanted(now())?;
    let max_age = match wanted.when {
        When::At(fresh_at) => return ok(&ensure::schedule(&wanted, fresh_at, config).await?),
        When::Now { max_age } => max_age,
    };
    let work = async move { ensure::ensure_fresh(&wanted, max_age, config, &asker).await };
    match cut_off(outlive_the_asker(context, work).await)?? {
        (answer, Some(why)) => Err(ApiError::NoneFresh(why, Box::new(answer))),
        (answer, None) => ok(&answer),
    }
}

async fn set_enabled(
    request: &mut Request,
    config: &'static Config,
    env: &Env,
    enabled: bool,
) -> Result<Response, ApiError> {
    let operator = require_internal_key(request, config, env).await?;
    let id = id_in_path(request)?;
    let NoChoice {} = read_body(request).await?;
    let stored = config.set_enabled(id.as_str(), enabled, &operator.key_id).await?;
    let status = stored.status.ok_or(ApiError::NoSuchSession)?;
    ok(&status.into_care_answer(stored.now))
}

fn id_in_path(request: &Request) -> Result<SessionId, ApiError> {
    let path = request.path();
    let id = ROUTES
        .iter()
        .find_map(|(template, _)| id_in(template, &path))
        .ok_or(ApiError::NoSuchRoute)?;
    SessionId::parse(id).ok_or_else(|| ApiError::BadRequest("the id in the path must be a UUID".to_owned()))
}

async fn refresh_session(
    request: &mut Request,
    asker: Asker,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let operator = require_internal_key(request, config, env).await?;
    let id = id_in_path(request)?;
    let NoChoice {} = read_body(request).await?;
    let work = async move { operators::refresh(&id, &operator, config, &asker).await };
    match cut_off(outlive_the_asker(context, work).await)?? {
        (answer, Some(why)) => Err(ApiError::NoneFresh(why, Box::new(answer))),
        (answer, None) => ok(&answer),
    }
}

/// What only looks.
async fn tell_operator(
    route: Route,
    request: &Request,
    config: &Config,
    env: &Env,
) -> Result<Response, ApiError> {
    require_internal_key(request, config, env).await?;
    match route {
        Route::Sessions => ok(&operators::find_as_asked(request, config).await?),
        Route::Runs => ok(&operators::runs(request, config).await?),
        Route::Overview => {
            let [hours] = operators::parameters(request, ["hours"])?;
            ok(&operators::overview(config, operators::hours(hours.as_deref())?).await?)
        }
        route => {
            let [] = operators::parameters(request, [])?;
            match route {
                Route::Session => ok(&operators::session(config, &id_in_path(request)?).await?),
                Route::Run => ok(&operators::run(config, &id_in_path(request)?).await?),
                Route::Metrics => operators::metrics(config).await,
                Route::Readiness => match operators::readiness(config).await {
                    readiness if readiness.ready => ok(&readiness),
                    readiness => Err(ApiError::NotReady(readiness)),
                },
                _ => Err(ApiError::NoSuchRoute),
            }
        }
    }
}

/// Lets in who has a key, always. Who has none is counted: a guess that is right gets in, but a flood of them is told off.
async fn require_internal_key(request: &Request, config: &Config, env: &Env) -> Result<Operator, ApiError> {
    let key = request.headers().get("x-api-key").ok().flatten();
    if let Some(key) = identity::internal_key(key.as_deref(), &config.internal_api_keys) {
        return Ok(Operator::with(key));
    }
    rate_limit::count(Counted::Address, &rate_limit::address(request), env).await?;
    Err(ApiError::InternalKey)
}

/// The user who asks. Costs no call of the database, whoever it is. An address is counted for whom it is refused only:
/// users share addresses with others, and are counted for themselves.
async fn signed_in(
    request: &Request,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Email, ApiError> {
    match identify(request, config, context).await {
        Ok(user) => {
            rate_limit::count(Counted::User, user.as_str(), env).await?;
            Ok(user)
        }
        Err(error) => {
            rate_limit::count(Counted::Address, &rate_limit::address(request), env).await?;
            Err(error)
        }
    }
}

async fn identify(request: &Request, config: &'static Config, context: &Context) -> Result<Email, ApiError> {
    let header = |name| request.headers().get(name).ok().flatten();
    let (authorization, cookies) = (header("Authorization"), header("Cookie"));
    let token = match &authorization {
        Some(authorization) => identity::bearer(authorization),
        None => cookies.as_deref().and_then(identity::token_in_cookie),
    };
    if authorization.is_none() && token.is_some() && !may_use_cookie(request, config, header) {
        return Err(ApiError::CrossSite);
    }
    Ok(identity::user(token, config, context).await?)
}

/// What a request comes to whose work the platform ended.
pub(crate) fn cut_off<T>(ended: Option<T>) -> Result<T, ApiError> {
    ended.ok_or(ApiError::Interrupted)
}

/// A browser sends cookies for other sites' pages, too: what changes something must be of a kind that those can't send.
fn may_use_cookie(
    request: &Request,
    config: &Config,
    header: impl Fn(&'static str) -> Option<String>,
) -> bool {
    let changes = method(request) != Some(Method::Get);
    is_same_origin(request, config) && (!changes || header("Content-Type").is_some_and(|kind| is_json(&kind)))
}

/// Whether a page of this very site asks.
pub(crate) fn is_same_origin(request: &Request, config: &Config) -> bool {
    let header = |name| request.headers().get(name).ok().flatten();
    let (fetch_site, origin) = (header("Sec-Fetch-Site"), header("Origin"));
    let own_origin = request
        .url()
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default();
    let provenance = Provenance {
        fetch_site: fetch_site.as_deref(),
        origin: origin.as_deref(),
        own_origin: &own_origin,
        allowed_origins: &config.allowed_origins,
    };
    provenance.is_same_origin()
}

/// Forms, which any page can send, have other types.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The query holds `sessionId`, once, or nothing: a misspelt one would mean another session.
fn session_in_query(request: &Request) -> Result<Option<String>, ApiError> {
    let url = request.url().map_err(|_| ApiError::NoSuchRoute)?;
    let mut pairs = url.query_pairs();
    let wrong = |text: &str| ApiError::BadRequest(text.to_owned());
    match (pairs.next(), pairs.next()) {
        (None, _) => Ok(None),
        (Some((name, id)), None) if name == "sessionId" => SessionId::parse(&id)
            .map(|id| Some(id.as_str().to_owned()))
            .ok_or_else(|| wrong(SESSION_ID)),
        _ => Err(wrong("the query may hold sessionId, once, and nothing else")),
    }
}

/// Reads a JSON body of a few known fields; none at all means the defaults.
async fn read_body<T: Body>(request: &mut Request) -> Result<T, ApiError> {
    read_bounded(request, LONGEST_BODY).await
}

/// Reads one that may hold a list.
async fn read_long_body<T: Body>(request: &mut Request) -> Result<T, ApiError> {
    read_bounded(request, LONGEST_LIST).await
}

/// Reads a form of a few fields, as it is sent.
pub(crate) async fn read_form(request: &mut Request) -> Result<Vec<u8>, ApiError> {
    let body = within(BODY_TIMEOUT, read_bytes(request, LONGEST_BODY)).await;
    body.map_err(|_| ApiError::BodyTimeout)?
}

async fn read_bounded<T: Body>(request: &mut Request, longest: usize) -> Result<T, ApiError> {
    let body = within(BODY_TIMEOUT, read_bytes(request, longest)).await;
    Ok(requests::parse(&body.map_err(|_| ApiError::BodyTimeout)??)?)
}

async fn read_bytes(request: &mut Request, longest: usize) -> Result<Vec<u8>, ApiError> {
    if request.inner().body().is_none() {
        return Ok(Vec::new());
    }
    collect(request.stream(), longest)
        .await
        .map_err(|error| match error {
            CollectError::Broken => ApiError::BadRequest("the body can't be read".to_owned()),
            CollectError::TooLarge => ApiError::BodyTooLarge,
        })
}

fn preflight(route: Route) -> Result<Response, ApiError> {
    let headers = Headers::new();
    let set = || -> worker::Result<Response> {
        headers.set("Access-Control-Allow-Methods", route.allow())?;
        headers.set(
            "Access-Control-Allow-Headers",
            "authorization, content-type, idempotency-key",
        )?;
        headers.set("Access-Control-Max-Age", "600")?;
        Ok(Response::empty()?.with_status(204).with_headers(headers))
    };
    set().map_err(|_| ApiError::Interrupted)
}

/// CORS by exact match. Without it a browser keeps the answer from the page.
fn allow_origin(headers: &Headers, origin: Option<&str>, env: &Env) -> worker::Result<()> {
    headers.append("Vary", "Origin")?;
    let (Some(origin), Ok(config)) = (origin, config(env)) else {
        return Ok(());
    };
    if config.allowed_origins.iter().any(|allowed| allowed == origin) {
        headers.set("Access-Control-Allow-Origin", origin)?;
        headers.set(
            "Access-Control-Expose-Headers",
            "Retry-After, X-Request-Id, Idempotency-Replayed",
        )?;
    }
    Ok(())
}

fn ok(body: &impl serde::Serialize) -> Result<Response, ApiError> {
    success(body).map_err(|_| ApiError::Interrupted)
}
