//! Plots as SVG, of our own making: shapes are placed in percent of the width, so that a plot is as wide as its place while
//! its text stays as large as the page's. No styles inside: a strict CSP forbids them.

use maud::{Markup, html};

use super::words::number;

/// Where the plot's area begins, and how high it is, in pixels.
const TOP: f64 = 26.0;
const HEIGHT: f64 = 150.0;

/// What is seen is at least so high: one failure among a million successes.
const LEAST: f64 = 2.5;

/// How things look: a colour, and a pattern for whoever can't tell colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As it should be.
    Good,
    /// Over.
    Over,
    /// Upstream's trouble.
    Theirs,
    /// Not understood.
    Odd,
    /// Our own trouble.
    Ours,
}

impl Look {
    const ALL: [Self; 5] = [Self::Good, Self::Over, Self::Theirs, Self::Odd, Self::Ours];

    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Over => "over",
            Self::Theirs => "theirs",
            Self::Odd => "odd",
            Self::Ours => "ours",
        }
    }

    /// What is drawn over the colour, on a tile of 6 by 6.
    const fn strokes(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Over => "M-1 7 7 -1 M-1 1 1 -1 M5 7 7 5",
            Self::Theirs => "M0 3H6",
            Self::Odd => "M0 3H6 M3 0V6",
            Self::Ours => "M3 0V6",
        }
    }
}

/// The patterns that all plots of a page draw with.
pub(super) fn patterns() -> Markup {
    html! {
        svg.patterns width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                @for look in Look::ALL {
                    pattern id={ "look-" (look.name()) } width="6" height="6" patternUnits="userSpaceOnUse" {
                        rect class={ "fill-" (look.name()) } width="6" height="6" {}
                        path.strokes d=(look.strokes()) {}
                    }
                }
            }
        }
    }
}

/// The scale of a plot's height: up to `most`, with a line at each multiple of `step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    most: f64,
    step: f64,
}

impl Scale {
    /// A scale that `most` fits on, with two to four round steps.
    pub(super) fn up_to(most: f64) -> Self {
        let most = most.max(4.0);
        let rough = most / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        // Counts have no halves.
        let round = [1.0, 2.0, if power < 10.0 { 5.0 } else { 2.5 }, 5.0, 10.0];
        let mut steps = round.into_iter().map(|times| times * power);
        let step = steps.find(|step| *step >= rough).unwrap_or(rough);
        Self {
            most: (most / step).ceil() * step,
            step,
        }
    }

    fn y(self, value: f64) -> f64 {
        TOP + HEIGHT * (1.0 - value / self.most)
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        let lines = (0_u32..=10).map(move |index| f64::from(index) * self.step);
        lines.take_while(move |value| *value <= self.most * 1.001)
    }
}

/// A label below the plot, at a share of its width.
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: String,
    /// Left out where there is little room.
    pub(super) minor: bool,
}

/// A plot and what is told of it in words.
pub(super) struct Plot<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// What it shows, for those who don't see it, and those who do.
    pub(super) summary: String,
    /// What its height and its width stand for.
    pub(super) axes: [&'a str; 2],
    pub(super) scale: Scale,
    /// Writes a value of the scale.
    pub(super) write: fn(f64) -> String,
    pub(super) ticks: Vec<Tick>,
    pub(super) shapes: Markup,
    pub(super) legend: Markup,
    /// Below it.
    pub(super) numbers: Markup,
    pub(super) wide: bool,
}

impl<'a> Plot<'a> {
    /// A narrow plot of counts, without anything in it.
    pub(super) fn new(id: &'a str, title: &'a str, scale: Scale) -> Self {
        Self {
            id,
            title,
            summary: String::new(),
            axes: ["", "UTC"],
            scale,
            write: round,
            ticks: Vec::new(),
            shapes: html! {},
            legend: html! {},
            numbers: html! {},
            wide: false,
        }
    }

