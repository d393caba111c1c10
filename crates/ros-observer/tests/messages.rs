//! Messages from a real publisher to a real subscription, over the middleware, in both ways of taking.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use r2r::WrappedTypesupport;
use r2r::rosgraph_msgs::msg::Clock;
use r2r::sensor_msgs::msg::JointState;
use r2r::std_srvs::srv::SetBool as set_bool;
use r2r::std_srvs::srv::Trigger::{Request, Response, Service as Trigger};
use ros_observer::{
    Client, Context, Endpoint, MessageInfo, MessageType, Node, Publisher, Qos, QosEvents, QosPolicy, Reply,
    ResponseInfo, SerializedClient, SerializedPublisher, SerializedService, Service, ServiceType, Spinner,
    Subscription, TakeIn,
};

const LONG_ENOUGH: Duration = Duration::from_secs(20);

/// Another domain for each caller, so that tests that run beside each other do not meet: participants of one process
/// that know each other crash Fast DDS 2.14 now and then when they end at the same time.
fn domain_id() -> usize {
    static CALLERS: AtomicUsize = AtomicUsize::new(0);
    1 + (std::process::id() as usize * 20 + CALLERS.fetch_add(1, Ordering::Relaxed)) % 100
}

fn node(name: &str) -> Node {
    let context = Context::new(&[], Some(domain_id())).expect("a context");
    Node::new(&context, name, "/ros_observer_test").expect("a node")
}

fn message(joint: &str) -> JointState {
    JointState { name: vec![joint.to_owned()], position: vec![1.0], ..JointState::default() }
}

/// Turns the spinner until the condition holds.
fn turn_until(spinner: &mut Spinner, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG_ENOUGH, "{what}: not within {LONG_ENOUGH:?}");
        spinner.turn(Duration::from_millis(20)).expect("a turn");
    }
}

type Taken = (Vec<u8>, MessageInfo);

fn forward(sender: SyncSender<Taken>) -> impl FnMut(&[u8], &MessageInfo) + Send {
    move |message, info| drop(sender.try_send((message.to_vec(), *info)))
}

/// A publisher and a subscription that have found each other.
fn pair(node: &Node, topic: &str, take_in: TakeIn) -> (Publisher<JointState>, Subscription, Spinner, Receiver<Taken>) {
    let (sender, taken) = sync_channel(4096);
    let mut spinner = Spinner::new(node).expect("a spinner");
    let subscription =
        Subscription::new::<JointState>(node, topic, Qos::best_effort(100), take_in, forward(sender)).expect("one");
    spinner.add_subscription(&subscription);
    let publisher = Publisher::new(node, topic, Qos::reliable(100)).expect("a publisher");
    turn_until(&mut spinner, "a matched publisher", || subscription.publisher_count().expect("a count") == 1);
    (publisher, subscription, spinner, taken)
}

#[test]
fn messages_come_in_order_with_their_origin_in_both_ways_of_taking() {
    for take_in in [TakeIn::Callback, TakeIn::WaitSet] {
        let node = node("origin");
        let (publisher, subscription, mut spinner, taken) = pair(&node, "states", take_in);
        let mut received: Vec<Taken> = Vec::new();
        for count in 1..=3 {
            publisher.publish(&message("elbow")).expect("published");
            turn_until(&mut spinner, "the message", || {
                received.extend(taken.try_iter());
                received.len() == count
            });
        }
        let first = received[0].1;
        for (index, (bytes, info)) in received.iter().enumerate() {
            assert_eq!(bytes[..2], [0, 1], "little-endian CDR");
            assert!(bytes.windows(6).any(|window| window == b"elbow\0"));
            assert_eq!(info.publisher, first.publisher);
            assert_eq!(info.publication_sequence, first.publication_sequence + index as u64);
            assert!(info.received_timestamp_ns >= info.source_timestamp_ns && info.source_timestamp_ns > 0);
        }
        let probe = subscription.probe();
        assert_eq!((probe.taken(), probe.pending(), probe.failed()), (3, 0, 0));
    }
}

