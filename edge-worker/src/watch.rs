//! What a tick does besides refreshing: has the database look after history and alerts, and delivers what there is to tell.

use std::time::Duration;

use operations::{
    messages::{DeliveryError, Message, retry_in},
    overview::AlertKind,
};
use serde_json::{Value, json};
use session_core::batch::CALLS_TO_END_A_RUN;

use crate::{
    config::{Config, Receiver},
    database::{Due, Outlook, Told},
    log,
    runtime::{now, unit},
    webhook,
};

/// Deliveries of a tick, where Cloudflare's free plan bounds it and where not.
const FEW: u32 = 3;
const MANY: u32 = 50;

/// No delivery is begun later than this.
const DELIVER_FOR: Duration = Duration::from_secs(25);

/// Calls that a tick has to leave for this.
pub(crate) fn calls_to_watch(config: &Config) -> u32 {
    let pings: u32 = if config.ping_url.is_some() { 2 } else { 0 };
    let deliveries = if config.alerts.is_some() || config.events.is_some() {
        // Besides, saying what came of them, repeated where the database is away for a moment.
        most_deliveries(config).saturating_add(CALLS_TO_END_A_RUN)
    } else {
        0
    };
    // What alarm.rs asks of the cache in an isolate's first tick.
    let alarms = if config.alerts.is_some() { 2 } else { 0 };
    // The watch, and counting.
    pings
        .saturating_add(deliveries)
        .saturating_add(alarms)
        .saturating_add(2)
}

const fn most_deliveries(config: &Config) -> u32 {
    if config.is_on_free_plan() { FEW } else { MANY }
}

/// Looks after history and alerts, and delivers messages. Whatever goes wrong costs no session its refresh.
pub(crate) async fn watch(config: &Config, outlook: Option<&Outlook>) {
    let told = match config.watch(&wanted(config, outlook)).await {
        Ok(watch) => deliver_all(known(watch.messages), config).await,
        Err(error) => return log::not_watched(error),
    };
    if let Err(error) = config.count_sessions().await {
        log::not_watched(error);
    }
    if !told.is_empty()
        && let Err(error) = config.messages_told(&told).await
    {
        // They come again in two minutes: their ids tell receivers that they are the same.
        log::not_watched(error);
    }
}

/// Those that this version understands. Others wait for one that does.
fn known(messages: Vec<Value>) -> Vec<Due> {
    let read = messages.into_iter().map(serde_json::from_value);
    read.filter_map(|due| due.inspect_err(|_| log::unknown_message()).ok())
        .collect()
}

fn wanted(config: &Config, outlook: Option<&Outlook>) -> Value {
    json!({
        "alerts": config.alerts.is_some(), "events": config.events.is_some(), "limit": most_deliveries(config),
        "repeatSeconds": config.alert_repeat.as_secs(), "failureRate": config.alert_failure_share,
        "historyDays": config.history_days, "attemptsKept": config.attempts_kept,
        "conditions": outlook.map(|outlook| [interval(config, outlook)]).unwrap_or_default(),
    })
}

/// Whether sessions die sooner than the interval allows for.
fn interval(config: &Config, outlook: &Outlook) -> Value {
    let recommended = outlook.recommended_interval();
    json!({
        "kind": AlertKind::IntervalTooLong,
        "on": recommended.is_some_and(|recommended| recommended < config.interval),
        "details": {
            "intervalSeconds": config.interval.as_secs(), "recommendedSeconds": recommended.map(|time| time.as_secs()),
            "lifeSeconds": outlook.life_seconds,
        },
    })
}

/// One after the other, as they were queued. A receiver that can't be had is left alone until the next tick.
async fn deliver_all(messages: Vec<Due>, config: &Config) -> Vec<Told> {
    let started = now();
    let mut told = Vec::new();
    let (mut alerts_away, mut events_away) = (None, None);
    for due in messages {
        let (receiver, away) = match &due.message {
            Message::Alert(_) => (&config.alerts, &mut alerts_away),
            Message::Event(_) => (&config.events, &mut events_away),
        };
        let Some(receiver) = receiver else { continue };
        let result = match *away {
            Some(error) => Err(error),
            None if now().since(started) > DELIVER_FOR => continue,
            None => webhook::deliver(&due.message, receiver).await,
        };
        if let Err(error) = result {
            *away = away.or(keeps_away(error));
            log::undelivered(due.message.id(), error.as_str(), due.tries);
        }
        told.push(outcome(&due, result));
    }
    told
}

/// What says something of the receiver rather than of the message.
const fn keeps_away(error: DeliveryError) -> Option<DeliveryError> {
    match error {
        DeliveryError::Refused => None,
        error => Some(error),
    }
}

fn outcome(due: &Due, result: Result<(), DeliveryError>) -> Told {
    Told {
        id: due.message.id().to_owned(),
        error: result.err().map(DeliveryError::as_str),
        retry_in_seconds: retry_in(due.tries, unit()).as_secs_f64(),
    }
}

/// Delivers one message that the database knows nothing of.
pub(crate) async fn deliver_unqueued(message: &Message, receiver: &Receiver) -> bool {
    match webhook::deliver(message, receiver).await {
        Ok(()) => true,
        Err(error) => {
            log::undelivered(message.id(), error.as_str(), 1);
            false
        }
    }
}
