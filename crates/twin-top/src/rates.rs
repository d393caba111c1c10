//! Rates of counters, from pages that were read one after the other.
//!
//! Over some seconds, since a topic of 1 Hz has 0, 1 or 2 messages within one. A counter that went down, and a process that
//! was started anew, begin again: neither is a rate below zero.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use metrics_client::Node;

use crate::measures::Measures;

/// Over which a rate is.
const WINDOW: Duration = Duration::from_secs(5);

/// What counters of one endpoint were.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    started_at_seconds: Option<f64>,
    windows: HashMap<String, Window>,
}

impl Rates {
    /// Sets the rates of all counters; those of topics are the node's own where it has them.
    pub(crate) fn set(&mut self, measures: &mut Measures, now: Instant) {
        if self.started_at_seconds != measures.started_at_seconds {
            self.windows.clear();
            self.started_at_seconds = measures.started_at_seconds;
        }
        let mut before = std::mem::take(&mut self.windows);
        for (name, counter) in measures.counters() {
            let Some(total) = counter.total else { continue };
            let mut window = before.remove(&name).unwrap_or_default();
            window.push(now, total);
            counter.per_second = window.per_second();
            self.windows.insert(name, window);
        }
        // A topic without a rate of monitoring_node has none.
        if measures.node != Node::Monitor {
            for topic in &mut measures.topics {
                topic.rate_hertz = topic.messages.per_second;
            }
        }
    }
}

/// What a counter was, the oldest first.
#[derive(Debug, Default)]
struct Window(VecDeque<(Instant, f64)>);

impl Window {
    fn push(&mut self, now: Instant, total: f64) {
        if self.0.back().is_some_and(|&(_, last)| total < last) {
            self.0.clear();
        }
        // The one before the window's begin stays: else there would be none where looks are rare.
        while self.0.get(1).is_some_and(|&(at, _)| now.duration_since(at) >= WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back((now, total));
    }

    fn per_second(&self) -> Option<f64> {
        let (&(first_at, first), &(last_at, last)) = (self.0.front()?, self.0.back()?);
        let seconds = last_at.duration_since(first_at).as_secs_f64();
        (seconds > 0.0).then(|| (last - first) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use metrics_client::Page;

    use super::*;

    /// The rate of messages after each page: seconds, and what stands in it.
    fn rates(pages: &[(f64, &str)]) -> Vec<Option<f64>> {
        let begin = Instant::now();
        let mut rates = Rates::default();
        let of_page = |&(seconds, lines): &(f64, &str)| {
            let text = format!("{lines}\ndigital_twin_build_info 1\n");
            let mut measures = Measures::of(&Page::parse(&text).unwrap());
            rates.set(&mut measures, begin + Duration::from_secs_f64(seconds));
            measures.topics.first().and_then(|topic| topic.rate_hertz)
        };
        pages.iter().map(of_page).collect()
    }

    fn count(total: u32) -> String {
        format!("ros_message_count_total{{topic_name=\"/a\"}} {total}")
    }

    #[test]
    fn a_rate_takes_two_pages() {
        assert_eq!(rates(&[(0.0, &count(10)), (2.0, &count(30))]), [None, Some(10.0)]);
    }

    #[test]
    fn it_is_of_the_last_seconds() {
        let pages = [(0.0, &*count(0)), (5.0, &count(500)), (10.0, &count(500)), (11.0, &count(500))];
        assert_eq!(rates(&pages), [None, Some(100.0), Some(0.0), Some(0.0)]);
    }

    #[test]
    fn looks_that_are_rare_have_one_too() {
        assert_eq!(rates(&[(0.0, &count(0)), (60.0, &count(60)), (120.0, &count(180))])[2], Some(2.0));
    }

    #[test]
    fn a_counter_that_went_down_begins_again() {
        assert_eq!(rates(&[(0.0, &count(100)), (1.0, &count(5)), (2.0, &count(15))]), [None, None, Some(10.0)]);
    }

    #[test]
    fn so_does_a_process_that_was_started_anew_and_has_counted_more_already() {
        let started = |at: u32, total| format!("process_start_time_seconds {at}\n{}", count(total));
        assert_eq!(rates(&[(0.0, &started(1, 5)), (1.0, &started(2, 50))]), [None, None]);
    }

    #[test]
    fn a_counter_that_was_away_begins_again() {
        let away = "ros_topic_publishers{topic_name=\"/a\"} 1";
        assert_eq!(rates(&[(0.0, &count(5)), (1.0, away), (2.0, &count(9))]), [None, None, None]);
    }

    #[test]
    fn the_rate_of_monitoring_node_is_its_own() {
        let page = |total| format!("ros_topics 1\nros_topic_rate_hertz{{topic_name=\"/a\"}} 7\n{}", count(total));
        assert_eq!(rates(&[(0.0, &page(0)), (1.0, &page(100))]), [Some(7.0), Some(7.0)]);
        let without = |total| format!("ros_topics 1\n{}", count(total));
        assert_eq!(rates(&[(0.0, &without(0)), (1.0, &without(100))]), [None, None]);
    }
}
