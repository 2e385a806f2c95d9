//! Cloudflare's side: events in, bindings out.

use worker::{Context, Env, Request, Response, Result, event};

/// Answers every HTTP request.
#[event(fetch)]
pub async fn fetch(_request: Request, _env: Env, _context: Context) -> Result<Response> {
    Response::ok("hello")
}
