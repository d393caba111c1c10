//! The ROS thread on a real node.

use std::time::{Duration, Instant};

use node_runtime::{MonotonicClock, RosThread};
use ros_observer::{Context, Node, Spinner};

/// Many times what a turn takes.
const LONG: Duration = Duration::from_secs(5);

/// A domain of this process, so that tests that run beside each other do not meet.
fn spinner(name: &str) -> Spinner {
    let context = Context::new(&[], Some(60 + std::process::id() as usize % 40)).expect("a context");
    Spinner::new(&Node::new(&context, name, "/node_runtime_test").expect("a node")).expect("a spinner")
}

#[tokio::test]
async fn a_thread_that_panics_tells_that_it_has() {
    let stumble = |_: &mut Spinner, _: bool, _: Instant| panic!("on purpose");
    let mut thread = RosThread::spawn(spinner("stumbling"), MonotonicClock::new(), stumble).expect("a thread");
    assert_eq!(thread.failure().await.to_string(), "the ROS thread has panicked");
}

#[tokio::test]
async fn a_thread_turns_until_it_is_dropped() {
    let (turned, mut turns) = tokio::sync::mpsc::channel(1);
    let count = move |_: &mut Spinner, _: bool, _: Instant| {
        let _ = turned.try_send(());
    };
    let thread = RosThread::spawn(spinner("turning"), MonotonicClock::new(), count).expect("a thread");
    for _ in 0..3 {
        turns.recv().await.expect("a turn");
    }
    assert!(thread.heartbeat().silent_for() < LONG);
    drop(thread);
    // What it last said, and then nothing more: the closure is gone with the thread.
    let _ = turns.recv().await;
    assert_eq!(turns.recv().await, None);
}
