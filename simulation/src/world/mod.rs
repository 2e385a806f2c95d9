//! A discrete-event simulation: Workers that drive the product's batches, the model of the database, an upstream with
//! moods, users, and a clock that jumps from event to event.

mod attempt;
mod checks;
mod errand;
mod people;
mod settings;
mod upstream;
mod weather;
mod worker;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
};

use fastrand::Rng;
use session_core::session::ClaimedRow;

use crate::model::{Database, Id, Moment, SECOND};
use attempt::Refresh;
use checks::Checks;
pub use checks::Counts;
use errand::{Errand, Reply};
use people::People;
pub use settings::Scale;
use settings::{MINUTE, Settings};
use upstream::{Answer, Presented, Upstream};
use weather::{Kind, Weather};
use worker::{Task, Worker};

/// 2026-12-01T00:00:00Z.
const START: Moment = 1_796_083_200 * SECOND;

/// What happens at a moment.
enum Event {
    /// The cron's minute.
    Minute,
    Start(Task),
    /// A Worker's timer.
    Turn(Id),
    /// A user's Worker asks the database again.
    Ask(Id, Id),
    /// Its session's turn has come.
    Begin(Id, Box<ClaimedRow>),
    Asked(Id, bool, Box<Errand>),
    Replied(Id, bool, Box<Errand>, Box<Reply>),
    Resend(Id, bool, Box<Errand>),
    Arrives(Id, Box<Refresh>, Moment, Moment, bool),
    Ghost(Presented),
    Answered(Id, Box<Refresh>, Answer),
    CallAgain(Id, Box<Refresh>),
    Insert,
    SignIn(Id),
    Enable(Id),
    Deed,
    WishedFor(Id, Moment),
    Look,
}

struct Scheduled {
    at: Moment,
    number: u64,
    event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

struct World {
    settings: Settings,
    rng: Rng,
    moment: Moment,
    events: BinaryHeap<Scheduled>,
    scheduled: u64,
    database: Database,
    upstream: Upstream,
    weather: Weather,
    workers: BTreeMap<Id, Worker>,
    workers_made: u64,
    people: People,
    checks: Checks,
    counts: Counts,
}

/// Plays one world to its end. The error says what must never happen and did, and when.
pub fn play(seed: u64, scale: Scale) -> Result<Counts, String> {
    let mut rng = Rng::with_seed(seed);
    let settings = Settings::of(&mut rng, scale);
    let weather = Weather::of(&mut rng, &settings, START);
    let end = START + settings.lasts;
    let mut world = World {
        database: Database::new(settings.policy),
        upstream: Upstream::new(settings.rotation),
        people: People::default(),
        checks: Checks::default(),
        counts: Counts::default(),
        moment: START,
        events: BinaryHeap::new(),
        scheduled: 0,
        workers: BTreeMap::new(),
        workers_made: 0,
        settings,
        rng,
        weather,
    };
    world.begin_all();
    while let Some(next) = world.events.pop() {
        if next.at > end {
            break;
        }
        world.moment = next.at;
        world.weather.advance(next.at);
        world.happen(next.event);
        if let Some(found) = world.checks.take() {
            let seconds = (world.moment - START) / SECOND;
            let (weather, settings) = (world.weather.now(), &world.settings);
            return Err(format!(
                "{found}, {seconds} s after the start of {settings:?}, amid {weather:?}"
            ));
        }
    }
    Ok(world.counts)
}

impl World {
    fn at(&mut self, at: Moment, event: Event) {
        self.scheduled += 1;
        let number = self.scheduled;
        self.events.push(Scheduled { at, number, event });
    }

    fn begin_all(&mut self) {
        for _ in 0..self.settings.sessions {
            let at = START + self.rng.i64(0..20 * MINUTE);
            self.at(at, Event::Insert);
        }
        self.at(START, Event::Minute);
        self.at(START + MINUTE, Event::Look);
        self.at(START + MINUTE, Event::Deed);
    }

    fn happen(&mut self, event: Event) {
        self.counts.events += 1;
        match event {
            Event::Minute => self.minute(),
            Event::Start(task) => {
                if self
                    .weather
                    .find(|kind| (kind == Kind::NoCron).then_some(()))
                    .is_none()
                {
                    self.start(task);
                }
            }
            Event::Turn(name) => self.turn(name),
            Event::Ask(name, row) => self.ask_again(name, row),
            Event::Begin(name, row) => self.begin(name, *row),
            Event::Asked(name, has_run, errand) => self.asked(name, has_run, errand),
            Event::Replied(name, has_run, errand, reply) => self.replied(name, has_run, *errand, *reply),
            Event::Resend(name, has_run, errand) => self.resend(name, has_run, *errand),
            Event::Arrives(name, refresh, takes, until, lost) => {
                self.arrives(name, refresh, takes, until, lost);
            }
            Event::Ghost(call) => self.ghost(call),
            Event::Answered(name, refresh, answer) => self.answered(name, refresh, answer),
            Event::CallAgain(name, refresh) => self.call_again(name, refresh),
            Event::Insert => self.insert(),
            Event::SignIn(row) => self.sign_in(row),
            Event::Enable(row) => self.enable(row),
            Event::Deed => self.deed(),
            Event::WishedFor(row, fresh_at) => self.check_wish(row, fresh_at),
            Event::Look => self.look(),
        }
    }

    /// Ticks come late, twice, or not at all; a run may overlap the next.
    fn minute(&mut self) {
        self.at(self.moment + MINUTE, Event::Minute);
        let (copies, late) = match self.rng.u32(..100) {
            0 => (0, SECOND),
            1 => (2, SECOND),
            2..6 => (1, 50 * SECOND),
            _ => (1, 5 * SECOND),
        };
        for _ in 0..copies {
            let at = self.moment + self.rng.i64(0..late);
            self.at(at, Event::Start(Task::Tick));
        }
    }
}
