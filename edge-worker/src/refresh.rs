//! One session's refresh: the calls it takes, and what there is to write afterwards. Cron and user meet here.

use session_core::{
    cookies::{Believe, StoredCookies},
    due,
    finish::{Attempt, FinishEntry},
    method::RefreshMethod,
    outcome::Outcome,
    session::{ClaimedRow, Credentials},
    time::Timestamp,
};

use crate::{
    config::Config,
    database::Holder,
    log,
    runtime::{now, sleep, unit},
    upstream::{self, Answer},
};

/// A refresh that ended, and how many calls it took.
pub(crate) struct Refreshed {
    pub(crate) entry: FinishEntry,
    pub(crate) outcome: Outcome,
    pub(crate) calls: u32,
}

/// Presents a claimed session to upstream and says what to write. Never fails: whatever happens is an outcome.
pub(crate) async fn refresh_one(row: &ClaimedRow, holder: &Holder, config: &Config) -> Refreshed {
    let started = now();
    let attempt = match row.credentials(&config.fingerprint) {
        Ok(credentials) => {
            let method = row.method.unwrap_or(config.refresh_method);
            let mut attempt = attempt(credentials, method, config, started).await;
            attempt.outcome = row.judge(attempt.outcome);
            attempt
        }
        Err(error) => {
            log::unusable(&row.id, error);
            Attempt {
                outcome: Outcome::Unusable,
                said_over: false,
                cookies: None,
                status: None,
                tries: 0,
                duration: now().since(started),
                outline: None,
            }
        }
    };
    log::attempt(&row.id, &attempt, holder);
    let (outcome, calls) = (attempt.outcome.clone(), attempt.tries);
    Refreshed {
        entry: FinishEntry::attempted(row, attempt, config.interval, unit()),
        outcome,
        calls,
    }
}

async fn attempt(
    mut credentials: Credentials,
    method: RefreshMethod,
    config: &Config,
    started: Timestamp,
) -> Attempt {
    let mut changed = None;
    let mut tries = 0_u32;
    loop {
        let left = config.timeout.saturating_sub(now().since(started));
        let answer = upstream::refresh(method, &config.refresh_url, &credentials, left).await;
        tries = tries.saturating_add(1);
        if let Some(cookies) = believed_cookies(&credentials.cookies, &answer) {
            credentials.cookies = cookies.clone();
            changed = Some(cookies);
        }
        let left = config.timeout.saturating_sub(now().since(started));
        let Some(wait) = due::retry_within(&answer.outcome, answer.status, tries, left, unit()) else {
            let said_over = matches!(answer.outcome, Outcome::Expired);
            let lost_before = tries > 1;
            let outcome = if lost_before {
                answer.outcome.after_lost_answer()
            } else {
                answer.outcome
            };
            return Attempt {
                outcome,
                said_over,
                cookies: changed,
                status: answer.status,
                tries,
                duration: now().since(started),
                outline: answer.outline,
            };
        };
        sleep(wait).await;
    }
}

fn believed_cookies(stored: &StoredCookies, answer: &Answer) -> Option<StoredCookies> {
    let believe = if matches!(answer.outcome, Outcome::Refreshed(_)) {
        Believe::All
    } else {
        Believe::Affinity
    };
    stored.merged(answer.set_cookies.iter().map(String::as_str), believe, now())
}
