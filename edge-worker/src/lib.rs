//! Cloudflare's side of keeping aimharder sessions alive: events in, bindings out.
//!
//! What to do is decided in `session-core`; here it is done.

mod runtime;

mod config;

mod log;

mod upstream;

mod database;

mod refresh;

mod run;

mod identity;

mod answer;

mod routes;

use worker::{Context, Env, Request, Response, Result, ScheduleContext, ScheduledEvent, event};

use crate::{config::config, database::Trigger, runtime::Asker};

/// Answers every HTTP request.
#[event(fetch)]
pub async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    routes::answer(request, &env, &context).await
}

/// Refreshes what is due, each time the cron trigger fires.
#[event(scheduled)]
pub async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    match config(&env) {
        Err(error) => log::misconfigured(&error),
        Ok(config) if !config.cron_enabled => log::cron_disabled(),
        Ok(config) => drop(run::run(config, Trigger::Cron, config.batch_size, &Asker::nobody()).await),
    }
}
