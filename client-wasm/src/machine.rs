//! When the browser asks the Worker, and what the answers mean. Pure: it says what it wants, is told what came of it,
//! and gets time and randomness as arguments.
//!
//! Times are milliseconds since the epoch, as JavaScript counts them. `now` is the browser's clock, which may be
//! wrong by days: what is due is reckoned by the server's clock, whose distance each answer tells.

use session_core::{
    backoff::{Backoff, clamp},
    wire::State,
};

const SECOND: f64 = 1_000.0;
const MINUTE: f64 = 60.0 * SECOND;
const DAY: f64 = 24.0 * 60.0 * MINUTE;

/// A session is looked at as often as this, even if nothing falls due.
const LONGEST_SILENCE: f64 = DAY;

/// Browsers that were told the same due time come spread over this.
const DUE_SPREAD: f64 = 5.0 * SECOND;

/// The longest sleep of a timer: browsers' timers overflow at 24.8 days, and stand still while a machine sleeps.
const LONGEST_TIMER: f64 = 5.0 * MINUTE;

/// After a failed call.
const AFTER_FAILURE: Backoff = Backoff {
    shortest: SECOND,
    first: 5.0 * SECOND,
    longest: 10.0 * MINUTE,
};

/// While the server has a refresh under way, or wants a pause before the next.
const WHILE_HELD: Backoff = Backoff {
    shortest: 2.0 * SECOND,
    first: 5.0 * SECOND,
    longest: MINUTE,
};

/// After this many failures in a row the breaker opens: one call each so often, no more.
const BREAKER_AFTER: u32 = 5;
const BREAKER_PAUSE: f64 = 5.0 * MINUTE;

/// A `Retry-After` beyond this is cut.
const LONGEST_RETRY_AFTER: f64 = 24.0 * 60.0 * MINUTE;

/// Clocks that differ by less are taken for equal.
const CLOCK_SLACK: f64 = 10.0 * SECOND;

/// What to ask the Worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing now.
    Nothing,
    /// How the session stands.
    Check,
    /// A refresh.
    Refresh,
}

/// Why calls can't be made any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They can.
    Open,
    /// The aimharder session is over: the user has to sign in there.
    Expired,
    /// The app's own sign-in is not accepted.
    SignedOut,
}

/// What went wrong last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// No answer: offline, timed out, or broken off.
    Unreachable,
    /// Asked to wait (429).
    Throttled,
    /// Turned away (403), without a word on the session.
    Refused,
    /// A fault of the server's, or of what stands before it.
    Fault,
    /// The user has no session that could be refreshed.
    NoSession,
    /// What is stored of the session can't be used: a new sign-in mends it.
    Unusable,
}

/// How it looks to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing is known yet.
    Unknown,
    /// Fresh.
    Healthy,
    /// A refresh has fallen due.
    Due,
    /// The last attempt failed, here or at the server.
    Degraded,
    /// Over.
    Expired,
}

/// Whether a user may refresh now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manual {
    /// Yes.
    Yes,
    /// A refresh is under way. A check is none: it is over before a refresh has its turn.
    Busy,
    /// Not before this time of the browser's clock.
    Wait(f64),
    /// No: only a sign-in helps.
    SignIn,
}

/// How the server says that a session stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// The server's clock.
    pub server_time: f64,
    /// The last success.
    pub last_refresh: Option<f64>,
    /// When the next falls due.
    pub next_due: Option<f64>,
    /// From when on a refresh by hand is possible.
    pub can_refresh_at: Option<f64>,
    /// Successes so far.
    pub count: u32,
    /// Whether the row is looked after.
    pub state: State,
    /// A refresh is under way at the server.
    pub refreshing: bool,
    /// The server's last attempt failed.
    pub failed: bool,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    /// The HTTP status; 0 where there was no answer.
    pub status: u16,
    /// What the Worker's code says beyond the status.
    pub code: Code,
    /// How long to wait at least, in milliseconds.
    pub retry_after: Option<f64>,
    /// The server's clock, where the answer told it.
    pub server_time: Option<f64>,
}

/// The Worker's error codes that change what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// None of these.
    Other,
    /// `session_expired`.
    SessionExpired,
    /// `session_not_found`.
    SessionNotFound,
    /// `session_unusable`.
    SessionUnusable,
}

