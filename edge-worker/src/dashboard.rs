//! The dashboard: pages for operators, behind a sign-in by the internal key. What they look like is `operations::dashboard`.

use operations::dashboard::{self, Notice, Span, Visit};
use session_core::requests::SessionId;
use url::form_urlencoded;
use worker::{Context, Env, Method, Request, Response};

use crate::{
    answer::ApiError,
    config::Config,
    ensure::Freshness,
    identity,
    operators::{self, respond},
    pass::{self, Operator, Pass},
    rate_limit::{self, Counted},
    routes::{cut_off, id_in, is_same_origin, read_form},
    runtime::{Asker, fresh_id, now, outlive_the_asker},
};

/// Where it is.
pub(crate) const PATH: &str = "/api/internal/dashboard";

/// Only our own files, and no code or style within a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// What is asked for below [`PATH`].
enum Place {
    Overview,
    Live,
    SignOut,
    Sessions,
    Session(String),
    Act(Deed, String),
    Run(String),
    File(&'static str, &'static str),
}

#[derive(Clone, Copy)]
enum Deed {
    Refresh,
    Enable,
    Disable,
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(PATH)?;
        let id = |template| id_in(template, rest).map(str::to_owned);
        match rest {
            "" => Some(Self::Overview),
            "/live" => Some(Self::Live),
            "/sign-out" => Some(Self::SignOut),
            "/sessions" => Some(Self::Sessions),
            "/dashboard.css" => Some(Self::File(dashboard::CSS, "text/css; charset=utf-8")),
            "/dashboard.js" => Some(Self::File(dashboard::JS, "text/javascript; charset=utf-8")),
            _ => id("/sessions/{id}")
                .map(Self::Session)
                .or_else(|| id("/sessions/{id}/refresh").map(|id| Self::Act(Deed::Refresh, id)))
                .or_else(|| id("/sessions/{id}/enable").map(|id| Self::Act(Deed::Enable, id)))
                .or_else(|| id("/sessions/{id}/disable").map(|id| Self::Act(Deed::Disable, id)))
                .or_else(|| id("/runs/{id}").map(Self::Run)),
        }
    }

    const fn allow(&self) -> &'static str {
        match self {
            Self::Overview => "GET, POST",
            Self::SignOut | Self::Act(..) => "POST",
            Self::Live | Self::Sessions | Self::Session(_) | Self::Run(_) | Self::File(..) => "GET",
        }
    }
}

/// Answers a request for one of its pages. Trouble is told on a page, too.
pub(crate) async fn answer(
    request: &mut Request,
    method: &Method,
    asker: Asker,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let place = Place::of(&request.path()).ok_or(ApiError::NoSuchRoute);
    let answered = match place {
        Ok(place) => visit(place, request, method, asker, config, env, context).await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(response) => Ok(response),
        Err(error) if error.is_ours() => Err(error),
        Err(error) => trouble(&error),
    }
}

/// The page of trouble. Of ours the log has to hear besides.
pub(crate) fn trouble(error: &ApiError) -> Result<Response, ApiError> {
    let (status, text) = error.words();
    let response = page(dashboard::trouble_page(status, &text), status)?;
    error
        .tell_headers(response.headers())
        .map_err(|_| ApiError::Interrupted)?;
    Ok(response)
}

async fn visit(
    place: Place,
    request: &mut Request,
    method: &Method,
    asker: Asker,
    config: &'static Config,
    env: &Env,
    context: &Context,
) -> Result<Response, ApiError> {
    let not_allowed = ApiError::MethodNotAllowed { allow: place.allow() };
    if !place
        .allow()
        .split(", ")
        .any(|allowed| allowed == method.as_ref())
    {
        return Err(not_allowed);
    }
    match (place, pass_of(request, config)) {
        (Place::File(text, kind), _) => file(text, kind),
        (Place::Overview, _) if *method == Method::Post => sign_in(request, config, env).await,
        (Place::Live, None) => respond(String::new(), HTML, 401).map_err(|_| ApiError::Interrupted),
        (_, None) => page(dashboard::sign_in(false), 401),
        (place, Some(pass)) if *method == Method::Post => {
            act(place, pass, request, asker, config, context).await
        }
        (place, Some(pass)) => show(&place, &pass, request, config).await,
    }
}

async fn show(place: &Place, pass: &Pass, request: &Request, config: &Config) -> Result<Response, ApiError> {
    let html = match place {
        Place::Overview | Place::Live => {
            let [hours] = operators::parameters(request, ["hours"])?;
            let hours = operators::hours(hours.as_deref())?;
            let span = Span::from_hours(hours).unwrap_or(Span::Day);
            let overview = operators::overview(config, hours).await?;
            if matches!(place, Place::Live) {
                dashboard::overview_live(&overview, span)
            } else {
                dashboard::overview(&overview, span, &visit_of(pass, None))
            }
        }
        Place::Sessions => {
            let found = operators::find_as_asked(request, config).await?;
            let [query, _] = operators::parameters(request, ["query", "trouble"])?;
            dashboard::found(
                &found,
                query.as_deref().unwrap_or_default(),
                &visit_of(pass, None),
            )
        }
        Place::Session(id) => {
            let [notice] = operators::parameters(request, ["notice"])?;
            let notice = notice.as_deref().and_then(Notice::parse);
            let history = operators::session(config, &session_id(id)?).await?;
            dashboard::session(&history, &visit_of(pass, notice))
        }
        Place::Run(id) => {
            let history = operators::run(config, &session_id(id)?).await?;
            dashboard::run(&history, &visit_of(pass, None))
        }
        Place::SignOut | Place::Act(..) | Place::File(..) => return Err(ApiError::NoSuchRoute),
    };
    page(html, 200)
}