#[test]
fn a_handler_that_panics_ends_its_subscription_and_nothing_else() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let node = node("panic");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let panicking = Subscription::new::<JointState>(
        &node,
        "panic",
        Qos::best_effort(100),
        TakeIn::Callback,
        |_: &[u8], _: &MessageInfo| panic!("the handler's fault"),
    )
    .expect("a subscription");
    let publisher = Publisher::new(&node, "panic", Qos::reliable(100)).expect("a publisher");
    turn_until(&mut spinner, "a match", || panicking.publisher_count().expect("a count") == 1);
    publisher.publish(&message("a")).expect("published");
    let probe = panicking.probe();
    turn_until(&mut spinner, "the panic", || probe.pending() > 0 && probe.taken() == 1);
    publisher.publish(&message("b")).expect("published");
    turn_until(&mut spinner, "the second announcement", || probe.pending() > 1);
    assert_eq!(probe.taken(), 1, "the handler is not called again");
}

#[test]
fn a_subscription_dropped_in_its_handler_ends_with_the_next_turn() {
    let node = node("own_end");
    let topic = "own_end";
    let own = Arc::new(Mutex::new(None::<Subscription>));
    let (sender, taken) = sync_channel(16);
    let of_handler = Arc::clone(&own);
    let handler = move |_: &[u8], _: &MessageInfo| {
        drop(of_handler.lock().expect("unpoisoned").take());
        sender.send(()).expect("somebody listens");
    };
    let subscription =
        Subscription::new::<JointState>(&node, topic, Qos::best_effort(10), TakeIn::Callback, handler).expect("one");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let publisher = Publisher::new(&node, topic, Qos::reliable(10)).expect("a publisher");
    turn_until(&mut spinner, "a match", || subscription.publisher_count().expect("a count") == 1);
    *own.lock().expect("unpoisoned") = Some(subscription);
    publisher.publish(&message("a")).expect("published");
    taken.recv_timeout(LONG_ENOUGH).expect("the handler was called and came back");
    assert!(own.lock().expect("unpoisoned").is_none());
    // The handler, and with it the sender, goes.
    turn_until(&mut spinner, "the end of the handler", || taken.try_recv() == Err(TryRecvError::Disconnected));
}

#[test]
fn a_dropped_subscription_has_left_the_wait_set_and_the_graph() {
    let node = node("dropped");
    let (publisher, subscription, mut spinner, taken) = pair(&node, "dropped", TakeIn::WaitSet);
    drop(subscription);
    publisher.publish(&message("a")).expect("published");
    // The handler, and with it the sender, is gone.
    turn_until(&mut spinner, "the end of the handler", || taken.try_recv() == Err(TryRecvError::Disconnected));
}

#[test]
fn a_large_message_is_taken_whole_and_so_is_the_next() {
    for take_in in [TakeIn::Callback, TakeIn::WaitSet] {
        let node = node("large");
        let (publisher, _subscription, mut spinner, taken) = pair(&node, "large", take_in);
        for joints in [600_000, 1, 600_000] {
            let state = JointState { position: vec![1.0; joints], ..JointState::default() };
            publisher.publish(&state).expect("published");
            let mut received = Vec::new();
            turn_until(&mut spinner, "the message", || {
                received.extend(taken.try_iter());
                !received.is_empty()
            });
            assert!(received[0].0.len() >= joints * size_of::<f64>());
        }
    }
}

#[test]
fn subscriptions_come_and_go_while_messages_arrive() {
    let node = node("storm");
    let publisher = Arc::new(Publisher::<JointState>::new(&node, "storm", Qos::reliable(100)).expect("a publisher"));
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let (stop, stopped) = sync_channel::<()>(1);
    let sender = Arc::clone(&publisher);
    let storm = std::thread::spawn(move || {
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            sender.publish(&message("wind")).expect("published");
            std::thread::yield_now();
        }
    });
    for _ in 0..50 {
        let (sender, taken) = sync_channel(4096);
        let subscription =
            Subscription::new::<JointState>(&node, "storm", Qos::best_effort(10), TakeIn::Callback, forward(sender))
                .expect("a subscription");
        turn_until(&mut spinner, "a message", || taken.try_recv().is_ok());
        drop(subscription);
        // After the drop nothing is called any more: the handler, and with it the sender, is gone.
        while taken.try_recv().is_ok() {}
        assert_eq!(taken.recv(), Err(std::sync::mpsc::RecvError));
    }
    drop(stop);
    storm.join().expect("the storm ends");
}

