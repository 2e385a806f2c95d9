//! One call to aimharder's `setrefresh` or `tokenUpdate`.

use std::{pin::pin, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use session_core::{
    body::{Beginning, Body, BodyReader},
    method::RefreshMethod,
    outcome::{Head, Outcome, classify},
    page::Progress,
    session::{Credentials, RefreshRequest},
};
use url::Url;
use worker::{
    AbortController, CacheMode, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response,
    wasm_bindgen::JsValue,
};

use crate::runtime::{Elapsed, now, sleep, within};

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
    let Ok(request) = request(method, setrefresh, credentials) else {
        return Answer::without_head(Outcome::Unusable);
    };
    let controller = AbortController::default();
    let signal = controller.signal();
    let started = now();
    let response = within(bound, Fetch::Request(request).send_with_signal(&signal)).await;
    let answer = match response {
        Ok(Ok(response)) => {
            let left = bound.saturating_sub(now().since(started));
            let endpoint = method.endpoint(setrefresh);
            read(response, method, &endpoint, credentials, left).await
        }
        Ok(Err(_)) => Answer::without_head(Outcome::Unreachable),
        Err(Elapsed) => Answer::without_head(Outcome::TimedOut),
    };
    // Ends what is still under way: the call itself after a time-out, the rest of a body after enough of it.
    controller.abort();
    answer
}

fn request(method: RefreshMethod, setrefresh: &Url, credentials: &Credentials) -> worker::Result<Request> {
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
    Request::new_with_init(url.as_str(), &init)
}

async fn read(
    mut response: Response,
    method: RefreshMethod,
    endpoint: &Url,
    credentials: &Credentials,
    left: Duration,
) -> Answer {
    let headers = response.headers().clone();
    let header = |name| headers.get(name).ok().flatten();
    let (location, retry_after, www_authenticate) = (
        header("Location"),
        header("Retry-After"),
        header("WWW-Authenticate"),
    );
    let status = response.status_code();
    let head = Head {
        status,
        location: location.as_deref(),
        retry_after: retry_after.as_deref(),
        www_authenticate: www_authenticate.as_deref(),
    };
    let set_cookies = headers.get_all("Set-Cookie").unwrap_or_default();
    let told = |body| classify(head, body, &credentials.token, endpoint, now());
    let mut outline = None;
    let outcome = if head.wants_body() {
        let reader = BodyReader::new(method, header("Content-Type").as_deref());
        let (body, beginning, in_time) = read_body(&mut response, reader, left).await;
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
    Answer {
        outcome,
        status: Some(status),
        set_cookies,
        outline,
    }
}

/// Also says how the body began, and whether it ended within the time that was left.
async fn read_body(
    response: &mut Response,
    mut reader: BodyReader,
    left: Duration,
) -> (Body, Beginning, bool) {
    let (complete, in_time) = read_chunks(response, &mut reader, left).await;
    let beginning = reader.take_beginning();
    (reader.finish(complete), beginning, in_time)
}

/// Whether the body came to its end, or far enough, and whether it did so within the time that was left.
async fn read_chunks(response: &mut Response, reader: &mut BodyReader, left: Duration) -> (bool, bool) {
    let Ok(mut chunks) = response.stream() else {
        return (true, true);
    };
    let mut timer = pin!(sleep(left));
    loop {
        match select(chunks.next(), timer.as_mut()).await {
            Either::Left((Some(Ok(chunk)), _)) => match reader.write(&chunk) {
                Progress::More => {}
                Progress::Enough => return (true, true),
            },
            Either::Left((Some(Err(_)), _)) => return (false, true),
            Either::Left((None, _)) => return (true, true),
            Either::Right(((), _)) => return (false, false),
        }
    }
}
