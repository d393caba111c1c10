//! What the NVIDIA GPUs of this machine have and use, read when a scrape asks for it.
//!
//! NVML comes with the driver. It is loaded once, when the node starts; where it is not there, nothing is shown. It mostly
//! answers within a millisecond, but may take seconds to begin and, with a GPU that has failed, for ever. So a thread of
//! its own asks it, and a scrape waits for that thread no longer than [`PATIENCE`].

use std::mem::ManuallyDrop;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use node_runtime::Failure;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::struct_wrappers::device::MemoryInfo;
use nvml_wrapper::{Device, Nvml};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

/// How long a scrape waits for NVML: many times what it takes, and not so long that the web server seems to stand still.
const PATIENCE: Duration = Duration::from_millis(100);

/// Reads the GPUs anew for every scrape. What NVML does not tell, or not in time, has no series.
pub(crate) struct Gpus {
    families: Families,
    /// Has room for one question: while two are unanswered, no scrape waits for a third.
    questions: SyncSender<()>,
    /// Has room for two, so that the thread never waits: a scrape takes out what is there before it asks.
    answers: Mutex<Receiver<Vec<MetricFamily>>>,
}

impl Gpus {
    /// Starts the thread, which ends when there is no NVML, else with this.
    pub(crate) fn new() -> Result<Self, Failure> {
        let families = Families::new()?;
        let (questions, asked) = mpsc::sync_channel(1);
        let (answer, answers) = mpsc::sync_channel(2);
        let read = families.clone();
        Builder::new().name("gpu".into()).spawn(move || answer_all(&read, &asked, &answer))?;
        Ok(Self { families, questions, answers: Mutex::new(answers) })
    }
}

impl Collector for Gpus {
    fn desc(&self) -> Vec<&Desc> {
        self.families.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that came too late for their scrapes are as old as these.
        answers.try_iter().for_each(drop);
        if self.questions.try_send(()).is_err() {
            return Vec::new();
        }
        answers.recv_timeout(PATIENCE).unwrap_or_default()
    }
}

/// The thread: answers each question by what NVML tells then.
fn answer_all(families: &Families, asked: &Receiver<()>, answer: &SyncSender<Vec<MetricFamily>>) {
    let nvml = match Nvml::init() {
        // The end of the process gives it back: nobody waits for this thread, and to unload a library while the exit
        // handlers run could crash in them.
        Ok(nvml) => ManuallyDrop::new(nvml),
        Err(error) => return tracing::debug!(%error, "without NVML no GPU is shown"),
    };
    while asked.recv().is_ok() && answer.send(families.read(&nvml)).is_ok() {}
}

/// The families, each with a series for every GPU that tells its value. Cheap to clone; clones share the series.
#[derive(Clone)]
struct Families {
    utilization: GaugeVec,
    memory_used: GaugeVec,
    memory_total: GaugeVec,
    temperature: GaugeVec,
    power: GaugeVec,
}

impl Families {
    fn new() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &["gpu", "uuid", "name"]);
        Ok(Self {
            utilization: gauge(
                "gpu_utilization_ratio",
                "Share of the driver's last sample period (a second or less) in which the GPU ran something.",
            )?,
            memory_used: gauge("gpu_memory_used_bytes", "Memory of the GPU that is in use.")?,
            memory_total: gauge("gpu_memory_total_bytes", "Memory of the GPU.")?,
            temperature: gauge("gpu_temperature_celsius", "Temperature of the GPU.")?,
            power: gauge("gpu_power_watts", "Power that the GPU and its board draw.")?,
        })
    }

    fn all(&self) -> [&GaugeVec; 5] {
        [&self.utilization, &self.memory_used, &self.memory_total, &self.temperature, &self.power]
    }

    fn read(&self, nvml: &Nvml) -> Vec<MetricFamily> {
        self.all().into_iter().for_each(GaugeVec::reset);
        for index in 0..nvml.device_count().unwrap_or(0) {
            if let Ok(gpu) = nvml.device_by_index(index) {
                self.read_gpu(index, &gpu);
            }
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }

    fn read_gpu(&self, index: u32, gpu: &Device<'_>) {
        let labels = [index.to_string(), gpu.uuid().unwrap_or_default(), gpu.name().unwrap_or_default()];
        let show = |family: &GaugeVec, value: Option<f64>| {
            if let Some(value) = value {
                family.with_label_values(&labels).set(value);
            }
        };
        let memory = gpu.memory_info().ok();
        let bytes = |of: fn(&MemoryInfo) -> u64| memory.as_ref().map(|memory| of(memory) as f64);
        show(&self.utilization, gpu.utilization_rates().ok().map(|percent| f64::from(percent.gpu) / 100.0));
        show(&self.memory_used, bytes(|memory| memory.used));
        show(&self.memory_total, bytes(|memory| memory.total));
        show(&self.temperature, gpu.temperature(TemperatureSensor::Gpu).ok().map(f64::from));
        show(&self.power, gpu.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1000.0));
    }
}
