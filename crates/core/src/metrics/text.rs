//! The two text formats, which differ in little: Prometheus 0.0.4 and
//! OpenMetrics 1.0.

use std::fmt::{self, Write as _};

/// A format in which metrics are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exposition {
    /// Prometheus' text format 0.0.4: what everything reads.
    Prometheus,
    /// OpenMetrics 1.0 as text.
    OpenMetrics,
}

impl Exposition {
    /// The one that a request's `Accept` asks for: OpenMetrics where it is
    /// named, as Prometheus does, and the other one otherwise.
    pub fn accepted(accept: &str) -> Self {
        match accept.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page of metrics, being written. Writing to a string does not fail.
pub(super) struct Page {
    text: String,
    exposition: Exposition,
}

impl Page {
    pub(super) fn new(exposition: Exposition) -> Self {
        Self {
            text: String::new(),
            exposition,
        }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, kind: Kind, name: &str, help: &str) {
        // There it is named as its samples are, here by what they have in common.
        let suffix = match (self.exposition, kind) {
            (Exposition::Prometheus, Kind::Counter) => "_total",
            _ => "",
        };
        let help = match self.exposition {
            Exposition::Prometheus => escape(help, false),
            Exposition::OpenMetrics => escape(help, true),
        };
        let _ = writeln!(self.text, "# HELP {name}{suffix} {help}");
        let _ = writeln!(self.text, "# TYPE {name}{suffix} {}", kind.name());
    }

    pub(super) fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl fmt::Display,
    ) {
        let _ = write!(self.text, "{name}{suffix}");
        for (i, (label, value)) in labels.iter().enumerate() {
            let before = if i == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escape(value, true));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A histogram of `counts`, each of what is within its bound and not within
    /// the one before; the last of what is beyond all.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let mut so_far = 0;
        for (i, count) in counts.iter().enumerate() {
            so_far += count;
            let bound = bounds.get(i).map_or("+Inf".into(), |b| format!("{b:?}"));
            let mut labels = labels.to_vec();
            labels.push(("le", &bound));
            self.sample(name, "_bucket", &labels, so_far);
        }
        self.sample(name, "_sum", labels, sum);
        self.sample(name, "_count", labels, so_far);
    }

    pub(super) fn end(mut self) -> String {
        if self.exposition == Exposition::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// With what would end the text, or the line, escaped.
fn escape(text: &str, quoted: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quoted => escaped.push_str("\\\""),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn page(exposition: Exposition) -> String {
        let mut page = Page::new(exposition);
        page.family(Kind::Counter, "things", "\"Things\" \\ of\na kind.");
        page.sample("things", "_total", &[("kind", "a\"b\\c\nd"), ("x", "")], 7);
        page.family(Kind::Gauge, "depth", "How deep.");
        page.sample("depth", "", &[], -2.5);
        page.family(Kind::Histogram, "wait_seconds", "Waiting.");
        page.histogram(
            "wait_seconds",
            &[("q", "in")],
            &[0.5, 1.0],
            &[2, 0, 1],
            9.25,
        );
        page.end()
    }

    #[test]
    fn prometheus() {
        expect![[r#"
            # HELP things_total "Things" \\ of\na kind.
            # TYPE things_total counter
            things_total{kind="a\"b\\c\nd",x=""} 7
            # HELP depth How deep.
            # TYPE depth gauge
            depth -2.5
            # HELP wait_seconds Waiting.
            # TYPE wait_seconds histogram
            wait_seconds_bucket{q="in",le="0.5"} 2
            wait_seconds_bucket{q="in",le="1.0"} 2
            wait_seconds_bucket{q="in",le="+Inf"} 3
            wait_seconds_sum{q="in"} 9.25
            wait_seconds_count{q="in"} 3
        "#]]
        .assert_eq(&page(Exposition::Prometheus));
    }

    #[test]
    fn openmetrics() {
        expect![[r#"
            # HELP things \"Things\" \\ of\na kind.
            # TYPE things counter
            things_total{kind="a\"b\\c\nd",x=""} 7
            # HELP depth How deep.
            # TYPE depth gauge
            depth -2.5
            # HELP wait_seconds Waiting.
            # TYPE wait_seconds histogram
            wait_seconds_bucket{q="in",le="0.5"} 2
            wait_seconds_bucket{q="in",le="1.0"} 2
            wait_seconds_bucket{q="in",le="+Inf"} 3
            wait_seconds_sum{q="in"} 9.25
            wait_seconds_count{q="in"} 3
            # EOF
        "#]]
        .assert_eq(&page(Exposition::OpenMetrics));
    }

    #[test]
    fn the_format_is_negotiated() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
        assert_eq!(Exposition::accepted(prometheus), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted("*/*"), Exposition::Prometheus);
    }
}
