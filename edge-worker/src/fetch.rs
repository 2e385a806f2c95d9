//! Fetching as `worker` does it, with fewer calls and objects of JavaScript's for each: no `Request` beside what
//! describes it, bodies without a stream's adapter, whose lock costs an error with its trace where it is given back.
//! `docs/benchmarks/TRIES.md` has the figures.

use web_sys::{ReadableStreamDefaultReader, ReadableStreamReadResult, Response};
use worker::{
    AbortSignal, RequestInit,
    js_sys::{self, Function, Promise, Reflect, Uint8Array, futures::JsFuture},
    wasm_bindgen::{JsCast, JsValue},
};

/// It failed, or broke off. What JavaScript says of that is left there: it can quote addresses.
#[derive(Debug)]
pub(crate) struct Broken;

impl From<JsValue> for Broken {
    fn from(_: JsValue) -> Self {
        Self
    }
}

/// Asks, until the head of an answer is there.
pub(crate) async fn fetch(
    url: &str,
    init: &RequestInit,
    signal: Option<&AbortSignal>,
) -> Result<Response, Broken> {
    let init = web_sys::RequestInit::from(init);
    if let Some(signal) = signal {
        init.set_signal(Some(signal));
    }
    let fetch = FETCH.with(Clone::clone).ok_or(Broken)?;
    // Called as a value: an init that the runtime doesn't understand throws at once, which `web-sys` doesn't catch.
    let promise: Promise = fetch
        .call2(&JsValue::UNDEFINED, &JsValue::from_str(url), &init)?
        .dyn_into()?;
    Ok(JsFuture::from(promise).await?.dyn_into()?)
}

thread_local! {
    static FETCH: Option<Function> = Reflect::get(&js_sys::global(), &JsValue::from_str("fetch"))
        .ok()
        .and_then(|fetch| fetch.dyn_into().ok());
}

/// The whole body, of an answer whose size is trusted.
pub(crate) async fn whole_body(response: &Response) -> Result<Vec<u8>, Broken> {
    let buffer = JsFuture::from(response.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// A body, in the pieces in which it comes.
pub(crate) struct Pieces(Option<ReadableStreamDefaultReader>);

impl Pieces {
    /// Those of an answer that nobody else reads.
    pub(crate) fn of(response: &Response) -> Result<Self, Broken> {
        let reader = response
            .body()
            .map(|body| ReadableStreamDefaultReader::new(&body));
        Ok(Self(reader.transpose()?))
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&self) -> Result<Option<Vec<u8>>, Broken> {
        let Some(reader) = &self.0 else { return Ok(None) };
        let read = JsFuture::from(reader.read()).await?;
        let read: ReadableStreamReadResult = read.unchecked_into();
        if read.get_done().unwrap_or(true) {
            return Ok(None);
        }
        let piece: Uint8Array = read.get_value().dyn_into()?;
        Ok(Some(piece.to_vec()))
    }
}
