//! Text and numbers on the page.

/// Text as HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A number in full, with thin spaces.
pub(super) fn number(value: f64) -> String {
    crate::table::thousands(value).replace(',', "\u{202f}")
}

/// Microseconds: with decimals where they are few.
pub(super) fn micros(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        number(value)
    }
}

/// A number in short, such as `12.5k`.
pub(super) fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "k"),
        v => (v, ""),
    };
    let digits = usize::from(scaled < 10.0 && scaled.fract() > 0.049)
        + usize::from(scaled < 1.0 && scaled > 0.0);
    format!("{scaled:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (1.3, "1.3"),
            (12.3, "12"),
            (1_250.0, "1.2k"),
            (20_000.0, "20k"),
            (5e6, "5M"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
