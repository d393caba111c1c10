//! Joints that both sources should tell of, and one does not.

mod pair;

use pair::turn;
use twin_sync::{Cause, JointId, JointValue, ResyncProgress, Settings, Source, State, Synchronizer, Tick};

const MS_NS: i64 = 1_000_000;
const NAMES: [&str; 2] = ["arm", "leg"];

/// Two sources that agree, and tell of what they are asked to.
struct Sources {
    synchronizer: Synchronizer,
    now_ms: i64,
    transitions: Vec<(State, Cause)>,
}

impl Sources {
    fn new(selected: &[&str]) -> Self {
        let joints = selected.iter().map(|name| (*name).to_owned()).collect();
        let synchronizer = Synchronizer::new(Settings { joints, ..Settings::default() });
        Self { synchronizer, now_ms: 0, transitions: Vec::new() }
    }

    /// Every 10 ms for so long both tell of their joints.
    fn tell(&mut self, reference: &[&str], twin: &[&str], for_ms: i64) -> Tick {
        for _ in 0..for_ms / 10 {
            self.now_ms += 10;
            let now_ns = self.now_ms * MS_NS;
            for (source, names) in [(Source::Reference, reference), (Source::Twin, twin)] {
                let mut id = |name: &&str| self.synchronizer.joint(source, name).expect("room");
                let values: Vec<_> = names.iter().filter_map(|name| Some(value(id(name)?, 0.5))).collect();
                self.synchronizer.ingest(source, Some(now_ns), now_ns, &values);
            }
            let transition = turn(&mut self.synchronizer, now_ns).transition;
            self.transitions.extend(transition.map(|transition| (transition.to, transition.cause)));
        }
        self.synchronizer.last_tick().clone()
    }

    /// What becomes of a resynchronization, and the states that are entered until then.
    fn resync(&mut self, reference: &[&str], twin: &[&str]) -> (ResyncProgress, Vec<State>) {
        self.transitions.clear();
        self.synchronizer.resync(self.now_ms * MS_NS).expect("it is not stopped");
        let progress = std::iter::repeat_with(|| self.tell(reference, twin, 10).resync.expect("one is under way"));
        let end = progress.into_iter().find(|progress| *progress != ResyncProgress::Running).expect("an end");
        (end, self.transitions.iter().map(|(state, _)| *state).collect())
    }
}

fn value(joint: JointId, position: f64) -> JointValue {
    JointValue { joint, position, velocity: f64::NAN, effort: f64::NAN }
}

#[test]
fn a_resync_does_not_make_up_for_joints_that_are_missing() {
    for losing in Source::ALL {
        let mut sources = Sources::new(&[]);
        assert_eq!(sources.tell(&NAMES, &NAMES, 2_000).state, State::Synced);
        let [reference, twin] = Source::ALL.map(|source| if source == losing { &NAMES[..1] } else { &NAMES[..] });
        let (end, states) = sources.resync(reference, twin);
        assert_eq!(end, ResyncProgress::TimedOut);
        assert!(!states.contains(&State::Synced), "{states:?}");
        let tick = sources.tell(reference, twin, 3_000);
        assert_eq!((tick.state, tick.missing, tick.compared), (State::Degraded, 1, 1));
        assert_eq!(sources.transitions.last(), Some(&(State::Degraded, Cause::JointsMissing)));
        let tick = sources.tell(&NAMES, &NAMES, 1_000);
        assert_eq!((tick.state, tick.missing), (State::Synced, 0), "heard anew");
        assert_eq!(sources.resync(&NAMES, &NAMES), (ResyncProgress::Converged, vec![State::Synced]));
    }
}

#[test]
fn a_joint_that_is_selected_is_missing_until_both_tell_of_it() {
    let told_by: [[&[&str]; 2]; 4] = [
        [&NAMES[..1], &NAMES[..1]],
        [&NAMES, &NAMES[..1]],
        [&NAMES[..1], &NAMES],
        [&["arm", "lamp"], &["arm", "lamp"]],
    ];
    for [reference, twin] in told_by {
        let mut sources = Sources::new(&NAMES);
        assert_eq!(turn(&mut sources.synchronizer, 0).missing, 2);
        let tick = sources.tell(reference, twin, 3_000);
        assert_eq!((tick.state, tick.missing, tick.compared), (State::Degraded, 1, 1), "{reference:?} {twin:?}");
        assert!(!sources.transitions.iter().any(|(state, _)| *state == State::Synced), "{:?}", sources.transitions);
        assert_eq!(sources.transitions.last(), Some(&(State::Degraded, Cause::JointsMissing)));
        assert_eq!(sources.resync(reference, twin).0, ResyncProgress::TimedOut);
        let tick = sources.tell(&NAMES, &NAMES, 1_000);
        assert_eq!((tick.state, tick.missing), (State::Synced, 0));
    }
}

#[test]
fn a_selected_joint_that_the_twin_calls_otherwise_is_not_missing() {
    let name_map = [("sim_arm".to_owned(), "arm".to_owned())].into();
    let settings = Settings { joints: vec!["arm".to_owned()], name_map, ..Settings::default() };
    let mut sources = Sources { synchronizer: Synchronizer::new(settings), ..Sources::new(&[]) };
    let tick = sources.tell(&["arm"], &["sim_arm"], 1_000);
    assert_eq!((tick.state, tick.missing), (State::Synced, 0));
}

#[test]
fn a_joint_that_one_source_has_lost_is_missing_until_it_is_back() {
    for losing in Source::ALL {
        let mut synchronizer = Synchronizer::new(Settings::default());
        let mut id = |source, name| synchronizer.joint(source, name).expect("room").expect("it is followed");
        let names = ["arm", "leg"];
        let ids = Source::ALL.map(|source| names.map(|name| id(source, name)));
        // A joint of its own is missed by nobody.
        let own = id(Source::Reference, "lamp");
        let (mut told, mut transitions) = (Vec::new(), Vec::new());
        for now_ms in (0..8_000_i64).step_by(10) {
            for source in Source::ALL {
                let mut values = ids[source as usize].map(|joint| value(joint, 0.5)).to_vec();
                values.extend((source == Source::Reference).then(|| value(own, 0.1)));
                if source == losing && (2_000..6_000).contains(&now_ms) {
                    values.remove(1);
                }
                // A flush does not make up for what is missing.
                let stamp_ms = if source == losing && now_ms >= 5_000 { now_ms + 10_000 } else { now_ms + 20_000 };
                synchronizer.ingest(source, Some(stamp_ms * MS_NS), now_ms * MS_NS, &values);
            }
            let tick = turn(&mut synchronizer, now_ms * MS_NS);
            told.push((tick.compared, tick.missing));
            transitions.extend(tick.transition.map(|transition| (now_ms, transition.to, transition.cause)));
        }
        assert_eq!((told[100], told[300], told[450]), ((2, 0), (1, 0), (1, 1)));
        assert_eq!((told[550].1, told[700].1), (1, 0));
        assert!(transitions.contains(&(4_000, State::Degraded, Cause::JointsMissing)), "{transitions:?}");
        assert_eq!(synchronizer.state(), State::Synced, "{transitions:?}");
    }
}