#[test]
fn publishers_are_listed_with_what_keeps_them_from_us() {
    let node = node("graph");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let _publisher = Publisher::<JointState>::new(&node, "graph", Qos::best_effort(1)).expect("a publisher");
    let topic = node.resolve_topic("graph").expect("a name");
    let mut found = Vec::new();
    turn_until(&mut spinner, "the publisher in the graph", || {
        found = node.publishers(&topic).expect("a list");
        found.first().is_some_and(|endpoint: &Endpoint| endpoint.node.is_some())
    });
    assert_eq!(found[0].node.as_deref(), Some("/ros_observer_test/graph"));
    assert_eq!(found[0].topic_type, "sensor_msgs/msg/JointState");
    assert_eq!(found[0].incompatibility(Qos::best_effort(1)), None);
    let reason = found[0].incompatibility(Qos::reliable(1)).expect("a reason");
    assert!(reason.to_lowercase().contains("reliable"), "{reason}");
}

#[test]
fn the_middleware_tells_of_a_publisher_that_does_not_serve_us() {
    let node = node("events");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let asking = |qos| {
        Subscription::new::<JointState>(&node, "events", qos, TakeIn::WaitSet, |_: &[u8], _: &MessageInfo| {})
            .expect("one")
    };
    let (reliable, best_effort) = (asking(Qos::reliable(1)), asking(Qos::best_effort(1)));
    let _publisher = Publisher::<JointState>::new(&node, "events", Qos::best_effort(1)).expect("a publisher");
    turn_until(&mut spinner, "a match", || best_effort.publisher_count().expect("a count") == 1);
    turn_until(&mut spinner, "the event", || reliable.qos_events().expect("events").incompatible == 1);
    let again = reliable.qos_events().expect("events");
    assert_eq!((again.incompatible, again.last_policy, again.lost), (1, Some(QosPolicy::Reliability), 0));
    assert_eq!(best_effort.qos_events().expect("events"), QosEvents::default());
}

#[test]
fn a_type_that_is_known_by_name_only_can_be_subscribed_to() {
    let node = node("by_name");
    let message_type = MessageType::find("sensor_msgs/msg/JointState").expect("an installed type");
    let (sender, taken) = sync_channel(16);
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let handler = forward(sender);
    let subscription =
        Subscription::of_type(message_type, &node, "by_name", Qos::best_effort(10), TakeIn::WaitSet, handler);
    let subscription = subscription.expect("one");
    spinner.add_subscription(&subscription);
    let publisher = Publisher::new(&node, "by_name", Qos::reliable(10)).expect("a publisher");
    turn_until(&mut spinner, "a match", || subscription.publisher_count().expect("a count") == 1);
    publisher.publish(&message("elbow")).expect("published");
    turn_until(&mut spinner, "the message", || taken.try_recv().is_ok());
}

#[test]
fn a_type_tells_whether_it_begins_with_a_stamp() {
    for (name, expected) in [
        ("sensor_msgs/msg/JointState", true),
        ("std_msgs/msg/Header", true),
        ("rosgraph_msgs/msg/Clock", true),
        ("std_msgs/msg/Empty", false),
        ("sensor_msgs/msg/JoyFeedbackArray", false),
        ("geometry_msgs/msg/Twist", false),
    ] {
        assert_eq!(MessageType::begins_with_stamp(name), Ok(expected), "{name}");
    }
}

