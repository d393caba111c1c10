//! What is known now of every endpoint. What does not answer has no values: the last ones would look as if they held.

use metrics_client::{Endpoint, Node};

use crate::measures::Measures;
use crate::rates::Rates;
use crate::scrape::Look;

/// All endpoints, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) endpoints: Vec<Observed>,
}

/// An endpoint.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) name: String,
    pub(crate) state: State,
    rates: Rates,
}

/// What the last look has brought.
#[derive(Debug)]
pub(crate) enum State {
    /// There was none yet.
    Awaited,
    Up(Box<Measures>),
    /// Why.
    Down(String),
}

impl Observed {
    fn new(name: String) -> Self {
        Self { name, state: State::Awaited, rates: Rates::default() }
    }

    pub(crate) fn measures(&self) -> Option<&Measures> {
        match &self.state {
            State::Up(measures) => Some(measures),
            State::Awaited | State::Down(_) => None,
        }
    }
}

impl Model {
    pub(crate) fn of(endpoints: &[Endpoint]) -> Self {
        let mut model = Self::default();
        model.follow(endpoints);
        model
    }

    /// Goes on with these; of those that were there before all is kept.
    pub(crate) fn follow(&mut self, endpoints: &[Endpoint]) {
        let mut before = std::mem::take(&mut self.endpoints);
        for name in endpoints.iter().map(name_of) {
            let known = before.iter().position(|observed| observed.name == name);
            self.endpoints.push(known.map_or_else(|| Observed::new(name), |index| before.swap_remove(index)));
        }
    }

    pub(crate) fn take(&mut self, index: usize, look: Look) {
        let observed = &mut self.endpoints[index];
        observed.state = match look.result {
            Ok(mut measures) => {
                observed.rates.set(&mut measures, look.at);
                State::Up(Box::new(measures))
            }
            Err(why) => State::Down(why),
        };
    }

    /// Of every endpoint, in their order.
    pub(crate) fn take_all(&mut self, looks: Vec<Look>) {
        for (index, look) in looks.into_iter().enumerate() {
            self.take(index, look);
        }
    }

    /// Those that answer, with their names.
    pub(crate) fn measures(&self) -> impl Iterator<Item = (&str, &Measures)> {
        self.endpoints.iter().filter_map(|observed| Some((observed.name.as_str(), observed.measures()?)))
    }

    /// Whether a second look would tell of rates that are not known yet.
    pub(crate) fn lacks_rates(&self) -> bool {
        self.measures().any(|(_, measures)| measures.node != Node::Monitor)
    }
}

/// As people name it: the host or the pod and the port, and the path where that is not the usual one.
fn name_of(endpoint: &Endpoint) -> String {
    let path = if endpoint.is_usual() { "" } else { &endpoint.path };
    format!("{}{path}", endpoint.place)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, Instant};

    use metrics_client::Page;

    use super::*;

    /// A model of these endpoints, `http://PLACE` and the pages that it gave, a second apart; an empty one is no answer.
    pub(crate) fn model(endpoints: &[(&str, &[&str])]) -> Model {
        let parsed: Vec<Endpoint> =
            endpoints.iter().map(|(place, _)| Endpoint::parse(&format!("http://{place}")).unwrap()).collect();
        let mut model = Model::of(&parsed);
        let begin = Instant::now();
        for (index, (_, pages)) in endpoints.iter().enumerate() {
            for (seconds, page) in (0..).zip(*pages) {
                model.take(index, Look { at: begin + Duration::from_secs(seconds), result: measured(page) });
            }
        }
        model
    }

    fn measured(page: &str) -> Result<Measures, String> {
        let text = format!("{page}\ndigital_twin_build_info{{version=\"1.2\"}} 1\n");
        if page.is_empty() { Err("refused".into()) } else { Ok(Measures::of(&Page::parse(&text).unwrap())) }
    }

    fn names(model: &Model) -> Vec<&str> {
        model.endpoints.iter().map(|observed| observed.name.as_str()).collect()
    }

    #[test]
    fn one_that_is_down_has_no_values_and_holds_up_no_other() {
        let model = model(&[("a:1", &["up 1", ""]), ("b:2/m", &["up 1"]), ("c:3", &[])]);
        assert_eq!(model.measures().map(|(name, _)| name).collect::<Vec<_>>(), ["b:2/m"]);
        assert!(matches!(&model.endpoints[0].state, State::Down(why) if why == "refused"));
        assert!(matches!(model.endpoints[2].state, State::Awaited));
    }

    #[test]
    fn what_is_known_stays_with_its_endpoint() {
        let mut model = model(&[("a:1", &["up 1"]), ("b:2", &["up 1"])]);
        let endpoints = ["http://c:3", "http://b:2"].map(|url| Endpoint::parse(url).unwrap());
        model.follow(&endpoints);
        assert_eq!(names(&model), ["c:3", "b:2"]);
        assert!(model.endpoints[0].measures().is_none() && model.endpoints[1].measures().is_some());
    }

    #[test]
    fn the_rates_of_monitoring_node_alone_are_known_at_once() {
        assert!(!model(&[("a:1", &["ros_topics 1"]), ("b:1", &[""])]).lacks_rates());
        assert!(model(&[("a:1", &["ros_topics 1"]), ("b:1", &["up 1"])]).lacks_rates());
    }
}
