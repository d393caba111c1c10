//! Subscribes to topics through an endpoint of ROS-TCP, as Unity does, and measures what comes and how late.
//!
//! Prints a report, one line of JSON, when it has subscribed, on each SIGUSR1, and when SIGTERM or SIGINT ends it: messages and
//! bytes so far, latencies of those since the report before. A latency is that from the header's stamp to the moment when
//! the whole frame was read, so that all messages have to begin with a std_msgs/msg/Header of the same system clock.

use std::cell::RefCell;
use std::mem;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use clap::Parser;
use load::{percentiles, signals};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{interval, sleep};
use unity_protocol::{Decoder, Frame, Limits, encode};

/// How often the endpoint is asked for its topics, until those are there that are wanted.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// As Unity does, when it has nothing to say.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(1);

/// Read at once, at least.
const READ_BYTES: usize = 64 << 10;

/// Subscribes to topics through an endpoint of ROS-TCP, as soon as it knows them.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Arguments {
    /// Topics to subscribe to, with their types: /joint_states=sensor_msgs/JointState
    #[arg(required = true)]
    topics: Vec<Topic>,
    /// Address and port of the endpoint
    #[arg(long, default_value = "127.0.0.1:10000")]
    address: String,
    /// Messages of each topic that may wait for this client; not given: as many as the endpoint likes
    #[arg(long)]
    queue_size: Option<u32>,
    /// Read nothing any more as soon as it has subscribed
    #[arg(long)]
    stall: bool,
}

/// A topic and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Topic {
    name: String,
    type_name: String,
}

impl FromStr for Topic {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, type_name) = text.split_once('=').ok_or("not a topic and its type with = between")?;
        Ok(Self { name: name.to_owned(), type_name: type_name.to_owned() })
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    signals::runtime()?.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<()> {
    let address = &arguments.address;
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    let (mut incoming, mut outgoing) = halves(stream)?;
    let intake = Intake { topics: arguments.topics.clone(), arrived: RefCell::default() };
    subscribe(&mut incoming, &mut outgoing, &intake, arguments.queue_size).await?;
    tokio::select! {
        ended = take(&mut incoming, &intake), if !arguments.stall => ended,
        ended = outgoing.keep_alive() => ended,
        ended = signals::reports(|| intake.report()) => ended,
    }?;
    intake.report();
    Ok(())
}

fn halves(stream: TcpStream) -> Result<(Incoming, Outgoing)> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let incoming = Incoming { stream: read, received: BytesMut::new(), decoder: Decoder::new(Limits::default()) };
    Ok((incoming, Outgoing { stream: write }))
}

/// Subscribes, and returns when the endpoint has done so.
async fn subscribe(
    incoming: &mut Incoming,
    outgoing: &mut Outgoing,
    intake: &Intake,
    queue_size: Option<u32>,
) -> Result<()> {
    // The endpoint subscribes by what publishers offer. Where it has to do so before it knows any, it does so anew later, and
    // what comes meanwhile is lost.
    loop {
        let known = topics_known(incoming, outgoing, intake).await?;
        if intake.topics.iter().all(|topic| known.contains(&topic.name)) {
            break;
        }
        sleep(ASK_EVERY).await;
    }
    for Topic { name, type_name } in &intake.topics {
        let subscription = Subscription { topic: name, message_name: type_name, queue_size };
        outgoing.command("__subscribe", &subscription).await?;
    }
    // Commands are done one after the other: the answer to the last tells that the others are done.
    topics_known(incoming, outgoing, intake).await?;
    Ok(())
}

/// Asks for all topics; what comes before the answer is taken in.
async fn topics_known(incoming: &mut Incoming, outgoing: &mut Outgoing, intake: &Intake) -> Result<Vec<String>> {
    outgoing.command("__topic_list", &serde_json::json!({})).await?;
    loop {
        let frame = incoming.next().await?;
        if frame.destination() == "__topic_list" {
            let list: TopicList = serde_json::from_slice(&frame.payload).context("the list of topics")?;
            return Ok(list.topics);
        }
        intake.receive(&frame)?;
    }
}

async fn take(incoming: &mut Incoming, intake: &Intake) -> Result<()> {
    loop {
        intake.receive(&incoming.next().await?)?;
    }
}

/// What is done with what comes.
struct Intake {
    topics: Vec<Topic>,
    arrived: RefCell<Arrived>,
}