#[test]
fn a_type_that_is_not_installed_is_told() {
    for (name, told) in [
        ("no_such_package/msg/Name", "libno_such_package__"),
        ("sensor_msgs/msg/NoSuchMessage", "NoSuchMessage"),
        ("sensor_msgs/idl/JointState", "is no message type"),
        ("../sensor_msgs/msg/JointState", "is no message type"),
        ("sensor_msgs/msg/", "is no message type"),
        ("", "is no message type"),
    ] {
        let error = MessageType::find(name).err().expect("an error");
        assert!(error.message.contains(told), "{error}");
    }
}

#[test]
fn topics_and_nodes_are_listed_with_types() {
    let node = node("lister");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let _publisher = Publisher::<JointState>::new(&node, "listed", Qos::best_effort(1)).expect("a publisher");
    let is_listed = || {
        let topics = node.topics().expect("a list");
        topics.get("/ros_observer_test/listed").is_some_and(|types| types[..] == ["sensor_msgs/msg/JointState"])
    };
    turn_until(&mut spinner, "the topic in the graph", is_listed);
    assert!(node.nodes().expect("a list").contains(&"/ros_observer_test/lister".to_owned()));
}

#[test]
fn another_thread_ends_a_wait() {
    let node = node("waker");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let waker = spinner.waker();
    let (stop, stopped) = sync_channel::<()>(0);
    let thread = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
            waker.trigger().expect("triggered");
        }
    });
    // Changes of the graph, of which other tests make many, end waits too.
    let begun = Instant::now();
    while spinner.turn(LONG_ENOUGH).expect("a turn").graph_changed {}
    assert!(begun.elapsed() < LONG_ENOUGH, "{:?}", begun.elapsed());
    drop(stop);
    thread.join().expect("joined");
}

#[test]
fn what_ros_does_not_understand_is_told() {
    let arguments = ["node", "--ros-args", "--no-such-argument"].map(str::to_owned);
    let error = Context::new(&arguments, None).err().expect("refused");
    assert!(error.to_string().contains("--no-such-argument"), "{error}");
    let node = node("names");
    assert!(node.resolve_topic("not a topic").is_err());
}

#[test]
fn an_endpoint_that_the_middleware_refuses_is_an_error() {
    let node = node("refused");
    let topic = "one_type_only";
    let ignore = |_: &[u8], _: &MessageInfo| {};
    let _first = Publisher::<JointState>::new(&node, topic, Qos::reliable(1)).expect("a publisher");
    assert!(Publisher::<Clock>::new(&node, topic, Qos::reliable(1)).is_err());
    assert!(Subscription::new::<Clock>(&node, topic, Qos::reliable(1), TakeIn::auto(), ignore).is_err());
}

#[test]
fn parameter_overrides_and_the_log_level_are_read_from_the_arguments() {
    let line =
        "node --ros-args -p a:=1 -p b:=[left,right] -p other:c:=2 -r __node:=renamed -r __ns:=/team --log-level debug";
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let context = Context::new(&arguments, Some(domain_id())).expect("a context");
    let node = Node::new(&context, "original", "/").expect("a node");
    assert_eq!(node.fully_qualified_name(), "/team/renamed");
    let overrides = context.parameter_overrides("/team/renamed").expect("overrides");
    let expected = [
        ("a".to_owned(), r2r::ParameterValue::Integer(1)),
        ("b".to_owned(), r2r::ParameterValue::StringArray(vec!["left".into(), "right".into()])),
    ];
    assert_eq!(overrides.values, expected);
    assert_eq!(overrides.other_nodes, ["other"]);
    assert_eq!(context.log_level(), Some(ros_observer::LogLevel::Debug));
}

#[test]
fn a_client_gets_the_response_to_its_request() {
    let node = node("asker");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let answer = |_| Response { success: true, message: "done".into() };
    spinner.add_service(Service::<Trigger>::new(&node, "asked", answer).expect("a service")).expect("added");
    let (sender, answered) = sync_channel(16);
    let forward = move |info: ResponseInfo, response: Response| {
        sender.send((info.number, response.message, info.received_timestamp_ns > 0)).expect("a receiver");
    };
    let client = Client::<Trigger>::new(&node, "asked", forward).expect("a client");
    spinner.add_client(&client).expect("added");
    turn_until(&mut spinner, "the service", || client.is_offered().expect("an answer"));
    for _ in 0..3 {
        let number = client.send(&Request {}).expect("sent");
        let mut last = None;
        turn_until(&mut spinner, "the response", || {
            last = answered.try_recv().ok();
            last.is_some()
        });
        assert_eq!(last, Some((number, "done".to_owned(), true)));
    }
    drop(client);
    spinner.turn(Duration::ZERO).expect("a turn");
}

