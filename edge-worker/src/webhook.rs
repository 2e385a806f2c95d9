//! One message to one receiver: an alert, a session's event, or a sign of life.

use std::time::Duration;

use operations::messages::{self, DeliveryError, Message};
use url::Url;
use worker::{
    AbortController, CacheMode, Headers, Method, RequestInit, RequestRedirect, wasm_bindgen::JsValue,
};

use crate::{
    config::{OWN_NAME, Receiver},
    fetch::fetch,
    runtime::{Elapsed, now, within},
};

/// The bound on a delivery.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Delivers a message.
pub(crate) async fn deliver(message: &Message, receiver: &Receiver) -> Result<(), DeliveryError> {
    let body = messages::body(message, receiver.format);
    let signed = receiver
        .key
        .as_ref()
        .map(|key| key.sign(message.id(), now(), &body));
    let headers = Headers::new();
    let set = |(name, value): (&str, String)| headers.set(name, &value);
    let complete = set(("Content-Type", "application/json".to_owned()))
        .and_then(|()| signed.into_iter().flatten().try_for_each(set));
    complete.map_err(|_| DeliveryError::Unreachable)?;
    post(&receiver.url, headers, &body).await
}

/// Tells whoever notices a silent cron. `suffix`: what to add to its address.
pub(crate) async fn ping(url: &Url, suffix: &str, body: &str) -> Result<(), DeliveryError> {
    let mut url = url.clone();
    if !suffix.is_empty() {
        let path = format!("{}/{suffix}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    post(&url, Headers::new(), body).await
}

async fn post(url: &Url, headers: Headers, body: &str) -> Result<(), DeliveryError> {
    headers
        .set("User-Agent", OWN_NAME)
        .map_err(|_| DeliveryError::Unreachable)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_cache(CacheMode::NoStore)
        // Followed, a redirect would carry the message to another host, or lose its body.
        .with_redirect(RequestRedirect::Manual)
        .with_body(Some(JsValue::from_str(body)));
    let controller = AbortController::default();
    let signal = controller.signal();
    let answer = within(TIMEOUT, fetch(url.as_str(), &init, Some(&signal))).await;
    // What it says besides is of no interest.
    controller.abort();
    match answer {
        Ok(Ok(response)) => DeliveryError::of_status(response.status()).map_or(Ok(()), Err),
        Ok(Err(_)) => Err(DeliveryError::Unreachable),
        Err(Elapsed) => Err(DeliveryError::TimedOut),
    }
}