/// The state of one user's session in this browser. Shared by all tabs but for the call under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    pub(crate) shared: Shared,
    asking: Option<Want>,
    /// Grows with each call: an answer to an older one is dropped.
    ticket: u32,
    online: bool,
    /// Somebody wants to know, due or not.
    asked_again: bool,
    /// The call under way answers that.
    asked_before: bool,
}

/// What all tabs know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shared {
    /// When it was changed last, by the browser's clock; grows always.
    pub(crate) changed_at: f64,
    /// The server's clock less the browser's.
    pub(crate) offset: f64,
    pub(crate) told: Option<Told>,
    /// A check has just told that a refresh is due and possible.
    pub(crate) ready: bool,
    pub(crate) standing: Standing,
    pub(crate) trouble: Trouble,
    pub(crate) failures: u32,
    pub(crate) holds: u32,
    /// No call of our own accord before this.
    pub(crate) not_before: f64,
    /// No call at all before this: what a `Retry-After` asked for.
    pub(crate) floor: f64,
    pub(crate) spread: f64,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Knows nothing, so that it wants a check.
    pub const fn new() -> Self {
        Self {
            shared: Shared {
                changed_at: 0.0,
                offset: 0.0,
                told: None,
                ready: false,
                standing: Standing::Open,
                trouble: Trouble::None,
                failures: 0,
                holds: 0,
                not_before: 0.0,
                floor: 0.0,
                spread: 0.0,
            },
            asking: None,
            ticket: 0,
            online: true,
            asked_again: false,
            asked_before: false,
        }
    }

    /// What to ask now.
    pub fn want(&self, now: f64) -> Want {
        let shared = &self.shared;
        if self.asking.is_some() || !self.online {
            return Want::Nothing;
        }
        if self.asked_again && now >= self.floor(now) {
            return Want::Check;
        }
        if shared.standing != Standing::Open || self.next_call(now) > now {
            return Want::Nothing;
        }
        // Only right after a check: since then the cron may have been there.
        let is_recent = |told: Told| now + shared.offset < told.server_time + MINUTE;
        if shared.ready && shared.told.is_some_and(is_recent) {
            Want::Refresh
        } else {
            Want::Check
        }
    }

    /// How long until something could be wanted or look different, in milliseconds; infinite where nothing can.
    pub fn wait(&self, now: f64) -> f64 {
        let mut next = f64::INFINITY;
        if self.asking.is_none() && self.online && self.shared.standing == Standing::Open {
            next = self.next_call(now);
        }
        let looks = [
            self.floor(now),
            self.local(self.shared.told.and_then(|told| told.can_refresh_at)),
            self.local(self.shared.told.and_then(|told| told.next_due)),
        ];
        for at in looks {
            if at > now {
                next = next.min(at);
            }
        }
        if next.is_infinite() {
            next
        } else {
            (next - now).clamp(0.0, LONGEST_TIMER)
        }
    }

    /// A call starts; answers its ticket, or `None` if one is under way already.
    pub fn begin(&mut self, want: Want) -> Option<u32> {
        if self.asking.is_some() || want == Want::Nothing {
            return None;
        }
        self.asking = Some(want);
        self.asked_before = std::mem::take(&mut self.asked_again);
        self.ticket = self.ticket.wrapping_add(1);
        Some(self.ticket)
    }

    /// The call with this ticket was answered. Answers whether it still counts.
    pub fn told(&mut self, ticket: u32, told: Told, now: f64, unit: f64) -> bool {
        let Some(asked) = self.end(ticket) else {
            return false;
        };
        let shared = &mut self.shared;
        shared.offset = told.server_time - now;
        shared.told = Some(told);
        shared.trouble = Trouble::None;
        shared.failures = 0;
        shared.floor = 0.0;
        shared.spread = DUE_SPREAD * clamp(unit);
        shared.standing = match told.state {
            State::Expired => Standing::Expired,
            State::Active | State::Exhausted => Standing::Open,
        };
        shared.not_before = 0.0;
        self.shared.ready = asked == Want::Check && self.may_refresh(&told, now);
        self.hold_back(&told, now, unit);
        self.touch(now);
        true
    }

    /// A session that wants its refresh but can't have it yet, or was just refused one, is looked at again later.
    fn hold_back(&mut self, told: &Told, now: f64, unit: f64) {
        if !told.refreshing && !self.is_due(told, now) {
            self.shared.holds = 0;
            return;
        }
        if self.shared.ready {
            return;
        }
        let pause = if told.state == State::Exhausted {
            LONGEST_SILENCE
        } else {
            WHILE_HELD.wait(self.shared.holds, unit)
        };
        self.shared.holds = self.shared.holds.saturating_add(1);
        let possible = told.can_refresh_at.map_or(now, |at| at - self.shared.offset);
        self.shared.not_before = possible.max(now + pause);
    }

    /// The call with this ticket failed. Answers whether it still counts.
    pub fn failed(&mut self, ticket: u32, failure: Failure, now: f64, unit: f64) -> bool {
        if self.end(ticket).is_none() {
            return false;
        }
        let before = self.shared.failures;
        let shared = &mut self.shared;
        if let Some(server_time) = failure.server_time {
            shared.offset = server_time - now;
        }
        shared.ready = false;
        match failure.code {
            Code::SessionExpired => shared.standing = Standing::Expired,
            _ if failure.status == 401 => shared.standing = Standing::SignedOut,
            _ => {}
        }
        shared.trouble = match (failure.code, failure.status) {
            (Code::SessionExpired, _) | (_, 401) => Trouble::None,
            (Code::SessionUnusable, _) => Trouble::Unusable,
            (Code::SessionNotFound, _) => Trouble::NoSession,
            (Code::Other, 0) => Trouble::Unreachable,
            (Code::Other, 429) => Trouble::Throttled,
            (Code::Other, 403) => Trouble::Refused,
            (Code::Other, _) => Trouble::Fault,
        };
        shared.failures = before.saturating_add(1);
        let mut pause = AFTER_FAILURE.wait(before, unit);
        if shared.failures >= BREAKER_AFTER {
            pause = pause.max(BREAKER_PAUSE * (1.0 + clamp(unit)));
        }
        if matches!(shared.trouble, Trouble::NoSession | Trouble::Unusable) {
            pause = LONGEST_SILENCE;
        }
        let asked = failure.retry_after.filter(|wait| wait.is_finite() && *wait > 0.0);
        shared.floor = asked.map_or(0.0, |wait| now + wait.min(LONGEST_RETRY_AFTER));
        // Not all at the very moment that a Retry-After named.
        let spread = if asked.is_some() {
            DUE_SPREAD * clamp(unit)
        } else {
            0.0
        };
        shared.not_before = (now + pause).max(shared.floor + spread);
        self.touch(now);
        true
    }

    /// The call with this ticket was given up before it was answered, by an unmount say: it counts as never made.
    pub fn abandoned(&mut self, ticket: u32) {
        if self.end(ticket).is_some() {
            self.asked_again |= self.asked_before;
        }
    }

    /// No turn could be had within bounds: somebody else is at it. Looked at again a little later.
    pub fn crowded(&mut self, now: f64, unit: f64) {
        let pause = now + WHILE_HELD.wait(self.shared.holds, unit);
        self.shared.not_before = self.shared.not_before.max(pause);
        self.shared.holds = self.shared.holds.saturating_add(1);
    }

    /// Whether the browser says that it has a network. Coming back, a call that found none needs no more patience.
    pub fn set_online(&mut self, online: bool, now: f64, unit: f64) {
        let came_back = online && !self.online;
        self.online = online;
        if came_back && self.shared.trouble == Trouble::Unreachable {
            self.shared.not_before = self.shared.floor.max(now + 2.0 * SECOND * clamp(unit));
        }
    }

    /// Whether a user may refresh now. It skips the backoff, not what a `Retry-After` asked for.
    pub fn manual(&self, now: f64) -> Manual {
        let usable = self.shared.trouble != Trouble::Unusable;
        if self.shared.standing != Standing::Open || !usable {
            return Manual::SignIn;
        }
        if self.asking == Some(Want::Refresh) || self.shared.told.is_some_and(|told| told.refreshing) {
            return Manual::Busy;
        }
        let can = self.local(self.shared.told.and_then(|told| told.can_refresh_at));
        let at = self.shared.floor.max(if can.is_finite() { can } else { 0.0 });
        if at > now && !self.was_set_back(now) {
            Manual::Wait(at)
        } else {
            Manual::Yes
        }
    }

    /// Somebody wants to know: a check is wanted now, whatever stands in the way but a `Retry-After`. After a new
    /// sign-in its answer opens what was closed.
    pub fn ask_again(&mut self) {
        self.asked_again = true;
    }

    /// A page was opened: what only a sign-in mends may have been mended since, so it is looked at once.
    pub fn opened(&mut self) {
        let waits = matches!(self.shared.trouble, Trouble::NoSession | Trouble::Unusable);
        self.asked_again |= waits || self.shared.standing != Standing::Open;
    }

    /// Takes over what another tab, or this one before a reload, has learnt, if it is newer.
    pub(crate) fn adopt(&mut self, other: Shared, now: f64) -> bool {
        let own = if self.was_set_back(now) {
            0.0
        } else {
            self.shared.changed_at
        };
        let is_newer = other.changed_at > own;
        if is_newer {
            self.shared = other;
        }
        is_newer
    }

    /// Whether a refresh is wanted, by the server's word or its clock.
    pub fn needs_refresh(&self, now: f64) -> bool {
        self.shared.standing == Standing::Open && self.shared.told.is_some_and(|told| self.is_due(&told, now))
    }

    /// How it looks.
    pub fn health(&self, now: f64) -> Health {
        match (self.shared.standing, self.shared.told) {
            (Standing::Expired, _) => Health::Expired,
            (Standing::Open, _) if self.shared.trouble != Trouble::None => Health::Degraded,
            (Standing::SignedOut, _) | (Standing::Open, None) => Health::Unknown,
            (Standing::Open, Some(told)) if told.failed || told.state == State::Exhausted => Health::Degraded,
            (Standing::Open, Some(told)) if self.is_due(&told, now) => Health::Due,
            (Standing::Open, Some(_)) => Health::Healthy,
        }
    }

    /// Whether a refresh is under way, here or at the server.
    pub fn is_refreshing(&self) -> bool {
        self.asking == Some(Want::Refresh)
    }

    /// A time of the server's by the browser's clock; infinite for none.
    pub(crate) fn local(&self, server: Option<f64>) -> f64 {
        server.map_or(f64::INFINITY, |at| at - self.shared.offset)
    }

    fn is_due(&self, told: &Told, now: f64) -> bool {
        told.failed || told.next_due.is_some_and(|due| due <= now + self.shared.offset)
    }

    fn may_refresh(&self, told: &Told, now: f64) -> bool {
        let can = told
            .can_refresh_at
            .is_some_and(|at| at <= now + self.shared.offset);
        can && !told.refreshing && told.state == State::Active && self.is_due(told, now)
    }

    /// The time of the next call of our own accord, by the browser's clock.
    fn next_call(&self, now: f64) -> f64 {
        let shared = &self.shared;
        let wanted = match shared.told {
            None => now,
            // The browser's clock was set back behind an answer: nothing of it can be relied on.
            Some(told) if now + shared.offset < told.server_time - CLOCK_SLACK => now,
            Some(told) if told.failed || told.refreshing => now,
            Some(told) => {
                let due = self.local(told.next_due) + shared.spread;
                due.min(self.local(Some(told.server_time)) + LONGEST_SILENCE)
            }
        };
        if self.was_set_back(now) {
            return wanted;
        }
        wanted.max(shared.not_before).max(shared.floor)
    }

    /// Whether the browser's clock was set back behind what is known: barriers under the old one could be ages away.
    fn was_set_back(&self, now: f64) -> bool {
        self.shared.changed_at > now + CLOCK_SLACK
    }

    fn floor(&self, now: f64) -> f64 {
        if self.was_set_back(now) {
            0.0
        } else {
            self.shared.floor
        }
    }

    /// Ends the call with this ticket; answers what it was, unless it was dropped.
    fn end(&mut self, ticket: u32) -> Option<Want> {
        if ticket == self.ticket {
            self.asking.take()
        } else {
            None
        }
    }

    fn touch(&mut self, now: f64) {
        let after = self.shared.changed_at + 1.0;
        self.shared.changed_at = if self.was_set_back(now) {
            now
        } else {
            now.max(after)
        };
    }
}

#[cfg(test)]
mod tests;