#[test]
fn a_service_may_answer_later_and_answers_others_meanwhile() {
    let node = node("later");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let (promise, promised) = sync_channel::<Response>(1);
    let mut promised = Some(promised);
    let answer = move |_: Request| match promised.take() {
        Some(promised) => Reply::Later(Box::new(move || promised.try_recv().ok())),
        None => Reply::Now(Response { success: false, message: "one at a time".to_owned() }),
    };
    spinner.add_service(Service::<Trigger>::replying(&node, "asked", answer).expect("a service")).expect("added");
    let (sender, answers) = sync_channel(2);
    let note = move |info: ResponseInfo, response: Response| drop(sender.send((info.number, response.message)));
    let client = Client::<Trigger>::new(&node, "asked", note).expect("a client");
    spinner.add_client(&client).expect("added");
    turn_until(&mut spinner, "an offered service", || client.is_offered().expect("a look"));

    let (first, second) = (client.send(&Request {}).expect("sent"), client.send(&Request {}).expect("sent"));
    let mut received = Vec::new();
    turn_until(&mut spinner, "the answer of the second", || {
        received.extend(answers.try_iter());
        !received.is_empty()
    });
    assert_eq!(received, [(second, "one at a time".to_owned())]);
    promise.send(Response { success: true, message: "done".to_owned() }).expect("somebody asks for it");
    turn_until(&mut spinner, "the answer of the first", || {
        received.extend(answers.try_iter());
        received.len() == 2
    });
    assert_eq!(received[1], (first, "done".to_owned()));
}

#[test]
fn a_serialized_message_is_published_as_it_is() {
    let node = node("serialized");
    let (publisher, _subscription, mut spinner, taken) = pair(&node, "states", TakeIn::WaitSet);
    assert!(publisher.publish_serialized(&[0, 1, 0]).is_err(), "no encapsulation");
    assert_eq!(publisher.subscription_count().expect("a count"), 1);
    let bytes = message("wrist").to_serialized_bytes().expect("serialized");
    publisher.publish_serialized(&bytes).expect("published");
    let mut received = Vec::new();
    turn_until(&mut spinner, "the message", || {
        received.extend(taken.try_iter());
        !received.is_empty()
    });
    assert!(received[0].0.starts_with(&bytes), "{:?}", received[0].0);
}

#[test]
fn a_service_that_nobody_offers_is_not_offered() {
    let node = node("lonely_asker");
    let client = Client::<Trigger>::new(&node, "nobody", |_, _| {}).expect("a client");
    assert_eq!(client.is_offered(), Ok(false));
}

const SET_BOOL: &str = "std_srvs/srv/SetBool";

fn serialized<T: WrappedTypesupport>(message: &T) -> Vec<u8> {
    message.to_serialized_bytes().expect("bytes")
}

fn set_bool() -> ServiceType {
    ServiceType::find(SET_BOOL).expect("an installed type")
}

