//! Cloudflare's side of keeping aimharder sessions alive: events in, bindings out.
//!
//! What to do is decided in `session-core`; here it is done.

mod runtime;

mod fetch;

mod config;

mod log;

mod upstream;

mod latency;

mod database;

mod refresh;

mod run;

mod webhook;

mod watch;

mod analytics;

mod alarm;

mod tick;

mod ensure;

mod keyring;

mod identity;

mod rate_limit;

mod idempotency;

mod pass;

mod operators;

mod dashboard;

mod answer;

mod routes;

#[cfg(test)]
mod contract;

use worker::{Context, Env, MessageBatch, Request, Response, Result, ScheduleContext, ScheduledEvent, event};

use crate::{config::config, tick::Wake};

/// Answers every HTTP request.
#[event(fetch)]
pub async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    routes::answer(request, &env, &context).await
}

/// Refreshes what is due, each time the cron trigger fires.
#[event(scheduled)]
pub async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    match config(&env) {
        Err(error) => {
            log::misconfigured(&error);
            tick::misconfigured(&error, &env).await;
        }
        Ok(config) if !config.cron_enabled => log::cron_disabled(),
        Ok(config) => tick::tick(config, &env).await,
    }
}

/// Helps with what is due, when a tick's message says so. Never fails: an error here would be a panic.
#[event(queue)]
pub async fn queue(messages: MessageBatch<Wake>, env: Env, _context: Context) -> Result<()> {
    match config(&env) {
        Err(error) => {
            log::misconfigured(&error);
            messages.retry_all();
        }
        Ok(config) if !config.cron_enabled => {
            log::cron_disabled();
            messages.ack_all();
        }
        Ok(config) => tick::answer(&messages, config, &env).await,
    }
    Ok(())
}
