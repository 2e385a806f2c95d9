//! The machine's values as the numbers that cross to JavaScript and into the browser's storage.

#![expect(clippy::float_cmp, reason = "small whole numbers, which are exact")]

use session_core::{backoff::whole, wire::State};

use crate::machine::{Code, Machine, Manual, Shared, Standing, Told, Trouble};

/// How many numbers cross at once, at the most.
pub(crate) const WINDOW: usize = 19;

/// The distance of the clocks is told in steps, in milliseconds: it differs a little with each answer, and nothing that
/// is shown depends on so little.
const CLOCK_GRAIN: f64 = 1_000.0;

/// The version of what is kept. Another one's is not taken over.
const VERSION: f64 = 1.0;

/// `NaN` is none.
pub(crate) fn some(number: f64) -> Option<f64> {
    (!number.is_nan()).then_some(number)
}

fn none_or(number: Option<f64>) -> f64 {
    number.unwrap_or(f64::NAN)
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

pub(crate) const fn code(number: u32) -> Code {
    match number {
        1 => Code::SessionExpired,
        2 => Code::SessionNotFound,
        3 => Code::SessionUnusable,
        _ => Code::Other,
    }
}

fn state(number: f64) -> Option<State> {
    [State::Active, State::Expired, State::Exhausted]
        .into_iter()
        .find(|state| state_number(*state) == number)
}

const fn state_number(state: State) -> f64 {
    match state {
        State::Active => 1.0,
        State::Expired => 2.0,
        State::Exhausted => 3.0,
    }
}

const SIGNED_OUT: f64 = 4.0;

pub(crate) fn told(numbers: &[f64]) -> Option<Told> {
    let [
        server_time,
        last,
        due,
        by_hand,
        count,
        state_told,
        refreshing,
        failed,
        ..,
    ] = *numbers
    else {
        return None;
    };
    Some(Told {
        server_time: some(server_time)?,
        last_refresh: some(last),
        next_due: some(due),
        can_refresh_at: some(by_hand),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        count: count as u32,
        state: state(state_told)?,
        refreshing: refreshing != 0.0,
        failed: failed != 0.0,
    })
}

fn told_numbers(told: Option<Told>) -> [f64; 8] {
    told.map_or([f64::NAN; 8], |told| {
        [
            told.server_time,
            none_or(told.last_refresh),
            none_or(told.next_due),
            none_or(told.can_refresh_at),
            f64::from(told.count),
            state_number(told.state),
            flag(told.refreshing),
            flag(told.failed),
        ]
    })
}

pub(crate) fn view(machine: &Machine, now: f64) -> [f64; WINDOW] {
    let told = machine.shared.told;
    let state = match (machine.shared.standing, told) {
        (Standing::Expired, _) => state_number(State::Expired),
        (Standing::SignedOut, _) => SIGNED_OUT,
        (Standing::Open, Some(told)) => state_number(told.state),
        (Standing::Open, None) => 0.0,
    };
    let is_open = machine.shared.standing == Standing::Open;
    let offset = machine.shared.offset;
    let by_hand = match machine.manual(now) {
        Manual::Yes => 0.0,
        Manual::Busy => f64::INFINITY,
        Manual::Wait(until) => until + offset,
        Manual::SignIn => f64::NAN,
    };
    let next_try = if machine.shared.trouble == Trouble::None {
        f64::NAN
    } else {
        machine.shared.not_before + offset
    };
    window([
        state,
        f64::from(machine.health(now) as u8),
        flag(machine.needs_refresh(now)),
        flag(machine.is_refreshing() || told.is_some_and(|told| told.refreshing)),
        none_or(told.and_then(|told| told.last_refresh)),
        none_or(told.filter(|_| is_open).and_then(|told| told.next_due)),
        told.map_or(0.0, |told| f64::from(told.count)),
        by_hand,
        next_try,
        (offset / CLOCK_GRAIN).round() * CLOCK_GRAIN,
    ])
}

/// The window with these numbers, and zeros behind them.
fn window(numbers: impl IntoIterator<Item = f64>) -> [f64; WINDOW] {
    let mut window = [0.0; WINDOW];
    for (slot, number) in window.iter_mut().zip(numbers) {
        *slot = number;
    }
    window
}

const STANDINGS: [Standing; 3] = [Standing::Open, Standing::Expired, Standing::SignedOut];
const TROUBLES: [Trouble; 7] = [
    Trouble::None,
    Trouble::Unreachable,
    Trouble::Throttled,
    Trouble::Refused,
    Trouble::Fault,
    Trouble::NoSession,
    Trouble::Unusable,
];

pub(crate) fn keep(machine: &Machine) -> [f64; WINDOW] {
    let shared = &machine.shared;
    // Whether this app's sign-in is accepted is each tab's own affair: by now another one may have a better token.
    let (standing, told) = match shared.standing {
        Standing::SignedOut => (Standing::Open, None),
        standing @ (Standing::Open | Standing::Expired) => (standing, shared.told),
    };
    let own = [
        VERSION,
        shared.changed_at,
        shared.offset,
        flag(shared.ready),
        f64::from(standing as u8),
        f64::from(shared.trouble as u8),
        f64::from(shared.failures),
        f64::from(shared.holds),
        shared.not_before,
        shared.floor,
        shared.spread,
    ];
    window(own.into_iter().chain(told_numbers(told)))
}

/// Reads what was kept. It comes from storage that anybody on the page can write: what is no number of ours is
/// refused as a whole.
pub(crate) fn kept(numbers: &[f64]) -> Option<Shared> {
    let [
        version,
        changed_at,
        offset,
        ready,
        standing,
        trouble,
        failures,
        holds,
        not_before,
        floor,
        spread,
        ref told_kept @ ..,
    ] = *numbers
    else {
        return None;
    };
    let times = [changed_at, offset, failures, holds, not_before, floor, spread];
    if version != VERSION || times.iter().any(|time| !time.is_finite()) || told_kept.len() != 8 {
        return None;
    }
    Some(Shared {
        changed_at,
        offset,
        told: told(told_kept),
        ready: ready != 0.0,
        standing: STANDINGS
            .into_iter()
            .find(|known| f64::from(*known as u8) == standing)?,
        trouble: TROUBLES
            .into_iter()
            .find(|known| f64::from(*known as u8) == trouble)?,
        failures: whole(failures),
        holds: whole(holds),
        not_before,
        floor,
        spread,
    })
}
