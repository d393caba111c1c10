//! All that is known now, once: as a table for people and scripts, as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::measures::Measures;
use crate::model::{Model, Observed, State};
use crate::table::{Cell, View};

/// Raised when a program that reads the JSON would have to change.
const SCHEMA_VERSION: u32 = 1;

/// The view, its columns two or more spaces apart.
pub(crate) fn table(model: &Model, view: View) -> String {
    let header = view.columns().iter().map(|&title| title.to_owned()).collect();
    let rows = view.rows(model).into_iter().map(|row| row.cells.iter().map(Cell::shown).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..view.columns().len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        let written = writeln!(text, "{}", padded.join("  ").trim_end());
        debug_assert!(written.is_ok(), "a String takes all");
    }
    text
}

/// All views at once. Values that are not there are null, and so are those that are no finite number.
pub(crate) fn json(model: &Model) -> String {
    let report = json!({
        "schema_version": SCHEMA_VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": model.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "topics": of_each(model, |measures| measures.topics.iter().map(Some).collect()),
        "joints": of_each(model, |measures| measures.joints.iter().map(Some).collect()),
        "twins": of_each(model, |measures| vec![measures.twin.as_ref()]),
        "bridges": of_each(model, |measures| vec![measures.bridge.as_ref()]),
    });
    format!("{report:#}\n")
}

/// One in the JSON, with the endpoint that has told of it.
#[derive(Serialize)]
struct At<'a, T> {
    endpoint: &'a str,
    #[serde(flatten)]
    thing: &'a T,
}

fn of_each<'m, T: Serialize + 'm>(model: &'m Model, things: fn(&'m Measures) -> Vec<Option<&'m T>>) -> Vec<Value> {
    let of_endpoint = |(endpoint, measures)| {
        let present = things(measures).into_iter().flatten();
        present.map(move |thing| serde_json::to_value(At { endpoint, thing }).expect("strings and numbers have a JSON"))
    };
    model.measures().flat_map(of_endpoint).collect()
}

fn endpoint(observed: &Observed) -> Value {
    let (measures, error) = match &observed.state {
        State::Up(measures) => (Some(measures), None),
        State::Awaited => (None, None),
        State::Down(why) => (None, Some(why)),
    };
    json!({
        "endpoint": observed.name,
        "up": measures.is_some(),
        "node": measures.map(|measures| measures.node.name()),
        "version": measures.map(|measures| &measures.version),
        "error": error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::model;

    const PAGE: &str = "ros_topic_status{topic_name=\"/a\",status=\"ok\"} 1\n\
                        ros_joint_position{topic_name=\"/a\",joint_name=\"j\"} +Inf";

    #[test]
    fn columns_are_aligned_and_none_is_empty() {
        let count = |total| format!("{PAGE}\nros_message_count_total{{topic_name=\"/a\"}} {total}");
        let text = table(&model(&[("a:1", &[&count(0), &count(50)]), ("b:2", &[""])]), View::Topics);
        let expected = "STATUS  TOPIC  HZ    AGE  LOST  LOST/S  AT   PUBS  SUBS  JITTER  DOMAIN  ROBOT  WHY\n\
                        + ok    /a     50.0  -    -     -       a:1  -     -     -       -       -      -\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_has_every_endpoint_and_null_for_what_is_absent() {
        let report: Value = serde_json::from_str(&json(&model(&[("a:1", &[PAGE]), ("b:2", &[""])]))).unwrap();
        assert_eq!(
            report["endpoints"][1],
            json!({"endpoint": "b:2", "up": false, "node": null, "version": null, "error": "refused"})
        );
        let topic = &report["topics"][0];
        assert_eq!(
            (&topic["endpoint"], &topic["topic"], &topic["status"]),
            (&json!("a:1"), &json!("/a"), &json!("ok"))
        );
        assert_eq!((&topic["domain"], &topic["rate_hertz"]), (&Value::Null, &Value::Null));
        assert_eq!(topic["messages"], json!({"total": null, "per_second": null}));
        assert_eq!(report["joints"][0]["position"], Value::Null);
        assert_eq!(report["twins"], json!([]));
    }
}
