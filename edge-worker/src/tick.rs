//! The cron's tick and the queue's messages. A tick learns what there is to do, wakes as many others as that needs,
//! and works itself, so that nothing depends on the queue.

use std::time::Duration;

use futures_util::future::join;
use operations::overview::AlertKind;
use serde::{Deserialize, Serialize};
use serde_json::json;
use session_core::fanout::Capacity;
use worker::{BatchMessageBuilder, Env, MessageBatch, MessageExt, Queue, QueueRetryOptionsBuilder};

use crate::{
    alarm, analytics,
    config::{Config, ConfigError, alert_receiver},
    database::{DatabaseError, Outlook, Trigger},
    log,
    run::{START_FOR, WIDTH, run},
    runtime::Asker,
    watch, webhook,
};

/// The queue's binding in wrangler.toml.
const BINDING: &str = "WAKE_QUEUE";

/// As many messages as one send may hold.
const MESSAGES_IN_A_SEND: u32 = 100;

/// A message that could not be dealt with comes again after this.
const RETRY_AFTER_SECONDS: u32 = 30;

/// Wrong settings are told again after this: how often is one of them.
const DEFAULT_REPEAT: Duration = Duration::from_hours(1);

/// What a message says: come and claim. Lost, doubled or late it does no harm, since what is due and who is at it are
/// rows of the database.
#[derive(Debug, Serialize, Deserialize)]
pub struct Wake {
    /// Which kind of message it is.
    wake: WakeKind,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WakeKind {
    Claim,
}

/// Refreshes what is due, with help where there is too much of it for one.
pub(crate) async fn tick(config: &Config, env: &Env) {
    let queue = env.queue(BINDING).ok().filter(|_| config.queue_enabled);
    ping(config, "start", "").await;
    let (outlook, calls) = look_and_wake(config, queue.as_ref()).await;
    let left = config
        .subrequest_limit
        .saturating_sub(calls)
        .saturating_sub(watch::calls_to_watch(config));
    let nobody = Asker::nobody();
    let work = run(config, Trigger::Cron, config.batch_size, left, &nobody);
    let (report, ()) = join(work, watch_and_sound(config, outlook.as_ref())).await;
    analytics::write(&report, env);
    let suffix = if report.outcome() == "done" { "" } else { "fail" };
    ping(config, suffix, &log::run_line(&report).to_string()).await;
}

/// Tells, as far as that can be done, that the settings are wrong.
pub(crate) async fn misconfigured(error: &ConfigError, env: &Env) {
    if let Some(receiver) = alert_receiver(env) {
        let details = json!({ "reason": error.to_string() });
        alarm::sound(AlertKind::Misconfigured, details, &receiver, DEFAULT_REPEAT).await;
    }
}

async fn watch_and_sound(config: &Config, outlook: Result<&Outlook, &DatabaseError>) {
    match outlook {
        Err(error @ DatabaseError::Refused(_)) => {
            if let Some(receiver) = &config.alerts {
                let details = json!({ "code": error.code() });
                alarm::sound(AlertKind::DatabaseRefused, details, receiver, config.alert_repeat).await;
            }
        }
        outlook => {
            watch::watch(config, outlook.ok()).await;
            if let (Some(receiver), Ok(_)) = (&config.alerts, outlook) {
                alarm::quiet(AlertKind::DatabaseRefused, receiver).await;
                alarm::quiet(AlertKind::Misconfigured, receiver).await;
            }
        }
    }
}

async fn ping(config: &Config, suffix: &str, body: &str) {
    if let Some(url) = &config.ping_url
        && let Err(error) = webhook::ping(url, suffix, body).await
    {
        log::not_pinged(error.as_str());
    }
}

/// Answers what there is to do, and how many fetches it took. Whatever goes wrong here, the tick's own run goes ahead.
async fn look_and_wake(config: &Config, queue: Option<&Queue>) -> (Result<Outlook, DatabaseError>, u32) {
    let mut capacity = Capacity {
        calls: config.subrequest_limit,
        sessions: config.sessions_per_run,
        width: WIDTH,
        time: START_FOR,
        refresh: Duration::ZERO,
        in_flight: config.max_in_flight,
        calls_per_second: config.calls_per_second.into(),
        most: config.max_consumers,
    };
    let outlook = match config.outlook(capacity.worth_counting()).await {
        Ok(outlook) => outlook,
        Err(error) => {
            log::no_outlook(error);
            return (Err(error), 1);
        }
    };
    if let Some(recommended) = outlook.recommended_interval()
        && recommended < config.interval
    {
        log::interval_too_long(config.interval, recommended, outlook.life_seconds);
    }
    capacity.calls_per_second = outlook.calls_per_second;
    capacity.refresh = Duration::from_millis(outlook.refresh_ms.unwrap_or_default());
    let helpers = capacity.helpers(outlook.due);
    let Some(queue) = queue.filter(|_| helpers > 0 && outlook.held.is_none()) else {
        return (Ok(outlook), 1);
    };
    let calls = wake(queue, helpers).await.saturating_add(1);
    (Ok(outlook), calls)
}

async fn wake(queue: &Queue, helpers: u32) -> u32 {
    let mut sends = 0_u32;
    let mut left = helpers;
    while left > 0 {
        let count = left.min(MESSAGES_IN_A_SEND);
        left = left.saturating_sub(count);
        sends = sends.saturating_add(1);
        let messages = (0..count).map(|_| Wake {
            wake: WakeKind::Claim,
        });
        let batch = BatchMessageBuilder::new().messages(messages).build();
        if queue.send_batch(batch).await.is_err() {
            log::not_woken(left.saturating_add(count));
            break;
        }
    }
    sends
}

/// Answers a batch of messages: one run, however many there are, since the platform's limits are an invocation's.
///
/// Each message is acknowledged or retried by itself. One that can't be read is retried, too, until the platform puts it
/// aside: somebody should look at it.
pub(crate) async fn answer(messages: &MessageBatch<Wake>, config: &Config) {
    let (read, unread): (Vec<_>, Vec<_>) = messages
        .raw_iter()
        .zip(messages.iter())
        .partition(|(_, decoded)| decoded.is_ok());
    let later = QueueRetryOptionsBuilder::new()
        .with_delay_seconds(RETRY_AFTER_SECONDS)
        .build();
    for (message, _) in &unread {
        log::unreadable_message();
        message.retry_with_options(&later);
    }
    if read.is_empty() {
        return;
    }
    let report = run(
        config,
        Trigger::Queue,
        config.batch_size,
        config.subrequest_limit,
        &Asker::nobody(),
    )
    .await;
    for (message, _) in &read {
        if report.error.is_some() {
            message.retry_with_options(&later);
        } else {
            message.ack();
        }
    }
}