#[test]
fn a_service_of_a_type_known_by_name_only_is_asked_and_answered_in_bytes() {
    let node = node("untyped");
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let handle = spinner.handle();
    let (requested, requests) = sync_channel(8);
    let service = SerializedService::new(set_bool(), &node, "switch", move |id, request| {
        requested.send((id, request)).expect("room");
    });
    let service = service.expect("a service");
    let (responded, responses) = sync_channel(8);
    let client = SerializedClient::new(set_bool(), &node, "switch", move |info, response| {
        responded.send((info.number, response)).expect("room");
    });
    let client = client.expect("a client");
    handle.add_service(&service).expect("a spinner that can be woken");
    handle.add_client(&client).expect("a spinner that can be woken");
    assert!(handle.add_client(&client).is_err(), "a client is served by one spinner, once");
    turn_until(&mut spinner, "the service", || client.is_offered().expect("an answer"));

    let number = client.send(&serialized(&set_bool::Request { data: true })).expect("a request");
    let mut request = None;
    turn_until(&mut spinner, "the request", || {
        request = requests.try_recv().ok();
        request.is_some()
    });
    let (id, request) = request.expect("a request");
    assert!(set_bool::Request::from_serialized_bytes(&request).expect("a request").data);

    let response = set_bool::Response { success: true, message: "on".into() };
    service.respond(id, &serialized(&response)).expect("a response");
    let mut answer = None;
    turn_until(&mut spinner, "the response", || {
        answer = responses.try_recv().ok();
        answer.is_some()
    });
    let (answered, answer) = answer.expect("a response");
    assert_eq!(answered, number);
    assert_eq!(set_bool::Response::from_serialized_bytes(&answer).expect("a response").message, "on");

    drop(service);
    turn_until(&mut spinner, "the end of the service", || !client.is_offered().expect("an answer"));
}

#[test]
fn bytes_that_are_no_request_are_refused_and_cost_nothing_else() {
    let node = node("garbage");
    let client = SerializedClient::new(set_bool(), &node, "switch", |_, _| {}).expect("a client");
    for garbage in [&[][..], &[0, 1, 0], &[0, 1, 0, 0]] {
        assert!(client.send(garbage).is_err(), "{garbage:?}");
    }
    let joints = ServiceType::find("rcl_interfaces/srv/SetParameters").expect("an installed type");
    let client = SerializedClient::new(joints, &node, "parameters", |_, _| {}).expect("a client");
    // A sequence that says it has 4,294,967,295 parameters, of which none comes.
    assert!(client.send(&[0, 1, 0, 0, 255, 255, 255, 255]).is_err());
    assert!(client.send(&serialized(&r2r::rcl_interfaces::srv::SetParameters::Request::default())).is_ok());
}

#[test]
fn a_default_response_is_one_of_the_type() {
    let response = set_bool().default_response().expect("bytes");
    assert_eq!(
        set_bool::Response::from_serialized_bytes(&response).expect("a response"),
        set_bool::Response::default()
    );
}

#[test]
fn a_service_type_that_is_none_is_told() {
    for (name, expected) in [
        ("std_srvs/srv/Unheard", "has no"),
        ("std_msgs/msg/String", "no service type"),
        ("unheard/srv/Of", "AMENT_PREFIX_PATH"),
        ("SetBool", "no message type"),
    ] {
        let told = ServiceType::find(name).err().expect(name).to_string();
        assert!(told.contains(expected), "{name}: {told}");
    }
}

#[test]
fn a_publisher_is_known_by_what_comes_with_its_messages() {
    let node = node("gids");
    let (sender, taken) = sync_channel(8);
    let mut spinner = Spinner::new(&node).expect("a spinner");
    let chatter = MessageType::find("std_msgs/msg/String").expect("an installed type");
    let subscription =
        Subscription::of_type(chatter, &node, "chatter", Qos::reliable(8), TakeIn::WaitSet, forward(sender))
            .expect("a subscription");
    spinner.handle().add_subscription(&subscription).expect("a spinner that can be woken");
    let publish = || SerializedPublisher::new(chatter, &node, "chatter", Qos::reliable(8)).expect("a publisher");
    let (ours, other) = (publish(), publish());
    turn_until(&mut spinner, "two publishers", || subscription.publisher_count().expect("a count") == 2);
    ours.publish(&serialized(&r2r::std_msgs::msg::String { data: "hello".into() })).expect("a message");
    let mut message = None;
    turn_until(&mut spinner, "the message", || {
        message = taken.try_recv().ok();
        message.is_some()
    });
    let (_, info) = message.expect("a message");
    assert_eq!(info.publisher, ours.gid().expect("an identity"));
    assert_ne!(info.publisher, other.gid().expect("an identity"));
}
