//! Counters of the process, read from its metrics.

use serde::Serialize;

use crate::proxy::Proxy;

/// One counter or gauge.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct StatView {
    /// The metric's name with its labels.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// Returns all counters and gauges; histograms show as their sum and count.
pub fn stats(proxy: &Proxy) -> Vec<StatView> {
    samples(&proxy.metrics.encode())
}

fn samples(text: &str) -> Vec<StatView> {
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let is_bucket = name.contains("_bucket{") || name.ends_with("_bucket");
        (!line.starts_with('#') && !is_bucket).then(|| StatView { name: name.to_owned(), value: value.to_owned() })
    };
    text.lines().filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_leave_comments_and_buckets_out() {
        let text = "# TYPE a counter\na_total{kind=\"x y\"} 3\nb_bucket{le=\"1.0\"} 2\nb_sum 1.5\n# EOF\n";
        let names: Vec<_> = samples(text).into_iter().map(|stat| (stat.name, stat.value)).collect();
        assert_eq!(names, [("a_total{kind=\"x y\"}".into(), "3".into()), ("b_sum".into(), "1.5".into())]);
    }
}
