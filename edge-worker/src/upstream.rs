//! One call to aimharder's `setrefresh`.

use std::{pin::pin, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, select},
};
use session_core::{
    outcome::{Head, Outcome, classify},
    page::{Page, PageReader, Progress},
    session::Credentials,
};
use url::Url;
use worker::{
    AbortController, CacheMode, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response,
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
}

impl Answer {
    const fn without_head(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: None,
            set_cookies: Vec::new(),
        }
    }
}

/// Presents a session to upstream. Ends within `bound`, the body included.
pub(crate) async fn refresh(endpoint: &Url, credentials: &Credentials, bound: Duration) -> Answer {
    let Ok(request) = request(endpoint, credentials) else {
        return Answer::without_head(Outcome::Unusable);
    };
    let controller = AbortController::default();
    let signal = controller.signal();
    let started = now();
    let response = within(bound, Fetch::Request(request).send_with_signal(&signal)).await;
    let answer = match response {
        Ok(Ok(response)) => {
            let left = bound.saturating_sub(now().since(started));
            read(response, endpoint, credentials, left).await
        }
        Ok(Err(_)) => Answer::without_head(Outcome::Unreachable),
        Err(Elapsed) => Answer::without_head(Outcome::TimedOut),
    };
    // Ends what is still under way: the call itself after a time-out, the rest of a body after enough of it.
    controller.abort();
    answer
}

fn request(endpoint: &Url, credentials: &Credentials) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("Cookie", &credentials.cookies.header())?;
    headers.set("User-Agent", USER_AGENT)?;
    headers.set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get)
        .with_headers(headers)
        .with_cache(CacheMode::NoStore)
        // Followed, a redirect would carry the cookies to another host.
        .with_redirect(RequestRedirect::Manual);
    Request::new_with_init(credentials.refresh_url(endpoint).as_str(), &init)
}

async fn read(mut response: Response, endpoint: &Url, credentials: &Credentials, left: Duration) -> Answer {
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
    let body = if head.wants_body() {
        read_page(&mut response, header("Content-Type").as_deref(), left).await
    } else {
        Body::Unread
    };
    let told = |page| classify(head, page, &credentials.token, endpoint, now());
    let outcome = match &body {
        Body::Unread => told(None),
        Body::Read(page) => told(Some(page)),
        // A token that came before the time ran out counts: upstream has handed it out.
        Body::TimedOut(page) => match told(Some(page)) {
            Outcome::Refreshed(renewal) => Outcome::Refreshed(renewal),
            _ => Outcome::TimedOut,
        },
    };
    Answer {
        outcome,
        status: Some(status),
        set_cookies,
    }
}

enum Body {
    Unread,
    Read(Page),
    TimedOut(Page),
}

async fn read_page(response: &mut Response, content_type: Option<&str>, left: Duration) -> Body {
    let mut reader = PageReader::new(content_type, session_core::page::Limits::default());
    let Ok(mut chunks) = response.stream() else {
        return Body::Read(reader.finish(true));
    };
    let mut timer = pin!(sleep(left));
    loop {
        match select(chunks.next(), timer.as_mut()).await {
            Either::Left((Some(Ok(chunk)), _)) => match reader.write(&chunk) {
                Progress::More => {}
                Progress::Enough => return Body::Read(reader.finish(true)),
            },
            Either::Left((Some(Err(_)), _)) => return Body::Read(reader.finish(false)),
            Either::Left((None, _)) => return Body::Read(reader.finish(true)),
            Either::Right(((), _)) => return Body::TimedOut(reader.finish(false)),
        }
    }
}
