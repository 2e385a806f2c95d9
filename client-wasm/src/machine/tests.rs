#![expect(clippy::float_cmp, reason = "whole milliseconds, which are exact")]

use proptest::prelude::*;

use super::*;

/// The server's clock at the start; the browser's is off by `OFF`.
const START: f64 = 1_790_000_000_000.0;

fn fresh(server_time: f64) -> Told {
    Told {
        server_time,
        last_refresh: Some(server_time - MINUTE),
        next_due: Some(server_time + 17.0 * MINUTE),
        can_refresh_at: Some(server_time),
        count: 3,
        state: State::Active,
        refreshing: false,
        failed: false,
    }
}

fn due(server_time: f64) -> Told {
    Told {
        next_due: Some(server_time - MINUTE),
        ..fresh(server_time)
    }
}

const fn status(status: u16) -> Failure {
    Failure {
        status,
        code: Code::Other,
        retry_after: None,
        server_time: None,
    }
}

fn coded(http: u16, code: Code) -> Failure {
    Failure { code, ..status(http) }
}

/// A machine that was told this at `now`, in answer to a check.
fn after_check(told: Told, now: f64) -> Machine {
    let mut machine = Machine::new();
    let ticket = machine.begin(Want::Check).unwrap();
    assert!(machine.told(ticket, told, now, 0.5));
    machine
}

fn fail(machine: &mut Machine, failure: Failure, now: f64) {
    let want = machine.want(now);
    let ticket = machine
        .begin(if want == Want::Nothing {
            Want::Refresh
        } else {
            want
        })
        .unwrap();
    assert!(machine.failed(ticket, failure, now, 0.5));
}

#[test]
fn knowing_nothing_it_checks_first() {
    let machine = Machine::new();
    assert_eq!((machine.want(START), machine.wait(START)), (Want::Check, 0.0));
    assert_eq!(machine.health(START), Health::Unknown);
}

#[test]
fn a_fresh_session_is_left_alone_until_it_falls_due() {
    let mut machine = after_check(fresh(START), START);
    assert_eq!(machine.want(START), Want::Nothing);
    assert_eq!(machine.wait(START), LONGEST_TIMER);
    let later = START + 17.0 * MINUTE + DUE_SPREAD;
    assert_eq!(machine.want(later), Want::Check);
    let ticket = machine.begin(Want::Check).unwrap();
    machine.told(ticket, due(later), later, 0.5);
    assert_eq!(machine.want(later), Want::Refresh);
}

#[test]
fn a_wrong_clock_by_a_day_either_way_changes_nothing() {
    for off in [-DAY, 0.0, DAY] {
        let now = START + off;
        let machine = after_check(fresh(START), now);
        assert_eq!(machine.want(now), Want::Nothing, "{off}");
        assert!(!machine.needs_refresh(now + 16.9 * MINUTE));
        assert!(machine.needs_refresh(now + 17.0 * MINUTE));
        assert_eq!(machine.want(now + 17.0 * MINUTE + DUE_SPREAD), Want::Check);
    }
}

#[test]
fn a_clock_that_is_set_back_makes_it_look_again() {
    let machine = after_check(fresh(START), START);
    assert_eq!(machine.want(START - DAY), Want::Check);
}

#[test]
fn it_looks_at_least_daily_however_late_the_next_refresh_is() {
    let far = Told {
        next_due: Some(START + 40.0 * DAY),
        ..fresh(START)
    };
    let machine = after_check(far, START);
    assert_eq!(machine.want(START + DAY - 1.0), Want::Nothing);
    assert_eq!(machine.want(START + DAY), Want::Check);
    assert!(machine.wait(START) <= LONGEST_TIMER);
}

#[test]
fn what_the_server_has_under_way_or_holds_back_is_waited_for() {
    let busy = Told {
        refreshing: true,
        can_refresh_at: None,
        ..due(START)
    };
    let machine = after_check(busy, START);
    assert_eq!(machine.want(START), Want::Nothing);
    assert!(machine.wait(START) >= 2.0 * SECOND);
    let resting = Told {
        can_refresh_at: Some(START + 40.0 * SECOND),
        ..due(START)
    };
    let machine = after_check(resting, START);
    assert_eq!(machine.want(START + 39.0 * SECOND), Want::Nothing);
    assert_eq!(machine.want(START + 40.0 * SECOND), Want::Check);
}