fn visit_of(pass: &Pass, notice: Option<Notice>) -> Visit<'_> {
    Visit {
        csrf: &pass.csrf,
        key_id: &pass.operator.key_id,
        notice,
    }
}

fn session_id(text: &str) -> Result<SessionId, ApiError> {
    SessionId::parse(text).ok_or(ApiError::NoSuchRoute)
}

/// Does what a form asks for, if it is one of ours.
async fn act(
    place: Place,
    pass: Pass,
    request: &mut Request,
    asker: Asker,
    config: &'static Config,
    context: &Context,
) -> Result<Response, ApiError> {
    let form = read_form(request).await?;
    let is_ours = field(&form, "csrf").is_some_and(|csrf| pass.is_form(&csrf));
    if !is_ours || !is_same_origin(request, config) {
        return Err(ApiError::CrossSite);
    }
    match place {
        Place::SignOut => redirect(PATH, Some(&cookie(request, "", 0))),
        Place::Act(deed, id) => {
            let id = session_id(&id)?;
            let next = format!("{PATH}/sessions/{}?notice=", id.as_str());
            // Who turns to another page meanwhile must not cost the session a token that was handed out.
            let work = async move { perform(deed, &id, &pass.operator, config, &asker).await };
            let notice = cut_off(outlive_the_asker(context, work).await)??;
            redirect(&(next + notice.as_str()), None)
        }
        _ => Err(ApiError::NoSuchRoute),
    }
}

async fn perform(
    deed: Deed,
    id: &SessionId,
    operator: &Operator,
    config: &Config,
    asker: &Asker,
) -> Result<Notice, ApiError> {
    let enabled = match deed {
        Deed::Refresh => {
            let (answer, _) = operators::refresh(id, operator, config, asker).await?;
            return Ok(answer.first_result().map_or(Notice::RefreshFailed, notice_of));
        }
        Deed::Enable => true,
        Deed::Disable => false,
    };
    let stored = config.set_enabled(id.as_str(), enabled, &operator.key_id).await?;
    stored.status.ok_or(ApiError::NoSuchSession)?;
    Ok(if enabled {
        Notice::Enabled
    } else {
        Notice::Disabled
    })
}

/// What a refresh came to, as its operator is told.
const fn notice_of(result: Freshness) -> Notice {
    match result {
        Freshness::Refreshed => Notice::Refreshed,
        Freshness::Fresh => Notice::Fresh,
        Freshness::Busy | Freshness::Spared | Freshness::Throttled => Notice::Busy,
        Freshness::Failed
        | Freshness::Expired
        | Freshness::NotFound
        | Freshness::Scheduled
        | Freshness::NotScheduled => Notice::RefreshFailed,
    }
}

/// Gives out a pass for the right key. Who has a wrong one is counted, as everywhere.
async fn sign_in(request: &mut Request, config: &Config, env: &Env) -> Result<Response, ApiError> {
    let form = read_form(request).await?;
    if !is_same_origin(request, config) {
        return Err(ApiError::CrossSite);
    }
    let given = field(&form, "key").unwrap_or_default();
    let Some(key) = identity::internal_key(Some(given.trim()), &config.internal_api_keys) else {
        rate_limit::count(Counted::Address, &rate_limit::address(request), env).await?;
        return page(dashboard::sign_in(true), 401);
    };
    let value = pass::issue(key, &fresh_id(), now());
    redirect(PATH, Some(&cookie(request, &value, pass::lifetime_seconds())))
}

fn field<'a>(form: &'a [u8], name: &str) -> Option<std::borrow::Cow<'a, str>> {
    form_urlencoded::parse(form)
        .find(|(found, _)| found == name)
        .map(|(_, value)| value)
}

fn is_https(request: &Request) -> bool {
    request.url().is_ok_and(|url| url.scheme() == "https")
}

/// With `__Host-` no other host, and no plain connection, can plant one; on this machine there is no https.
fn cookie_name(request: &Request) -> &'static str {
    if is_https(request) {
        "__Host-keepalive_pass"
    } else {
        "keepalive_pass"
    }
}

fn cookie(request: &Request, value: &str, seconds: u64) -> String {
    let secure = if is_https(request) { "; Secure" } else { "" };
    let name = cookie_name(request);
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn pass_of(request: &Request, config: &Config) -> Option<Pass> {
    let header = request.headers().get("Cookie").ok().flatten()?;
    let name = cookie_name(request);
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .find_map(|(_, value)| pass::read(value, &config.internal_api_keys, now()))
}

fn page(html: String, status: u16) -> Result<Response, ApiError> {
    let response = respond(html, HTML, status);
    let with_policy = response.and_then(|response| {
        response.headers().set("Content-Security-Policy", POLICY)?;
        // Without a referrer a browser says of a form that it comes from nowhere: `Origin: null`.
        response.headers().set("Referrer-Policy", "same-origin")?;
        Ok(response)
    });
    with_policy.map_err(|_| ApiError::Interrupted)
}

fn file(text: &str, kind: &str) -> Result<Response, ApiError> {
    let response = respond(text.to_owned(), kind, 200);
    let cached = response.and_then(|response| {
        response.headers().set("Cache-Control", "private, max-age=300")?;
        Ok(response)
    });
    cached.map_err(|_| ApiError::Interrupted)
}

fn redirect(path: &str, cookie: Option<&str>) -> Result<Response, ApiError> {
    let build = || -> worker::Result<Response> {
        let response = Response::empty()?.with_status(303);
        response.headers().set("Location", path)?;
        if let Some(cookie) = cookie {
            response.headers().set("Set-Cookie", cookie)?;
        }
        Ok(response)
    };
    build().map_err(|_| ApiError::Interrupted)
}
