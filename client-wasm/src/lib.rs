//! The browser's side of keeping an aimharder session alive: when to ask the Worker, and what its answers mean.
//!
//! [`machine`] decides, and knows nothing of a browser. [`Core`] hands it to JavaScript, in numbers alone: texts and
//! objects at this border cost several times what all decisions take (see `README.md`, "What it weighs").
//! Fetching, timers, locks and storage are JavaScript's, in `js`.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may panic"))]

pub mod machine;

mod numbers;

use wasm_bindgen::prelude::wasm_bindgen;

use machine::{Failure, Machine, Manual, Want};

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// One user's session, for JavaScript. Not part of the package's interface: its shape changes without notice.
///
/// Times are milliseconds since the epoch, `now` by the browser's clock, `unit` is random from 0 up to 1, and `NaN`
/// stands for what is absent. The numbers of states and the like are the places in the lists of `js/core.ts`. What is
/// more than a number goes through a window, place by place: an array would bring an allocator's worth of code.
#[wasm_bindgen]
#[derive(Default)]
pub struct Core {
    machine: Machine,
    window: [f64; numbers::WINDOW],
}

#[wasm_bindgen]
impl Core {
    /// Knows nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes to the window.
    pub fn set(&mut self, place: usize, number: f64) {
        if let Some(slot) = self.window.get_mut(place) {
            *slot = number;
        }
    }

    /// Reads from the window.
    pub fn get(&self, place: usize) -> f64 {
        self.window.get(place).copied().unwrap_or(f64::NAN)
    }

    /// What to ask now: 0 nothing, 1 a check, 2 a refresh.
    pub fn want(&self, now: f64) -> u32 {
        self.machine.want(now) as u32
    }

    /// How long until something could be wanted or look different, in milliseconds; infinite for never.
    pub fn wait(&self, now: f64) -> f64 {
        self.machine.wait(now)
    }

    /// A call starts; answers its ticket, or 0 if one is under way already.
    pub fn begin(&mut self, refresh: bool) -> u32 {
        let want = if refresh { Want::Refresh } else { Want::Check };
        self.machine.begin(want).unwrap_or(0)
    }

    /// The call was answered. In the window: server's time, last refresh, next due, when by hand, count, state, under
    /// way, failed. Answers whether it still counts.
    pub fn told(&mut self, ticket: u32, now: f64, unit: f64) -> bool {
        numbers::told(&self.window).is_some_and(|told| self.machine.told(ticket, told, now, unit))
    }

    /// The call failed, with this HTTP status (0 for none) and code (0 any, 1 session expired, 2 not found,
    /// 3 unusable). Answers whether it still counts.
    #[expect(clippy::too_many_arguments, reason = "numbers alone cross the border cheaply")]
    pub fn failed(
        &mut self,
        ticket: u32,
        status: u16,
        code: u32,
        retry_after: f64,
        server_time: f64,
        now: f64,
        unit: f64,
    ) -> bool {
        let failure = Failure {
            status,
            code: numbers::code(code),
            retry_after: numbers::some(retry_after),
            server_time: numbers::some(server_time),
        };
        self.machine.failed(ticket, failure, now, unit)
    }

    /// The call was given up, by an unmount say.
    pub fn abandoned(&mut self, ticket: u32) {
        self.machine.abandoned(ticket);
    }

    /// No turn could be had within bounds.
    pub fn crowded(&mut self, now: f64, unit: f64) {
        self.machine.crowded(now, unit);
    }

    /// Whether the browser has a network.
    pub fn online(&mut self, online: bool, now: f64, unit: f64) {
        self.machine.set_online(online, now, unit);
    }

    /// Whether a refresh by hand is possible; why not is in the view.
    #[wasm_bindgen(js_name = canRefresh)]
    pub fn can_refresh(&self, now: f64) -> bool {
        self.machine.manual(now) == Manual::Yes
    }

    /// A check is wanted now, due or not.
    #[wasm_bindgen(js_name = askAgain)]
    pub fn ask_again(&mut self) {
        self.machine.ask_again();
    }

    /// A page was opened.
    pub fn opened(&mut self) {
        self.machine.opened();
    }

    /// Puts into the window how it looks: state, health, needs a refresh, is refreshing, last refresh, next due, count,
    /// when by hand, next try after trouble, the server's clock less the browser's. Times are the server's.
    pub fn view(&mut self, now: f64) {
        self.window = numbers::view(&self.machine, now);
    }

    /// Puts into the window what other tabs, and this one after a reload, should know.
    pub fn keep(&mut self) {
        self.window = numbers::keep(&self.machine);
    }

    /// Takes that over from the window, if it is newer. Answers whether it was.
    pub fn adopt(&mut self, now: f64) -> bool {
        numbers::kept(&self.window).is_some_and(|shared| self.machine.adopt(shared, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_through_the_window() {
        let mut core = Core::new();
        let ticket = core.begin(false);
        let told = [1_000.0, f64::NAN, 9_000.0, 900.0, 3.0, 1.0, 0.0, 0.0];
        for (place, number) in told.into_iter().enumerate() {
            core.set(place, number);
        }
        assert!(core.told(ticket, 1_000.0, 0.5));
        core.view(1_000.0);
        let view: Vec<_> = (0..10).map(|place| core.get(place)).collect();
        assert_eq!(
            format!("{view:?}"),
            "[1.0, 1.0, 0.0, 0.0, NaN, 9000.0, 3.0, 0.0, NaN, 0.0]"
        );
    }
}