impl Intake {
    /// Counts a message; gives up at an error that the endpoint tells.
    fn receive(&self, frame: &Frame) -> Result<()> {
        let text = || String::from_utf8_lossy(&frame.payload);
        match frame.destination() {
            topic if self.topics.iter().any(|known| known.name == topic) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
                self.arrived.borrow_mut().add(&frame.payload, now)?;
            }
            "__error" => bail!("the endpoint says: {}", text()),
            "__warn" => eprintln!("the endpoint says: {}", text()),
            _ => {}
        }
        Ok(())
    }

    fn report(&self) {
        println!("{}", self.arrived.borrow_mut().report());
    }
}

#[derive(Serialize)]
struct Subscription<'a> {
    topic: &'a str,
    message_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_size: Option<u32>,
}

#[derive(Deserialize)]
struct TopicList {
    topics: Vec<String>,
}

/// What the endpoint sends.
struct Incoming {
    stream: OwnedReadHalf,
    received: BytesMut,
    decoder: Decoder,
}

impl Incoming {
    async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.received)? {
                return Ok(frame);
            }
            self.received.reserve(self.decoder.missing_bytes().max(READ_BYTES));
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the endpoint has closed the connection");
            }
        }
    }
}

/// What the endpoint is sent, as Unity does: names and JSON end in NUL, and each frame is one write.
struct Outgoing {
    stream: OwnedWriteHalf,
}

impl Outgoing {
    async fn command(&mut self, name: &str, fields: &impl Serialize) -> Result<()> {
        self.write(command(name, fields)?).await
    }

    async fn keep_alive(&mut self) -> Result<()> {
        let mut due = interval(KEEPALIVE_EVERY);
        loop {
            due.tick().await;
            self.write(encode::frame("", b"")).await?;
        }
    }

    async fn write(&mut self, frame: Bytes) -> Result<()> {
        self.stream.write_all(&frame).await.context("cannot write to the endpoint")
    }
}

fn command(name: &str, fields: &impl Serialize) -> Result<Bytes> {
    let mut json = serde_json::to_vec(fields)?;
    json.push(0);
    Ok(encode::frame(&format!("{name}\0"), &json))
}

/// What has come.
#[derive(Debug, Default)]
struct Arrived {
    messages: u64,
    bytes: u64,
    /// Since the last report.
    latencies: Vec<Duration>,
}

impl Arrived {
    /// Counts a message that was whole at `now`, which is since the epoch.
    fn add(&mut self, message: &[u8], now: Duration) -> Result<()> {
        let stamp = cdr::Reader::open(message)?.stamp()?;
        let stamp = Duration::from_nanos(stamp.clock_nanoseconds().try_into().context("a stamp before the epoch")?);
        self.messages += 1;
        self.bytes += message.len() as u64;
        self.latencies.push(now.saturating_sub(stamp));
        Ok(())
    }

