//! The client's core as it is, and with one thing more: what would cross to JavaScript if a package carried it.

#![allow(missing_docs, reason = "a measurement, not an interface")]

#[path = "../../../client-wasm/src/lib.rs"]
mod client;

use client::machine;

#[cfg(any(feature = "js-sys", feature = "serde"))]
use client::Core;
#[cfg(any(feature = "js-sys", feature = "timers", feature = "serde"))]
use wasm_bindgen::prelude::*;

#[cfg(not(feature = "talc"))]
extern crate self as talc;

/// In talc's place, Rust's own allocator.
#[cfg(not(feature = "talc"))]
pub mod wasm {
    pub type WasmDynamicTalc = std::alloc::System;

    pub const fn new_wasm_dynamic_allocator() -> WasmDynamicTalc {
        std::alloc::System
    }
}

/// The view as an array, and the time by itself.
#[cfg(feature = "js-sys")]
#[wasm_bindgen]
impl Core {
    #[wasm_bindgen(js_name = viewArray)]
    pub fn view_array(&mut self, now: f64) -> js_sys::Array {
        self.view(now);
        (0..10).map(|place| JsValue::from_f64(self.get(place))).collect()
    }

    #[wasm_bindgen(js_name = nowByItself)]
    pub fn now_by_itself() -> f64 {
        js_sys::Date::now()
    }
}

/// A timer that calls back, and ends when it is freed.
#[cfg(feature = "timers")]
mod timers {
    use gloo_timers::callback::Timeout;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen]
    pub struct Timer(#[expect(dead_code, reason = "it is cancelled when it is dropped")] Timeout);

    #[wasm_bindgen]
    impl Timer {
        #[wasm_bindgen(constructor)]
        pub fn new(wait: u32, call: js_sys::Function) -> Self {
            Self(Timeout::new(wait, move || {
                let _ = call.call0(&JsValue::NULL);
            }))
        }
    }
}

/// The view as an object, and an answer as the Worker's JSON has it, its times as numbers.
#[cfg(feature = "serde")]
mod objects {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View {
        state: f64,
        health: f64,
        needs_refresh: bool,
        is_refreshing: bool,
        last_refresh: f64,
        next_due: f64,
        count: f64,
        by_hand: f64,
        next_try: f64,
        clock_offset: f64,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        server_time: f64,
        last_refresh: Option<f64>,
        next_due: Option<f64>,
        can_refresh_at: Option<f64>,
        refresh_count: u32,
        state: String,
        is_refreshing: bool,
        failed: bool,
    }

    #[wasm_bindgen]
    impl Core {
        #[wasm_bindgen(js_name = viewObject)]
        pub fn view_object(&mut self, now: f64) -> JsValue {
            self.view(now);
            let view = View {
                state: self.get(0),
                health: self.get(1),
                needs_refresh: self.get(2) == 1.0,
                is_refreshing: self.get(3) == 1.0,
                last_refresh: self.get(4),
                next_due: self.get(5),
                count: self.get(6),
                by_hand: self.get(7),
                next_try: self.get(8),
                clock_offset: self.get(9),
            };
            serde_wasm_bindgen::to_value(&view).unwrap_or_default()
        }

        #[wasm_bindgen(js_name = toldObject)]
        pub fn told_object(&mut self, ticket: u32, answer: JsValue, now: f64, unit: f64) -> bool {
            let Ok(answer) = serde_wasm_bindgen::from_value::<Answer>(answer) else {
                return false;
            };
            for (place, number) in numbers(&answer).into_iter().enumerate() {
                self.set(place, number);
            }
            self.told(ticket, now, unit)
        }
    }

    fn numbers(answer: &Answer) -> [f64; 8] {
        let state = match answer.state.as_str() {
            "active" => 1.0,
            "expired" => 2.0,
            "exhausted" => 3.0,
            _ => f64::NAN,
        };
        [
            answer.server_time,
            answer.last_refresh.unwrap_or(f64::NAN),
            answer.next_due.unwrap_or(f64::NAN),
            answer.can_refresh_at.unwrap_or(f64::NAN),
            f64::from(answer.refresh_count),
            state,
            f64::from(u8::from(answer.is_refreshing)),
            f64::from(u8::from(answer.failed)),
        ]
    }
}