#[test]
fn only_two_answers_sign_out() {
    for (failure, standing) in [
        (status(401), Standing::SignedOut),
        (coded(409, Code::SessionExpired), Standing::Expired),
        (status(0), Standing::Open),
        (status(400), Standing::Open),
        (status(403), Standing::Open),
        (status(404), Standing::Open),
        (status(409), Standing::Open),
        (status(429), Standing::Open),
        (status(500), Standing::Open),
        (status(503), Standing::Open),
        (coded(404, Code::SessionNotFound), Standing::Open),
        (coded(409, Code::SessionUnusable), Standing::Open),
    ] {
        let mut machine = after_check(fresh(START), START);
        fail(&mut machine, failure, START);
        assert_eq!(machine.shared.standing, standing, "{failure:?}");
        assert_ne!(machine.health(START), Health::Healthy, "{failure:?}");
        if standing != Standing::Open {
            assert_eq!(machine.want(START + 30.0 * DAY), Want::Nothing, "{failure:?}");
            assert_eq!(machine.manual(START), Manual::SignIn);
        }
    }
}

#[test]
fn a_retry_after_is_a_floor_for_everybody() {
    let mut machine = after_check(due(START), START);
    let throttled = Failure {
        retry_after: Some(90.0 * SECOND),
        ..status(429)
    };
    fail(&mut machine, throttled, START);
    assert_eq!(machine.manual(START), Manual::Wait(START + 90.0 * SECOND));
    machine.ask_again();
    assert_eq!(machine.want(START + 89.0 * SECOND), Want::Nothing);
    assert_eq!(machine.manual(START + 90.0 * SECOND), Manual::Yes);
    assert_eq!(machine.want(START + 90.0 * SECOND), Want::Check);
}

#[test]
fn by_hand_the_backoff_is_skipped() {
    let mut machine = after_check(due(START), START);
    for _ in 0..4 {
        fail(&mut machine, status(503), START);
    }
    assert_eq!(machine.want(START), Want::Nothing);
    assert_eq!(machine.manual(START), Manual::Yes);
}

#[test]
fn the_breaker_opens_after_failures_in_a_row_and_a_success_closes_it() {
    let mut machine = after_check(due(START), START);
    for _ in 0..5 {
        fail(&mut machine, status(503), START);
    }
    assert_eq!(machine.want(START + BREAKER_PAUSE), Want::Nothing);
    let later = START + 2.0 * BREAKER_PAUSE;
    assert_eq!(machine.want(later), Want::Check);
    let ticket = machine.begin(Want::Check).unwrap();
    machine.told(ticket, fresh(later), later, 0.5);
    assert_eq!(
        (machine.shared.failures, machine.health(later)),
        (0, Health::Healthy)
    );
}

#[test]
fn coming_back_online_the_next_try_is_near() {
    let mut machine = after_check(due(START), START);
    for _ in 0..5 {
        fail(&mut machine, status(0), START);
    }
    machine.set_online(false, START, 0.5);
    assert_eq!(
        (machine.want(START + DAY), machine.wait(START)),
        (Want::Nothing, f64::INFINITY)
    );
    machine.set_online(true, START + MINUTE, 0.5);
    assert_eq!(machine.want(START + MINUTE + 2.0 * SECOND), Want::Check);
}

#[test]
fn a_new_sign_in_opens_what_was_closed() {
    let mut machine = after_check(fresh(START), START);
    fail(&mut machine, coded(409, Code::SessionExpired), START);
    machine.ask_again();
    assert_eq!(machine.want(START), Want::Check);
    let ticket = machine.begin(Want::Check).unwrap();
    machine.told(ticket, fresh(START), START, 0.5);
    assert_eq!(machine.health(START), Health::Healthy);
}

#[test]
fn an_answer_to_a_call_that_was_given_up_is_dropped() {
    let mut machine = Machine::new();
    let ticket = machine.begin(Want::Check).unwrap();
    machine.abandoned(ticket);
    let next = machine.begin(Want::Check).unwrap();
    assert!(!machine.told(ticket, fresh(START), START, 0.5));
    assert!(!machine.failed(ticket, status(401), START, 0.5));
    assert_eq!(
        (machine.shared.told, machine.shared.standing),
        (None, Standing::Open)
    );
    assert!(machine.told(next, fresh(START), START, 0.5));
}

#[test]
fn a_wish_to_know_outlasts_an_older_answer_and_a_call_given_up() {
    let mut machine = Machine::new();
    let ticket = machine.begin(Want::Check).unwrap();
    machine.ask_again();
    machine.told(ticket, fresh(START), START, 0.5);
    assert_eq!(machine.want(START), Want::Check);
    let ticket = machine.begin(Want::Check).unwrap();
    machine.abandoned(ticket);
    assert_eq!(machine.want(START), Want::Check);
}

