//! One call to aimharder's `setrefresh` or `tokenUpdate`.

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use futures_util::future::{Either, select};
use session_core::{
    body::BodyReader,
    method::RefreshMethod,
    outcome::{Head, Outcome, classify},
    page::Progress,
    session::{Credentials, RefreshRequest},
};
use url::Url;
use web_sys::Response;
use worker::{
    AbortController, CacheMode, Headers, Method, RequestInit, RequestRedirect, wasm_bindgen::JsValue,
};

use crate::{
    fetch::{Pieces, fetch},
    runtime::{now, sleep},
};

/// What a current browser sends. Kept plain: upstream wants browser-like, not a particular one.
const USER_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                          Chrome/142.0.0.0 Safari/537.36";

/// What came of one call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// The HTTP status, where there was one.
    pub(crate) status: Option<u16>,
    /// The `Set-Cookie` headers.
    pub(crate) set_cookies: Vec<String>,
    /// Of a body that wasn't recognised: what it is made of.
    pub(crate) outline: Option<String>,
}

impl Answer {
    const fn without_head(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: None,
            set_cookies: Vec::new(),
            outline: None,
        }
    }
}

/// Presents a session to upstream, given the address of `setrefresh`. Ends within `bound`, the body included.
pub(crate) async fn refresh(
    method: RefreshMethod,
    setrefresh: &Url,
    credentials: &Credentials,
    bound: Duration,
) -> Answer {
    let Ok((url, init)) = request(method, setrefresh, credentials) else {
        return Answer::without_head(Outcome::Unusable);
    };
    let controller = AbortController::default();
    let signal = controller.signal();
    let mut timer = pin!(sleep(bound));
    let head = {
        let fetching = pin!(fetch(url.as_str(), &init, Some(&signal)));
        match select(fetching, timer.as_mut()).await {
            Either::Left((head, _)) => Some(head),
            Either::Right(((), _)) => None,
        }
    };
    let (answer, has_ended) = match head {
        Some(Ok(response)) => {
            let endpoint = method.endpoint(setrefresh);
            read(&response, method, &endpoint, credentials, timer).await
        }
        Some(Err(_)) => (Answer::without_head(Outcome::Unreachable), true),
        None => (Answer::without_head(Outcome::TimedOut), false),
    };
    // What is still under way: the call itself after a time-out, a body that isn't wanted, or not all of it. To abort
    // costs an error with its trace.
    if !has_ended {
        controller.abort();
    }
    answer
}

fn request(
    method: RefreshMethod,
    setrefresh: &Url,
    credentials: &Credentials,
) -> worker::Result<(Url, RequestInit)> {
    let headers = Headers::new();
    headers.set("Cookie", &credentials.cookies.header())?;
    headers.set("User-Agent", USER_AGENT)?;
    let mut init = RequestInit::new();
    let url = match credentials.request(method, setrefresh) {
        RefreshRequest::Get(url) => {
            headers.set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")?;
            init.with_method(Method::Get);
            url
        }
        RefreshRequest::PostForm(url, form) => {
            headers.set("Accept", "application/json,text/html;q=0.9,*/*;q=0.8")?;
            headers.set("Content-Type", "application/x-www-form-urlencoded")?;
            init.with_method(Method::Post)
                .with_body(Some(JsValue::from_str(form.expose())));
            url
        }
    };
    init.with_headers(headers)
        .with_cache(CacheMode::NoStore)
        // Followed, a redirect would carry the cookies to another host.
        .with_redirect(RequestRedirect::Manual);
    Ok((url, init))
}

/// Also says whether nothing of the answer is left to come.
async fn read(
    response: &Response,
    method: RefreshMethod,
    endpoint: &Url,
    credentials: &Credentials,
    timer: Pin<&mut impl Future<Output = ()>>,
) -> (Answer, bool) {
    let headers = Headers(response.headers());
    let header = |name| headers.get(name).ok().flatten();
    let status = response.status();
    // A success says nothing by these: asking for them would cost more than reading a small page.
    let of_failure = |name| if response.ok() { None } else { header(name) };
    let (location, retry_after, www_authenticate) = (
        of_failure("Location"),
        of_failure("Retry-After"),
        of_failure("WWW-Authenticate"),
    );
    let head = Head {
        status,
        location: location.as_deref(),
        retry_after: retry_after.as_deref(),
        www_authenticate: www_authenticate.as_deref(),
    };
    let set_cookies = headers.get_all("Set-Cookie").unwrap_or_default();
    let told = |body| classify(head, body, &credentials.token, endpoint, now());
    let mut outline = None;
    let mut has_ended = false;
    let outcome = if head.wants_body() {
        let mut reader = BodyReader::new(method, header("Content-Type").as_deref());
        let end = read_pieces(response, &mut reader, timer).await;
        has_ended = end == End::Whole;
        let in_time = end != End::TimedOut;
        let beginning = reader.take_beginning();
        let body = reader.finish(matches!(end, End::Whole | End::Enough));
        match told(Some(&body)) {
            // A token that came before the time ran out counts: upstream has handed it out.
            Outcome::Refreshed(renewal) => Outcome::Refreshed(renewal),
            Outcome::Unrecognised if in_time => {
                outline = Some(beginning.outline());
                Outcome::Unrecognised
            }
            outcome if in_time => outcome,
            _ => Outcome::TimedOut,
        }
    } else {
        told(None)
    };
    let answer = Answer {
        outcome,
        status: Some(status),
        set_cookies,
        outline,
    };
    (answer, has_ended)
}

/// How the reading of a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With the body.
    Whole,
    /// Before it: no more is wanted of it.
    Enough,
    /// It broke off.
    Broken,
    /// The time ran out.
    TimedOut,
}

async fn read_pieces(
    response: &Response,
    reader: &mut BodyReader,
    mut timer: Pin<&mut impl Future<Output = ()>>,
) -> End {
    let Ok(pieces) = Pieces::of(response) else {
        return End::Broken;
    };
    loop {
        match select(pin!(pieces.next()), timer.as_mut()).await {
            Either::Left((Ok(Some(piece)), _)) => match reader.write(&piece) {
                Progress::More => {}
                Progress::Enough => return End::Enough,
            },
            Either::Left((Ok(None), _)) => return End::Whole,
            Either::Left((Err(_), _)) => return End::Broken,
            Either::Right(((), _)) => return End::TimedOut,
        }
    }
}
