//! aimharder.com: sessions with a hidden life, of whose tokens it may take the latest alone.

use fastrand::Rng;
use session_core::token::RefreshToken;

use super::{
    settings::{MINUTE, Rotation},
    weather::{Kind, Weather},
};
use crate::model::{Id, Moment, SECOND};

/// How long a replaced token is taken still, where it is.
const GRACE: Moment = 3 * MINUTE;

/// A session as upstream knows it: each sign-in makes one.
pub(super) struct Real {
    pub(super) row: Id,
    /// The token that it handed out last.
    pub(super) generation: u64,
    rotated_at: Moment,
    pub(super) alive_at: Moment,
    /// How long it lives after its last sign of life.
    pub(super) life: Moment,
    /// Its user signed out.
    pub(super) ended: bool,
    /// Calls that present it, as their Workers see it.
    pub(super) open: u32,
    /// Its death was looked into.
    pub(super) judged: bool,
}

pub(super) struct Upstream {
    pub(super) reals: Vec<Real>,
    rotation: Rotation,
    /// Calls under way, as their Workers see it.
    pub(super) open: u32,
}

/// What a call presents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented {
    pub(super) real: usize,
    pub(super) generation: u64,
}

impl Presented {
    pub(super) fn text(self) -> String {
        format!("1|1766731601|{:016x}{:016x}", self.real, self.generation)
    }

    pub(super) fn of(token: &str) -> Self {
        let digits = token.rsplit('|').next().unwrap_or_default();
        let number = u128::from_str_radix(digits, 16).expect("a token of this world");
        Self {
            real: (number >> 64) as usize,
            generation: number as u64,
        }
    }

    pub(super) fn token(self) -> RefreshToken {
        RefreshToken::parse(&self.text()).expect("a token of the documented shape")
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Refreshed(Presented),
    /// It says that the session is over.
    SignIn,
    Throttled(Option<u64>),
    Refused,
    Fault(Option<u64>),
    /// The connection broke.
    Broken,
    Unrecognised,
    TimedOut,
}

/// How a call fares, decided when it begins.
pub(super) struct Course {
    /// When upstream gets to it, if ever.
    pub(super) arrives_in: Moment,
    pub(super) answer_takes: Moment,
    /// The answer gets lost on its way.
    pub(super) lost: bool,
}

impl Course {
    pub(super) fn of(weather: &Weather, rng: &mut Rng) -> Self {
        let slow = weather.find(|kind| (kind == Kind::Slow).then_some(())).is_some();
        let hangs = weather
            .find(|kind| matches!(kind, Kind::Down { hangs: true, .. }).then_some(()))
            .is_some();
        let mut takes = if slow {
            rng.i64(SECOND..8 * SECOND)
        } else {
            150_000 + (rng.f64().powi(4) * 1_500_000.0) as Moment
        };
        if hangs || rng.u32(..2000) == 0 {
            takes += rng.i64(5 * SECOND..40 * SECOND);
        }
        let arrives_in = (takes as f64 * rng.f64()) as Moment;
        Self {
            arrives_in,
            answer_takes: takes - arrives_in,
            lost: rng.u32(..3000) == 0,
        }
    }
}

impl Upstream {
    pub(super) fn new(rotation: Rotation) -> Self {
        Self {
            reals: Vec::new(),
            rotation,
            open: 0,
        }
    }

    pub(super) fn sign_in(&mut self, row: Id, moment: Moment, rng: &mut Rng) -> Presented {
        self.reals.push(Real {
            row,
            generation: 0,
            rotated_at: moment,
            alive_at: moment,
            life: rng.i64(30 * MINUTE..90 * MINUTE),
            ended: false,
            open: 0,
            judged: false,
        });
        Presented {
            real: self.reals.len() - 1,
            generation: 0,
        }
    }

    /// What comes of a call when upstream gets to it.
    pub(super) fn answer(
        &mut self,
        call: Presented,
        moment: Moment,
        weather: &Weather,
        rng: &mut Rng,
    ) -> Answer {
        let unit = rng.f64();
        let down = weather.find(|kind| match kind {
            Kind::Down {
                hangs: false,
                retry_after,
            } if unit < 0.5 => Some(Answer::Fault(retry_after)),
            Kind::Down { hangs: false, .. } => Some(Answer::Broken),
            // It may have done its part before its answer came too late.
            Kind::Down { hangs: true, .. } if unit < 0.7 => Some(Answer::Fault(None)),
            _ => None,
        });
        let odd = weather.find(|kind| match kind {
            Kind::Storm { share, retry_after } if unit < share => Some(Answer::Throttled(retry_after)),
            Kind::Odd { refuses: true } => Some(Answer::Refused),
            Kind::Odd { refuses: false } => Some(Answer::Unrecognised),
            Kind::SignsAllOut => Some(Answer::SignIn),
            _ => None,
        });
        if let Some(answer) = down.or(odd) {
            return answer;
        }
        match rng.u32(..10_000) {
            0..20 => Answer::Fault(None),
            20..30 => Answer::Throttled(rng.bool().then_some(30)),
            30..35 => Answer::Unrecognised,
            35..38 => Answer::Refused,
            _ => self.refresh(call, moment),
        }
    }

    fn refresh(&mut self, call: Presented, moment: Moment) -> Answer {
        let takes = self.takes(call, moment) && self.lives(call.real, moment);
        let rotates = self.rotation != Rotation::Never;
        let real = &mut self.reals[call.real];
        if !takes {
            return Answer::SignIn;
        }
        real.alive_at = moment;
        if rotates {
            real.generation += 1;
            real.rotated_at = moment;
        }
        Answer::Refreshed(Presented {
            real: call.real,
            generation: real.generation,
        })
    }

    pub(super) fn lives(&self, real: usize, moment: Moment) -> bool {
        let real = &self.reals[real];
        !real.ended && moment <= real.alive_at + real.life
    }

    /// Whether it would take this token, the session's life apart.
    pub(super) fn takes(&self, call: Presented, moment: Moment) -> bool {
        let real = &self.reals[call.real];
        let replaced = self.rotation == Rotation::Grace
            && call.generation + 1 == real.generation
            && moment < real.rotated_at + GRACE;
        call.generation == real.generation || replaced
    }
}