#[test]
fn a_page_that_is_opened_looks_once_at_what_a_sign_in_may_have_mended() {
    for failure in [
        status(401),
        coded(409, Code::SessionExpired),
        coded(404, Code::SessionNotFound),
        coded(409, Code::SessionUnusable),
    ] {
        let mut machine = after_check(fresh(START), START);
        fail(&mut machine, failure, START);
        let mut reloaded = Machine::new();
        let kept = crate::numbers::kept(&crate::numbers::keep(&machine)).unwrap();
        assert_ne!(kept.standing, Standing::SignedOut);
        reloaded.adopt(kept, START + SECOND);
        reloaded.opened();
        let later = START + MINUTE;
        assert_eq!(reloaded.want(later), Want::Check, "{failure:?}");
        fail(&mut reloaded, failure, later);
        assert_eq!(reloaded.want(later), Want::Nothing, "{failure:?}");
    }
}

#[test]
fn a_refresh_that_the_server_has_under_way_is_looked_at_until_it_is_over() {
    let busy = Told {
        refreshing: true,
        can_refresh_at: None,
        ..fresh(START)
    };
    let machine = after_check(busy, START);
    assert_eq!(machine.manual(START), Manual::Busy);
    assert_eq!(machine.want(START + SECOND), Want::Nothing);
    assert_eq!(machine.want(START + 5.0 * SECOND), Want::Check);
    assert!(machine.wait(START) <= 5.0 * SECOND);
}

#[test]
fn an_abandoned_call_counts_as_never_made() {
    let mut machine = Machine::new();
    let ticket = machine.begin(Want::Check).unwrap();
    assert_eq!(machine.begin(Want::Refresh), None);
    machine.abandoned(ticket);
    assert_eq!(machine.want(START), Want::Check);
    assert!(!machine.told(ticket, fresh(START), START, 0.5));
}

#[test]
fn the_newer_of_two_tabs_knowledge_wins() {
    let mut one = after_check(due(START), START);
    let mut two = after_check(fresh(START + SECOND), START + SECOND);
    assert!(!two.adopt(one.shared, START + SECOND));
    assert!(one.adopt(two.shared, START + SECOND));
    assert!(!one.adopt(two.shared, START + SECOND));
    assert_eq!(one.want(START + SECOND), Want::Nothing);
}

#[test]
fn a_clock_that_was_set_back_since_a_failure_holds_nothing_up_for_ages() {
    let ahead = START + 90.0 * DAY;
    let mut future = after_check(due(START), ahead);
    let throttled = Failure {
        retry_after: Some(DAY),
        ..status(429)
    };
    fail(&mut future, throttled, ahead);
    for mut machine in [Machine::new(), future] {
        machine.adopt(future.shared, START);
        assert_eq!(
            (machine.want(START), machine.manual(START)),
            (Want::Check, Manual::Yes)
        );
        fail(&mut machine, status(503), START);
        assert_eq!(machine.want(START), Want::Nothing, "the new barrier counts");
        assert!(!machine.adopt(machine.shared, START));
    }
}

#[test]
fn a_failure_at_the_server_never_looks_healthy() {
    let told = Told {
        failed: true,
        ..fresh(START)
    };
    let machine = after_check(told, START);
    assert_eq!(machine.health(START), Health::Degraded);
    assert!(machine.needs_refresh(START));
    let exhausted = Told {
        state: State::Exhausted,
        next_due: None,
        ..told
    };
    let machine = after_check(exhausted, START);
    assert_eq!(
        (machine.health(START), machine.want(START)),
        (Health::Degraded, Want::Nothing)
    );
    assert_eq!(machine.manual(START), Manual::Yes, "a user can bring it back");
}

#[test]
fn what_is_kept_is_read_back_as_it_was_and_rubbish_is_refused() {
    let mut machine = after_check(due(START), START);
    fail(&mut machine, status(503), START);
    let kept = crate::numbers::keep(&machine);
    assert_eq!(crate::numbers::kept(&kept), Some(machine.shared));
    assert_eq!(
        crate::numbers::kept(&crate::numbers::keep(&Machine::new())),
        Some(Machine::new().shared)
    );
    for (index, rubbish) in [(0, 2.0), (1, f64::NAN), (4, 7.0), (5, -1.0), (8, f64::INFINITY)] {
        let mut changed = kept;
        changed[index] = rubbish;
        assert_eq!(crate::numbers::kept(&changed), None, "{index}");
    }
    assert_eq!(crate::numbers::kept(&kept[1..]), None);
}

