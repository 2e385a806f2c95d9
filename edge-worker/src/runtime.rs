//! The clock, randomness, waiting: the only place that asks the Workers runtime for them.

use std::{future::Future, pin::pin, time::Duration};

use futures_channel::oneshot;
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use session_core::time::Timestamp;
use worker::{ByteStream, Context, Delay, Request, js_sys, web_sys::AbortSignal};

/// The time, as of the last input or output: the platform's clock stands still in between.
#[expect(clippy::disallowed_methods, reason = "the one lawful reading of the clock")]
#[allow(
    clippy::cast_possible_truncation,
    reason = "whole milliseconds, far below the bound"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(js_sys::Date::now() as i64)
}

/// A random number from 0 up to 1, for jitter.
#[expect(clippy::disallowed_methods, reason = "the one lawful draw")]
pub(crate) fn unit() -> f64 {
    js_sys::Math::random()
}

/// A fresh identifier, for runs, leases and requests.
pub(crate) fn fresh_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Whoever waits for an answer. Once it has left, the platform ends what is still at work after half a minute, however
/// it was asked to wait.
pub(crate) struct Asker {
    signal: Option<AbortSignal>,
    request_id: Option<String>,
}

impl Asker {
    /// The client of a request, which is known by that id.
    pub(crate) fn of(request: &Request, request_id: &str) -> Self {
        Self {
            signal: Some(request.inner().signal()),
            request_id: Some(request_id.to_owned()),
        }
    }

    /// Nobody waits: a cron tick has its own, longer time.
    pub(crate) const fn nobody() -> Self {
        Self {
            signal: None,
            request_id: None,
        }
    }

    /// Whether it hung up.
    pub(crate) fn has_left(&self) -> bool {
        self.signal.as_ref().is_some_and(AbortSignal::aborted)
    }

    /// Its request, for the log.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

/// Waits.
pub(crate) async fn sleep(duration: Duration) {
    Delay::from(duration).await;
}

/// Finishes `work` even if the asker hangs up: upstream may have handed out a token by then, and others may wait for the
/// same. The platform gives it half a minute from there. `None` if it was cut off.
pub(crate) async fn outlive_the_asker<T: 'static>(
    context: &Context,
    work: impl Future<Output = T> + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    context.wait_until(async move { drop(sender.send(work.await)) });
    receiver.await.ok()
}

/// Why a body could not be had.
#[derive(Debug)]
pub(crate) enum CollectError {
    Broken,
    TooLarge,
}

/// Reads a body of up to `longest` bytes, counted as they come.
pub(crate) async fn collect(
    chunks: worker::Result<ByteStream>,
    longest: usize,
) -> Result<Vec<u8>, CollectError> {
    let mut chunks = chunks.map_err(|_| CollectError::Broken)?;
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        body.extend(chunk.map_err(|_| CollectError::Broken)?);
        if body.len() > longest {
            return Err(CollectError::TooLarge);
        }
    }
    Ok(body)
}

/// The time bound ran out.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Waits for `future`, but not longer than `bound`.
pub(crate) async fn within<T>(bound: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    match select(pin!(future), pin!(sleep(bound))).await {
        Either::Left((value, _)) => Ok(value),
        Either::Right(((), _)) => Err(Elapsed),
    }
}
