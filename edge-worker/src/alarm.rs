//! Alerts that can't be in the database, since it refuses us, or since our settings are wrong.
//!
//! What was told is remembered by this isolate and by Cloudflare's cache at its location: another isolate there knows it, too,
//! one elsewhere may tell it again. The cache needs a domain of one's own; on workers.dev the isolate is all there is.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use operations::{
    messages::{AlertMessage, AlertStatus, Message},
    overview::AlertKind,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_core::time::Timestamp;
use worker::{Cache, Response};

use crate::{
    config::Receiver,
    runtime::{fresh_id, now},
    watch::deliver_unqueued,
};

/// How long the cache remembers, in seconds: a week.
const REMEMBERED: u32 = 604_800;

/// An alert that is on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Alarm {
    since: i64,
    /// When its receiver was last told; 0: not yet.
    told_at: i64,
}

/// What this isolate knows; `None` of a kind: it is off.
static KNOWN: Mutex<BTreeMap<AlertKind, Option<Alarm>>> = Mutex::new(BTreeMap::new());

/// Tells that something is wrong, unless that was told less than `repeat` ago.
pub(crate) async fn sound(kind: AlertKind, details: Value, receiver: &Receiver, repeat: Duration) {
    let at = now();
    // Another isolate may have told it since this one last asked.
    let known = match known(kind) {
        Known::On(alarm) => Some(alarm),
        Known::Off | Known::Nothing => recall_cached(kind).await,
    };
    let mut alarm = known.unwrap_or(Alarm {
        since: at.as_millis(),
        told_at: 0,
    });
    let told_at = Timestamp::from_millis(alarm.told_at);
    if alarm.told_at != 0 && at.since(told_at) < repeat {
        return;
    }
    let status = if alarm.told_at == 0 {
        AlertStatus::Firing
    } else {
        AlertStatus::Repeated
    };
    if deliver_unqueued(&message(kind, status, &alarm, details), receiver).await {
        alarm.told_at = at.as_millis();
    }
    remember(kind, Some(alarm)).await;
}

/// Tells that it is over, if it was told that it was on.
pub(crate) async fn quiet(kind: AlertKind, receiver: &Receiver) {
    let Some(alarm) = recall(kind).await else {
        return;
    };
    let over = message(
        kind,
        AlertStatus::Over,
        &alarm,
        Value::Object(serde_json::Map::new()),
    );
    if alarm.told_at == 0 || deliver_unqueued(&over, receiver).await {
        remember(kind, None).await;
    }
}

fn message(kind: AlertKind, status: AlertStatus, alarm: &Alarm, details: Value) -> Message {
    Message::Alert(AlertMessage {
        id: fresh_id(),
        alert: kind,
        status,
        since: Timestamp::from_millis(alarm.since),
        at: now(),
        details,
    })
}

/// What this isolate knows.
enum Known {
    On(Alarm),
    Off,
    Nothing,
}

fn known(kind: AlertKind) -> Known {
    let alarms = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match alarms.get(&kind) {
        Some(Some(alarm)) => Known::On(*alarm),
        Some(None) => Known::Off,
        None => Known::Nothing,
    }
}

/// While all is well the cache is asked once in an isolate's life.
async fn recall(kind: AlertKind) -> Option<Alarm> {
    match known(kind) {
        Known::On(alarm) => Some(alarm),
        Known::Off => None,
        Known::Nothing => recall_cached(kind).await,
    }
}

async fn recall_cached(kind: AlertKind) -> Option<Alarm> {
    let mut cached = Cache::default().get(address(kind), true).await.ok().flatten();
    let alarm = match &mut cached {
        Some(response) => response.json().await.ok(),
        None => None,
    };
    KNOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(kind, alarm);
    alarm
}

async fn remember(kind: AlertKind, alarm: Option<Alarm>) {
    KNOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(kind, alarm);
    let cache = Cache::default();
    // Best effort: what is forgotten is told again.
    match alarm.map(|alarm| to_response(&alarm)) {
        Some(Ok(response)) => drop(cache.put(address(kind), response).await),
        _ => drop(cache.delete(address(kind), true).await),
    }
}

fn to_response(alarm: &Alarm) -> worker::Result<Response> {
    let response = Response::from_json(alarm)?;
    response
        .headers()
        .set("Cache-Control", &format!("max-age={REMEMBERED}"))?;
    Ok(response)
}

/// A name that no server has.
fn address(kind: AlertKind) -> String {
    let name = match kind {
        AlertKind::Misconfigured => "misconfigured",
        AlertKind::DatabaseRefused => "database-refused",
        _ => "other",
    };
    format!("https://alarm.invalid/{name}")
}
