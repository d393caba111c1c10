//! Which process of this host a participant is, and what it uses.
//!
//! Fast DDS writes the vendor, a number of the host and the lower half of the process's number into a participant's
//! identity. Other middlewares do not, and another host's processes are not here: then nothing is told.

use std::collections::BTreeMap;

use procfs::process::{Process, all_processes};
use procfs::{WithCurrentSystemInfo, ticks_per_second};

/// The part of an identity that all endpoints of a participant share (DDSI-RTPS 2.5 §9.3.1.1).
pub(crate) const PREFIX_BYTES: usize = 12;

/// A participant's identity: one for each process, mostly.
pub(crate) type Participant = [u8; PREFIX_BYTES];

/// eProsima's number among the vendors of DDS.
const FAST_DDS: [u8; 2] = [0x01, 0x0f];

/// Where the host and the process stand in an identity.
const HOST: std::ops::Range<usize> = 2..4;
const PROCESS: std::ops::Range<usize> = 4..6;

/// What its library is called, before and after Fast DDS 3.
const LIBRARIES: [&str; 2] = ["libfastrtps", "libfastdds"];

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Use {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
}

/// The processes that were found.
#[derive(Default)]
pub(crate) struct Processes {
    found: BTreeMap<Participant, Option<i32>>,
}

impl Processes {
    /// What the process of this participant uses, if it runs on the host of `own`, this process's participant.
    pub(crate) fn use_of(&mut self, participant: &Participant, own: &Participant) -> Option<Use> {
        if !participant.starts_with(&FAST_DDS) || participant[HOST] != own[HOST] {
            return None;
        }
        let lower_half = u16::from_le_bytes([participant[PROCESS.start], participant[PROCESS.start + 1]]);
        let process_id = (*self.found.entry(*participant).or_insert_with(|| find(lower_half)))?;
        read(process_id)
    }

    /// Forgets the participants that are not there any more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&Participant) -> bool) {
        self.found.retain(|participant, _| is_there(participant));
    }
}

/// The one process whose number ends like this and that has loaded Fast DDS; none where there are several.
fn find(lower_half: u16) -> Option<i32> {
    let ends_like_this = |process: &Process| process.pid as u32 & 0xffff == u32::from(lower_half);
    let mut candidates = all_processes().ok()?.flatten().filter(ends_like_this).filter(has_fast_dds);
    let first = candidates.next()?;
    candidates.next().is_none().then_some(first.pid)
}

fn has_fast_dds(process: &Process) -> bool {
    let is_it = |path: &std::path::Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        LIBRARIES.iter().any(|library| name.starts_with(library))
    };
    let maps = process.maps().ok();
    maps.is_some_and(|maps| {
        maps.into_iter().any(|map| matches!(map.pathname, procfs::process::MMapPath::Path(path) if is_it(&path)))
    })
}

fn read(process_id: i32) -> Option<Use> {
    let stat = Process::new(process_id).ok()?.stat().ok()?;
    Some(Use {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks_per_second() as f64,
        resident_bytes: stat.rss_bytes().get(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(vendor: [u8; 2], host: [u8; 2]) -> Participant {
        let mut participant = Participant::default();
        participant[..2].copy_from_slice(&vendor);
        participant[HOST].copy_from_slice(&host);
        participant[PROCESS].copy_from_slice(&(std::process::id() as u16).to_le_bytes());
        participant
    }

    #[test]
    fn this_process_is_found_by_its_identity() {
        let own = identity(FAST_DDS, [1, 2]);
        let mut processes = Processes::default();
        let used = processes.use_of(&own, &own).expect("this process");
        assert!(used.resident_bytes > 1_000_000, "{used:?}");
        assert_eq!(processes.use_of(&identity(FAST_DDS, [1, 3]), &own), None, "another host");
        assert_eq!(processes.use_of(&identity([0x01, 0x10], [1, 2]), &own), None, "another vendor");
    }
}