    fn report(&mut self) -> String {
        let (messages, bytes) = (self.messages, self.bytes);
        let latencies = percentiles::json_fields(mem::take(&mut self.latencies));
        format!(r#"{{"messages": {messages}, "bytes": {bytes}, {latencies}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use load::message::{ImageMessage, SwingingJoints};
    use tokio::net::TcpListener;
    use unity_protocol::{Command, Event, Session, SessionLimits};

    use super::*;

    const STAMP: cdr::Stamp = cdr::Stamp { sec: 1_700_000_000, nanosec: 5_000_000 };

    fn after_the_stamp(milliseconds: u64) -> Duration {
        Duration::from_secs(1_700_000_000) + Duration::from_millis(5 + milliseconds)
    }

    #[test]
    fn latencies_are_since_the_stamp_and_told_once() {
        let mut message = SwingingJoints::new(&["a".to_owned()], &joint_state::Field::ALL);
        message.set_stamp(STAMP);
        let mut arrived = Arrived::default();
        for milliseconds in [3, 1, 2] {
            arrived.add(message.as_bytes(), after_the_stamp(milliseconds)).expect("a message with a header");
        }
        let bytes = 3 * message.as_bytes().len();
        let counts = format!(r#""messages": 3, "bytes": {bytes}"#);
        let latencies = r#""p50_seconds": 0.002000000, "p99_seconds": 0.003000000, "max_seconds": 0.003000000"#;
        assert_eq!(arrived.report(), format!("{{{counts}, {latencies}}}"));
        let none = r#""p50_seconds": null, "p99_seconds": null, "max_seconds": null"#;
        assert_eq!(arrived.report(), format!("{{{counts}, {none}}}"));
    }

    #[test]
    fn a_message_from_the_future_has_no_latency() {
        let mut message = ImageMessage::compressed(64);
        message.set_stamp(STAMP);
        let mut arrived = Arrived::default();
        arrived.add(message.as_bytes(), Duration::from_secs(1_600_000_000)).expect("a message with a header");
        assert_eq!(arrived.latencies, [Duration::ZERO]);
    }

    #[test]
    fn what_has_no_stamp_is_told() {
        assert!(Arrived::default().add(b"\0\x01\0\0", Duration::ZERO).is_err());
    }

    #[test]
    fn the_endpoint_understands_the_subscription() {
        let topic: Topic = "/a=sensor_msgs/Image".parse().expect("a topic and its type");
        for queue_size in [None, Some(7)] {
            let fields = Subscription { topic: &topic.name, message_name: &topic.type_name, queue_size };
            let mut bytes = BytesMut::from(command("__subscribe", &fields).expect("JSON"));
            let frame = Decoder::new(Limits::default()).decode(&mut bytes).expect("good").expect("whole");
            let message_type = "sensor_msgs/msg/Image".to_owned();
            let (topic, qos) = ("/a".to_owned(), unity_protocol::QosRequest::default());
            let expected = Event::Command(Command::Subscribe { topic, message_type, queue_size, qos });
            assert_eq!(Session::new(SessionLimits::default()).receive(frame), expected);
        }
    }

    #[test]
    fn an_error_of_the_endpoint_ends_it_and_what_is_not_asked_for_does_not_count() {
        let topics = vec!["/a=sensor_msgs/Image".parse().expect("a topic and its type")];
        let intake = Intake { topics, arrived: RefCell::default() };
        let message = ImageMessage::compressed(64);
        let receive = |destination: &str, payload: &[u8]| {
            intake.receive(&Frame::new(destination.into(), Bytes::copy_from_slice(payload)))
        };
        for destination in ["/a", "/b", "__handshake", "__warn", ""] {
            receive(destination, message.as_bytes()).expect(destination);
        }
        assert_eq!(intake.arrived.borrow().messages, 1);
        let error = receive("__error", br#"{"text":"subscribe /a: not allowed"}"#).expect_err("an error");
        assert!(error.to_string().contains("not allowed"), "{error}");
    }

    /// The other end: what it is asked, and what it answers.
    struct Endpoint {
        incoming: Incoming,
        outgoing: Outgoing,
    }

    impl Endpoint {
        async fn expect(&mut self, command: &str) {
            let frame = self.incoming.next().await.expect("a frame");
            assert_eq!(frame.destination(), command);
        }

        async fn tell(&mut self, frame: Bytes) {
            self.outgoing.write(frame).await.expect("a client that reads");
        }
    }

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.expect("a client"), accepted.expect("a client").0)
    }

    #[test]
    fn it_subscribes_as_soon_as_the_endpoint_knows_the_topics() {
        let topics: Vec<Topic> = ["/a=a/A", "/b=b/B"].map(|topic| topic.parse().expect("a topic")).to_vec();
        let intake = Intake { topics, arrived: RefCell::default() };
        let types = ["/a", "/b"].map(|topic| (topic, "any/msg/Type"));
        let client = async |stream| {
            let (mut incoming, mut outgoing) = halves(stream).expect("a socket");
            subscribe(&mut incoming, &mut outgoing, &intake, None).await
        };
        let endpoint = async |stream| {
            let (incoming, outgoing) = halves(stream).expect("a socket");
            let mut endpoint = Endpoint { incoming, outgoing };
            endpoint.tell(encode::handshake()).await;
            for known in [0, 1, 2] {
                endpoint.expect("__topic_list").await;
                endpoint.tell(encode::topic_list(types[..known].iter().copied())).await;
            }
            for command in ["__subscribe", "__subscribe", "__topic_list"] {
                endpoint.expect(command).await;
            }
            endpoint.tell(encode::frame("/a", ImageMessage::compressed(64).as_bytes())).await;
            endpoint.tell(encode::topic_list([])).await;
        };
        signals::runtime().expect("a runtime").block_on(async {
            let (ours, theirs) = connected().await;
            let (subscribed, ()) = tokio::join!(client(ours), endpoint(theirs));
            subscribed.expect("an endpoint that answers");
        });
        assert_eq!(intake.arrived.borrow().messages, 1, "what came before the answer");
    }

    #[test]
    fn a_topic_needs_its_type() {
        assert!("/joint_states".parse::<Topic>().is_err());
    }
}
