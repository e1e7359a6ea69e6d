//! Bars and lines, drawn.

use std::fmt::Write as _;

use super::text::{escaped, short};

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 226.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 34.0;
/// The widest that a bar gets.
const WIDEST: f64 = 34.0;

/// A bar, or a point of a line.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    /// How it is coloured.
    pub(super) class: String,
    pub(super) value: f64,
    /// What it says when it is pointed at.
    pub(super) says: String,
}

/// A chart's caption and unit.
#[derive(Debug, Clone)]
pub(super) struct Caption {
    pub(super) title: String,
    pub(super) unit: &'static str,
}

/// Groups of bars side by side, each group with its label below.
pub(super) fn bars(caption: &Caption, groups: &[(String, Vec<Mark>)]) -> String {
    let values = groups
        .iter()
        .flat_map(|(_, marks)| marks)
        .map(|mark| mark.value);
    let scale = Scale::to(values.fold(0.0, f64::max));
    let mut svg = open(caption);
    scale.draw(&mut svg);
    let share = (WIDTH - LEFT - RIGHT) / groups.len().max(1) as f64;
    for (index, (label, marks)) in groups.iter().enumerate() {
        let middle = LEFT + share * (index as f64 + 0.5);
        let wide = (share * 0.78 / marks.len().max(1) as f64).min(WIDEST);
        let mut x = middle - wide * marks.len() as f64 / 2.0;
        for mark in marks {
            let y = scale.y(mark.value);
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"><title>{}</title></rect>",
                mark.class,
                x + 1.0,
                (wide - 2.0).max(1.0),
                (HEIGHT - BOTTOM - y).max(1.0),
                escaped(&mark.says)
            );
            x += wide;
        }
        label_below(&mut svg, middle, label);
    }
    svg.push_str("</svg>");
    svg
}

/// Lines over the same steps, which have their labels below, and perhaps a line not to be crossed.
pub(super) fn lines(
    caption: &Caption,
    labels: &[String],
    lines: &[Vec<Option<Mark>>],
    limit: Option<f64>,
) -> String {
    let values = lines.iter().flatten().flatten().map(|mark| mark.value);
    let scale = Scale::to(values.chain(limit).fold(0.0, f64::max));
    let mut svg = open(caption);
    scale.draw(&mut svg);
    let share = (WIDTH - LEFT - RIGHT) / labels.len().max(1) as f64;
    let x = |index: usize| LEFT + share * (index as f64 + 0.5);
    if let Some(limit) = limit {
        let y = scale.y(limit);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        );
    }
    for (index, label) in labels.iter().enumerate() {
        label_below(&mut svg, x(index), label);
    }
    for line in lines {
        let marks: Vec<_> = line
            .iter()
            .enumerate()
            .filter_map(|(index, mark)| Some((x(index), mark.as_ref()?)))
            .collect();
        let Some((_, first)) = marks.first() else {
            continue;
        };
        let points: Vec<_> = marks
            .iter()
            .map(|(x, mark)| format!("{x:.1},{:.1}", scale.y(mark.value)))
            .collect();
        let _ = write!(
            svg,
            "<polyline class=\"{}\" points=\"{}\"/>",
            first.class,
            points.join(" ")
        );
        for (x, mark) in marks {
            let _ = write!(
                svg,
                "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}</title></circle>",
                mark.class,
                scale.y(mark.value),
                escaped(&mark.says)
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

fn open(caption: &Caption) -> String {
    let title = escaped(&caption.title);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\
         <text class=\"title\" x=\"4\" y=\"14\">{title}</text>\
         <text class=\"unit\" x=\"4\" y=\"28\">{}</text>",
        escaped(caption.unit)
    )
}

/// In two lines if it is of two words.
fn label_below(svg: &mut String, x: f64, label: &str) {
    let words = match label.split_once('-') {
        Some((first, second)) => vec![first, second],
        None => vec![label],
    };
    for (word, y) in words.into_iter().zip([HEIGHT - 20.0, HEIGHT - 8.0]) {
        let word = escaped(word);
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\">{word}</text>"
        );
    }
}

/// From values to heights.
struct Scale {
    step: f64,
    top: f64,
}

impl Scale {
    /// From zero to at least this, in round steps.
    fn to(most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / 4.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let nice = [1.0, 2.0, 2.5, 5.0, 10.0];
        let step = nice.into_iter().map(|nice| nice * magnitude);
        let step = step
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let top = (most / step).ceil() * step;
        Self { step, top }
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value / self.top).clamp(0.0, 1.0)
    }

    fn draw(&self, svg: &mut String) {
        let steps = (self.top / self.step).round() as u32;
        for index in 0..=steps {
            let value = f64::from(index) * self.step;
            let y = self.y(value);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 5.0,
                y + 3.5,
                short(value)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_steps() {
        for (most, step, top) in [
            (36_600.0, 10_000.0, 40_000.0),
            (0.9, 0.25, 1.0),
            (4.0, 1.0, 4.0),
            (0.0, 0.25, 1.0),
        ] {
            let scale = Scale::to(most);
            assert!(
                (scale.step - step).abs() < 1e-9 && (scale.top - top).abs() < 1e-9,
                "{most}"
            );
        }
        let scale = Scale::to(4.0);
        assert!((scale.y(0.0) - (HEIGHT - BOTTOM)).abs() < 1e-9);
        assert!((scale.y(4.0) - TOP).abs() < 1e-9);
    }
}