    /// The plot as a figure.
    pub(super) fn figure(&self) -> Markup {
        let (title, summary) = (format!("{}-title", self.id), format!("{}-summary", self.id));
        html! {
            figure.card.wide[self.wide] id=(self.id) {
                figcaption {
                    h3 id=(title) { (self.title) }
                    p.quiet id=(summary) { (self.summary) }
                }
                div.plot {
                    svg role="img" aria-labelledby={ (title) " " (summary) } width="100%" height="208" {
                        (self.grid())
                        (self.shapes)
                    }
                }
                ul.legend { (self.legend) }
                (self.numbers)
            }
        }
    }

    fn grid(&self) -> Markup {
        let [height, width] = self.axes;
        html! {
            text.axis x="-44" y="12" { (height) }
            text.axis x="100%" y="12" text-anchor="end" { (width) }
            @for value in self.scale.ticks() {
                line.grid x1="0" x2="100%" y1=(pixels(self.scale.y(value))) y2=(pixels(self.scale.y(value))) {}
                text.tick x="-6" y=(pixels(self.scale.y(value) + 4.0)) text-anchor="end" { ((self.write)(value)) }
            }
            @for tick in &self.ticks {
                text.tick.minor[tick.minor] x=(percent(tick.at)) y=(pixels(TOP + HEIGHT + 18.0)) text-anchor="middle" {
                    (tick.text)
                }
            }
        }
    }
}

/// A figure without anything to draw.
pub(super) fn nothing(id: &str, title: &str, text: &str, wide: bool) -> Markup {
    html! {
        figure.card.wide[wide] id=(id) {
            figcaption { h3 { (title) } }
            p.nothing { (text) }
        }
    }
}

/// A bar, from and to shares of the width, of parts upon each other.
pub(super) struct Bar {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) parts: Vec<(Look, f64)>,
    /// Shown to whoever points at it.
    pub(super) hint: String,
}

/// Bars, the first part at the bottom.
pub(super) fn bars(bars: &[Bar], scale: Scale) -> Markup {
    html! { @for bar in bars { g { title { (bar.hint) } (parts(bar, scale)) } } }
}

fn parts(bar: &Bar, scale: Scale) -> Markup {
    // A small gap tells neighbours apart.
    let width = ((bar.to - bar.from) * 0.88).max(0.0005);
    let mut bottom = TOP + HEIGHT;
    html! {
        @for (look, value) in bar.parts.iter().filter(|(_, value)| *value > 0.0) {
            @let height = (HEIGHT * value / scale.most).max(LEAST);
            @let () = bottom -= height;
            rect x=(percent(bar.from)) width=(percent(width)) y=(pixels(bottom)) height=(pixels(height))
                fill={ "url(#look-" (look.name()) ")" } {}
        }
    }
}

/// A line through points (share of the width, value), broken where more than `gap` is between two of them.
pub(super) fn line(points: &[(f64, f64)], gap: f64, scale: Scale, class: &str) -> Markup {
    html! {
        svg x="0" y=(pixels(TOP)) width="100%" height=(pixels(HEIGHT)) viewBox={ "0 0 1000 " (pixels(HEIGHT)) }
            preserveAspectRatio="none" overflow="visible" {
            @for piece in points.chunk_by(|one, next| next.0 - one.0 <= gap) {
                polyline.line.(class) vector-effect="non-scaling-stroke" points=(path(piece, scale)) {}
            }
        }
    }
}

fn path(piece: &[(f64, f64)], scale: Scale) -> String {
    let point = |(x, value): &(f64, f64), more: f64| {
        let y = scale.y(value.min(scale.most)) - TOP;
        format!("{:.1},{y:.1}", x * 1_000.0 + more)
    };
    let mut points: Vec<_> = piece.iter().map(|place| point(place, 0.0)).collect();
    // A single point would be drawn as nothing.
    if let [only] = piece {
        points.push(point(only, 3.0));
    }
    points.join(" ")
}

