//! The keys that users' tokens are checked with: the project's secret, and the key set at `JWKS_URL`, as this isolate
//! knows it. When to fetch it is decided in `access-token`.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use access_token::{
    cache::{FETCH_BOUND, KeyCache, Lookup},
    key::{Key, KeySet},
    token::WantedKey,
};
use url::Url;
use worker::{AbortController, Context, Headers, Method, RequestInit, RequestRedirect, Response};

use crate::{
    config::Config,
    fetch, log,
    runtime::{CollectError, collect, now, outlive_the_asker, sleep, within},
};

/// Far above a set of one to three keys.
const LARGEST_SET: usize = 64 * 1024;

/// Between two looks at what another request fetches.
const LOOK: Duration = Duration::from_millis(50);

/// Why there is no key to check a token with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoKey {
    /// The token names none of ours.
    Unknown,
    /// Not known which there are.
    Unavailable { retry_after: Duration },
}

static CACHE: LazyLock<Mutex<KeyCache>> = LazyLock::new(Mutex::default);

/// The cache, never held over a wait.
fn with_cache<T>(work: impl FnOnce(&mut KeyCache) -> T) -> T {
    work(&mut CACHE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The key that a token asks for.
pub(crate) async fn key(wanted: WantedKey, config: &'static Config, context: &Context) -> Result<Key, NoKey> {
    match wanted {
        WantedKey::Secret => config
            .jwt_secret
            .as_ref()
            .map(Key::from_secret)
            .ok_or(NoKey::Unknown),
        WantedKey::Listed(id) => {
            let source = config.jwks_url.as_ref().ok_or(NoKey::Unknown)?;
            listed(&id, source, context).await
        }
    }
}

async fn listed(id: &str, source: &'static Url, context: &Context) -> Result<Key, NoKey> {
    let give_up = now().after(FETCH_BOUND);
    loop {
        match look_up(id) {
            Lookup::Use(key) => return Ok(key),
            Lookup::Unknown => return Err(NoKey::Unknown),
            Lookup::Unavailable { retry_after } => return Err(NoKey::Unavailable { retry_after }),
            // Others wait for it, whatever becomes of this request.
            Lookup::Fetch => _ = outlive_the_asker(context, fetch(source)).await,
            Lookup::Wait if now() > give_up => {
                return Err(NoKey::Unavailable {
                    retry_after: FETCH_BOUND,
                });
            }
            Lookup::Wait => sleep(LOOK).await,
        }
    }
}

/// Looks, and has nobody else fetch who looks after.
fn look_up(id: &str) -> Lookup {
    with_cache(|cache| {
        let lookup = cache.look_up(id, now());
        if matches!(lookup, Lookup::Fetch) {
            cache.asking(now());
        }
        lookup
    })
}

/// Asks the source once, and notes what came of it.
async fn fetch(source: &Url) {
    let controller = AbortController::default();
    let signal = controller.signal();
    let exchange = async {
        let init = init().map_err(|_| "unreachable")?;
        let response = fetch::fetch(source.as_str(), &init, Some(&signal)).await;
        read(response.map_err(|_| "unreachable")?.into()).await
    };
    let told = within(FETCH_BOUND, exchange).await.unwrap_or(Err("timed_out"));
    controller.abort();
    if let Err(reason) = told {
        log::no_keys(reason);
    }
    with_cache(|cache| cache.answered(told.ok(), now()));
}

fn init() -> worker::Result<RequestInit> {
    let headers = Headers::new();
    headers.set("Accept", "application/json")?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get)
        .with_headers(headers)
        // Keys come from where they were said to be, and from nowhere else.
        .with_redirect(RequestRedirect::Manual);
    Ok(init)
}

async fn read(mut response: Response) -> Result<KeySet, &'static str> {
    if response.status_code() != 200 {
        return Err("refused");
    }
    let body = collect(response.stream(), LARGEST_SET).await;
    let body = body.map_err(|error| match error {
        CollectError::Broken => "broken_off",
        CollectError::TooLarge => "too_large",
    })?;
    KeySet::parse(&body).map_err(|_| "malformed")
}