#[derive(Clone, Debug)]
enum Event {
    Pass(f64),
    Ask,
    ByHand,
    AskAgain,
    Online(bool),
    Told(u8, f64),
    Failed(u16, u8, Option<f64>),
    Abandon,
    Crowded,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0.0..40.0 * MINUTE).prop_map(Event::Pass),
        6 => Just(Event::Ask),
        2 => Just(Event::ByHand),
        1 => Just(Event::AskAgain),
        1 => any::<bool>().prop_map(Event::Online),
        4 => (0_u8..6, 0.0..MINUTE).prop_map(|(kind, shift)| Event::Told(kind, shift)),
        4 => (
            prop::sample::select(vec![0, 400, 401, 403, 404, 409, 429, 500, 503]),
            0_u8..4,
            proptest::option::of(0.0..DAY),
        )
            .prop_map(|(http, code, wait)| Event::Failed(http, code, wait)),
        1 => Just(Event::Abandon),
        1 => Just(Event::Crowded),
    ]
}

fn told_of(kind: u8, server_time: f64) -> Told {
    let told = fresh(server_time);
    match kind {
        0 | 1 => told,
        2 => due(server_time),
        3 => Told {
            failed: true,
            ..due(server_time)
        },
        4 => Told {
            state: State::Expired,
            next_due: None,
            ..told
        },
        _ => Told {
            refreshing: true,
            can_refresh_at: None,
            ..due(server_time)
        },
    }
}

proptest! {
    #[test]
    fn no_sequence_of_events_breaks_the_rules(events in prop::collection::vec(event(), 1..120), off in -DAY..DAY, unit in 0.0..1.0) {
        let mut machine = Machine::new();
        let mut now = START + off;
        let mut in_flight: Option<u32> = None;
        let mut failed_last = false;
        let mut asked_again = false;
        for event in events {
            match event {
                Event::Pass(time) => now += time,
                Event::Ask => {
                    let want = machine.want(now);
                    prop_assert!(want == Want::Nothing || now >= machine.shared.floor, "a Retry-After was ignored");
                    asked_again &= want == Want::Nothing;
                    if let Some(ticket) = machine.begin(want) {
                        prop_assert!(in_flight.is_none(), "two calls in flight");
                        in_flight = Some(ticket);
                    }
                }
                Event::ByHand => {
                    if machine.manual(now) == Manual::Yes
                        && let Some(ticket) = machine.begin(Want::Refresh)
                    {
                        asked_again = false;
                        prop_assert!(in_flight.is_none(), "two calls in flight");
                        in_flight = Some(ticket);
                    }
                }
                Event::AskAgain => {
                    machine.ask_again();
                    asked_again = true;
                }
                Event::Online(online) => machine.set_online(online, now, unit),
                Event::Told(kind, shift) => {
                    if let Some(ticket) = in_flight.take() {
                        let told = told_of(kind, now - off + shift);
                        prop_assert!(machine.told(ticket, told, now, unit));
                        failed_last = told.failed || told.state == State::Expired;
                        // An answer is followed by one more call at the most, a refresh after a check.
                        if machine.want(now) != Want::Nothing && !asked_again {
                            prop_assert_eq!(machine.want(now), Want::Refresh);
                        }
                    }
                }
                Event::Failed(http, code, retry_after) => {
                    if let Some(ticket) = in_flight.take() {
                        let failure = Failure { retry_after, ..coded(http, crate::numbers::code(code.into())) };
                        prop_assert!(machine.failed(ticket, failure, now, unit));
                        if !asked_again {
                            prop_assert_eq!(machine.want(now), Want::Nothing, "a loop without delay");
                            prop_assert!(machine.wait(now) > 0.0);
                        }
                        failed_last = true;
                    }
                }
                Event::Abandon => {
                    if let Some(ticket) = in_flight.take() {
                        machine.abandoned(ticket);
                        asked_again = true;
                    }
                }
                Event::Crowded => machine.crowded(now, unit),
            }
            if failed_last {
                prop_assert_ne!(machine.health(now), Health::Healthy, "healthy after a failure");
            }
            prop_assert!(machine.wait(now) >= 0.0);
            if in_flight.is_some() {
                prop_assert_eq!(machine.want(now), Want::Nothing);
            }
        }
    }

    #[test]
    fn a_storm_of_any_failure_makes_few_calls(http in prop::sample::select(vec![0, 403, 429, 500, 503]), seed in 0_u32..1000) {
        let mut machine = Machine::new();
        let mut now = START;
        let mut calls = 0_u32;
        while now < START + 60.0 * MINUTE {
            let unit = f64::from(seed.wrapping_mul(calls.wrapping_add(1)).wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
            if machine.want(now) == Want::Nothing {
                now += machine.wait(now).max(1.0);
            } else {
                let want = machine.want(now);
                let ticket = machine.begin(want).unwrap();
                machine.failed(ticket, status(http), now, unit);
                calls += 1;
            }
        }
        prop_assert!(calls <= 18, "{calls} calls in an hour");
    }
}
