//! What was found, as a table for people and as JSON for programs.
//!
//! Whatever text a peer sent is one line without control characters here, so that no peer can write to a terminal.

use std::fmt::Write as _;

pub(crate) use metrics_client::Status;
use metrics_client::one_line;
use serde::Serialize;

/// Raised when a program that reads the JSON would have to change.
const SCHEMA_VERSION: u32 = 1;

/// Of an object and of a detail.
const CHARACTERS_MAX: usize = 400;

/// Of a terminal, as of ECMA-48.
fn colour(status: Status) -> &'static str {
    match status {
        Status::Ok => "\x1b[32m",
        Status::Warning => "\x1b[33m",
        Status::Unknown => "\x1b[35m",
        Status::Unhealthy => "\x1b[31m",
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How it is.
    pub(crate) status: Status,
    /// What was asked; one of the names in docs/health_check.md.
    pub(crate) check: &'static str,
    /// Of what.
    pub(crate) object: String,
    /// What is wrong and what to do, or what makes it well.
    pub(crate) detail: String,
}

impl Finding {
    pub(crate) fn new(status: Status, check: &'static str, object: &str, detail: &str) -> Self {
        let line = |text| one_line(text, CHARACTERS_MAX);
        Self { status, check, object: line(object), detail: line(detail) }
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema_version: u32,
    version: &'static str,
    healthy: bool,
    findings: Vec<Finding>,
}

impl Report {
    /// What is found of several objects alike, as a permission that is missing, is told once.
    pub(crate) fn new(findings: Vec<Finding>) -> Self {
        let mut told: Vec<Finding> = Vec::with_capacity(findings.len());
        for finding in findings {
            if !told.contains(&finding) {
                told.push(finding);
            }
        }
        let healthy = told.iter().all(|finding| finding.status <= Status::Warning);
        Self { schema_version: SCHEMA_VERSION, version: env!("CARGO_PKG_VERSION"), healthy, findings: told }
    }

    /// Whether everything could be told and works.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy
    }

    pub(crate) fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers have a JSON");
        text.push('\n');
        text
    }

    pub(crate) fn table(&self, coloured: bool) -> String {
        let rows = self.findings.iter().map(|f| [f.status.name(), f.check, &f.object]);
        let header = ["STATUS", "CHECK", "OBJECT"];
        let widths: [usize; 3] = std::array::from_fn(|column| {
            rows.clone().chain([header]).map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        let mut text = String::new();
        line(&mut text, &header, "DETAIL", widths, None);
        for (row, finding) in rows.zip(&self.findings) {
            line(&mut text, &row, &finding.detail, widths, coloured.then_some(colour(finding.status)));
        }
        text.push_str(&self.summary());
        text
    }

    fn summary(&self) -> String {
        let mut text = String::from(if self.healthy { "healthy: " } else { "not healthy: " });
        let counts = Status::ALL.iter().rev().filter_map(|&status| {
            let count = self.findings.iter().filter(|finding| finding.status == status).count();
            (count > 0).then(|| format!("{count} {}", status.name()))
        });
        text.push_str(&counts.collect::<Vec<_>>().join(", "));
        text.push('\n');
        text
    }
}

fn line(text: &mut String, row: &[&str; 3], detail: &str, widths: [usize; 3], colour: Option<&str>) {
    let [status, check, object] = row;
    let [first, second, third] = widths;
    let (on, off) = colour.map_or(("", ""), |on| (on, "\x1b[0m"));
    let written = writeln!(text, "{on}{status:first$}{off}  {check:second$}  {object:third$}  {detail}");
    debug_assert!(written.is_ok(), "a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(status: Status) -> Finding {
        Finding::new(status, "pod", "core", "detail")
    }

    #[test]
    fn a_warning_is_healthy_and_what_could_not_be_told_is_not() {
        for (status, healthy) in
            [(Status::Ok, true), (Status::Warning, true), (Status::Unknown, false), (Status::Unhealthy, false)]
        {
            assert_eq!(Report::new(vec![found(Status::Ok), found(status)]).is_healthy(), healthy, "{status:?}");
        }
    }

    #[test]
    fn a_peer_cannot_write_to_the_terminal() {
        let finding = Finding::new(Status::Ok, "pod", "a\x1b[2Jb", "two\nlines\r and\ttabs");
        assert_eq!((finding.object.as_str(), finding.detail.as_str()), ("a [2Jb", "two lines and tabs"));
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let report = Report::new(vec![
            Finding::new(Status::Unhealthy, "pod", "größer", "first"),
            Finding::new(Status::Ok, "endpoint", "a", "second"),
        ]);
        assert_eq!(
            report.table(false),
            "STATUS     CHECK     OBJECT  DETAIL\n\
             unhealthy  pod       größer  first\n\
             ok         endpoint  a       second\n\
             not healthy: 1 unhealthy, 1 ok\n"
        );
    }

    #[test]
    fn a_colour_changes_no_width() {
        let report = Report::new(vec![found(Status::Warning)]);
        let plain = report.table(true).replace(colour(Status::Warning), "").replace("\x1b[0m", "");
        assert_ne!(report.table(true), plain);
        assert_eq!(report.table(false), plain);
    }

    #[test]
    fn the_same_is_told_once() {
        assert_eq!(Report::new(vec![found(Status::Unknown), found(Status::Unknown)]).findings.len(), 1);
    }
}
