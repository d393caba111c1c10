//! A robot and its simulated twin: where the robot is, how far the twin is from it with their lag taken out, what is to be
//! thought of that, and what the twin is to be told.
//!
//! A [`Synchronizer`] takes the joint states of both sources as they arrive and tells in each [`Tick`] what is so.
//!
//! What holds:
//! - **Equal times or none.** Two positions are compared at one time that both sources know, each interpolated between its
//!   own samples; what was in a gap or is stale is compared with nothing.
//! - **Absent is not zero.** No twin has no quality, no motion has no lag, and what stopped is held, then lost, then gone.
//! - **Fixed memory, bounded work.** Memory is taken when a joint is admitted. A tick analyses nothing; one joint at a time is
//!   analysed in between.
//! - **Nobody is commanded unasked.** The default measures; a joint without known limits is told nothing.
//!
//! No ROS and no clock here: times are arguments, in nanoseconds. Not for: the safety of people or machines.
//!
//! ```
//! use twin_sync::{JointValue, Settings, Source, State, Synchronizer};
//!
//! let mut synchronizer = Synchronizer::new(Settings::default());
//! let elbow = synchronizer.joint(Source::Reference, "elbow")?.expect("all joints are followed");
//! for now_ns in (0..1_000_000_000).step_by(10_000_000) {
//!     for (source, position) in [(Source::Reference, 1.5), (Source::Twin, 1.498)] {
//!         let value = JointValue { joint: elbow, position, velocity: f64::NAN, effort: f64::NAN };
//!         synchronizer.ingest(source, None, now_ns, &[value]);
//!     }
//!     synchronizer.analyse_next(now_ns);
//!     synchronizer.tick(now_ns);
//! }
//! let tick = synchronizer.tick(1_000_000_000);
//! assert_eq!(tick.state, State::Synced);
//! assert_eq!(tick.joints[elbow.index()].reference.map(|reading| reading.position), Some(1.5));
//! assert!((tick.quality.expect("a twin") - 0.8).abs() < 1e-9);
//! # Ok::<(), twin_sync::TooManyJoints>(())
//! ```

mod alignment;
mod analysis;
mod angle;
mod commander;
mod comparison;
mod correlation;
mod history;
mod ingest;
mod ingested;
mod interpolation;
mod joints;
mod lags;
mod line;
mod refusal;
mod segment;
mod settings;
mod state;
mod state_machine;
mod statistics;
mod synchronizer;
mod tick;
mod time_map;
mod trace;

pub use alignment::Alignment;
pub use analysis::Analysis;
pub use correlation::Lag;
pub use ingested::{Flush, Ingested, JointValue};
pub use interpolation::{Basis, Interpolation, Reading};
pub use joints::{JointId, JointLimits, Source, TooManyJoints};
pub use refusal::Refusal;
pub use segment::Segment;
pub use settings::{JOINTS_MAX, Settings, Sign, TimeAlignment};
pub use state::{Cause, State, Transition};
pub use statistics::ErrorStatistics;
pub use synchronizer::{SourceClock, Synchronizer};
pub use tick::{JointError, JointTick, Moment, ResyncProgress, Tick};