/// A level that matters, across the plot, with its name.
pub(super) fn level(value: f64, scale: Scale, name: &str) -> Markup {
    let y = scale.y(value);
    html! {
        line.mark x1="0" x2="100%" y1=(pixels(y)) y2=(pixels(y)) {}
        text.marked x="100%" y=(pixels(y - 5.0)) text-anchor="end" { (name) }
    }
}

/// A place on the width that matters, with its name; those of other rows are written below each other.
pub(super) fn place(at: f64, row: u32, name: &str) -> Markup {
    let y = TOP + 11.0 + f64::from(row) * 15.0;
    let (anchor, x) = if at > 0.55 {
        ("end", at - 0.012)
    } else {
        ("start", at + 0.012)
    };
    html! {
        line.mark x1=(percent(at)) x2=(percent(at)) y1=(pixels(TOP)) y2=(pixels(TOP + HEIGHT)) {}
        text.marked x=(percent(x)) y=(pixels(y)) text-anchor=(anchor) { (name) }
    }
}

/// An entry of a legend.
pub(super) fn entry(look: Look, text: &str) -> Markup {
    html! {
        li {
            svg width="14" height="14" aria-hidden="true" focusable="false" {
                rect width="14" height="14" rx="2" fill={ "url(#look-" (look.name()) ")" } {}
            }
            (text)
        }
    }
}

/// An entry of a legend for a line.
pub(super) fn line_entry(class: &str, text: &str) -> Markup {
    html! {
        li {
            svg width="24" height="14" aria-hidden="true" focusable="false" {
                line.line.(class) x1="0" x2="24" y1="7" y2="7" {}
            }
            (text)
        }
    }
}

/// Seconds as minutes, to draw.
pub(super) fn minutes(seconds: u32) -> f64 {
    f64::from(seconds) / 60.0
}

/// A count, as a label: short, so that it fits beside the plot.
pub(super) fn round(value: f64) -> String {
    match value {
        10_000_000.0.. => format!("{}M", number(positive(value / 1e6))),
        1_000_000.0.. => format!("{:.1}M", value / 1e6),
        10_000.0.. => format!("{}k", positive(value / 1e3)),
        _ => number(positive(value)),
    }
}

/// To the nearest whole number, from 0 on.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is rounded on purpose"
)]
pub(super) const fn positive(value: f64) -> u64 {
    value.round() as u64
}

/// A count, to draw.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts are far below 2^52, and only drawn"
)]
pub(super) const fn whole(count: u64) -> f64 {
    count as f64
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

fn pixels(length: f64) -> String {
    format!("{length:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_round_steps_and_room_for_the_most() {
        for (most, top, step) in [
            (0.0, 4.0, 1.0),
            (7.0, 8.0, 2.0),
            (1_204.0, 1_500.0, 500.0),
            (95.0, 100.0, 25.0),
        ] {
            let scale = Scale::up_to(most);
            assert_eq!((scale.most, scale.step), (top, step), "{most}");
        }
    }

    #[test]
    fn labels_of_great_counts_are_short() {
        for (value, text) in [
            (1_500.0, "1,500"),
            (150_000.0, "150k"),
            (2_500_000.0, "2.5M"),
            (5e7, "50M"),
        ] {
            assert_eq!(round(value), text);
        }
    }

    #[test]
    fn one_failure_among_a_million_is_seen() {
        let bar = Bar {
            from: 0.0,
            to: 0.1,
            parts: vec![(Look::Over, 1.0), (Look::Good, 1_000_000.0)],
            hint: String::new(),
        };
        let svg = bars(&[bar], Scale::up_to(1_000_001.0)).into_string();
        assert!(svg.contains(r#"height="2.5" fill="url(#look-over)""#), "{svg}");
    }

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let points = [(0.0, 1.0), (0.1, 2.0), (0.6, 1.0)];
        let svg = line(&points, 0.2, Scale::up_to(4.0), "first").into_string();
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
    }
}
