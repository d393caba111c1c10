//! A participant that is found soon, under Fast DDS 2.
//!
//! A Fast DDS participant announces itself before it listens (`RTPSParticipantImpl::enable`: the builtin protocols, with
//! the first announcement, and then "start reception"). A peer that answers sooner than that is not heard, and answers
//! once only; so each next learns of the other with the peer's next announcement, up to 3 s later. Ours comes every
//! second, for peers that have missed our answer in this way. What we miss ourselves, nothing here mends: a
//! `throughputController` would announce from another thread, and deadlocks when an endpoint is removed while nobody is
//! matched (the thread that sends the removal ends it too, and takes the flow controller's lock a second time).
//!
//! And a participant in the place of one that was killed gets the same ports, of which the one in shared memory is dead
//! to the peers that have it open: what they send is lost until their watchdog looks, and messages came 1.4 to 3.7 s
//! after such a restart. Another port for messages in every process mends that.

use std::ffi::c_char;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

use tempfile::NamedTempFile;

const PROFILE: &str = include_str!("fast_dds_profile.xml");

const PROFILE_VARIABLE: &str = "FASTRTPS_DEFAULT_PROFILES_FILE";

/// What the profile has in the place of the offset of the port for messages.
const USER_PORT_OFFSET: &str = "USER_PORT_OFFSET";

/// The offsets to choose from are 11, which is the default, 13, and so on (DDSI-RTPS 2.5, 9.6.2.3: `d3`, and 2 ports for
/// each participant). So many of them leave a domain's ports room for 30 participants before those of the next begin.
const USER_PORT_OFFSETS: usize = 90;
const DEFAULT_OFFSET: usize = 11;
const PARTICIPANTS: usize = 30;

/// Any of these is the user's own configuration of discovery, in which we do not meddle.
const USERS_VARIABLES: [&str; 3] = [PROFILE_VARIABLE, "FASTDDS_DEFAULT_PROFILES_FILE", "ROS_DISCOVERY_SERVER"];

/// Loaded by Fast DDS from the working directory, after the file that the variable names.
const USERS_FILE: &str = "DEFAULT_FASTRTPS_PROFILES.xml";

/// Distributions with Fast DDS 2; the next major version reads another format.
const DISTRIBUTIONS: [&str; 2] = ["humble", "jazzy"];

/// The profile's file, from the offer until Fast DDS has read it.
static FILE: Mutex<Option<NamedTempFile>> = Mutex::new(None);

/// Gives Fast DDS our profile, unless the user has one. To be called before the first participant is made.
pub(crate) fn offer_profile(domain_id: usize) {
    static OFFERED: Once = Once::new();
    OFFERED.call_once(|| {
        if is_ours_to_choose() && environment_is_as_it_began() {
            // Not worth failing for: without the profile, discovery is slower now and then.
            let _ = set_profile(domain_id);
        }
    });
}

fn is_ours_to_choose() -> bool {
    // The proof below needs stores that are seen in their order, as x86-64 promises.
    cfg!(all(target_arch = "x86_64", target_env = "gnu"))
        && crate::middleware() == "rmw_fastrtps_cpp"
        && DISTRIBUTIONS.contains(&r2r::ROS_DISTRO)
        && USERS_VARIABLES.iter().all(|name| std::env::var_os(name).is_none())
        && !Path::new(USERS_FILE).exists()
}

/// Whether the list of variables is the one that the kernel put on the stack: nobody has added a variable yet.
fn environment_is_as_it_began() -> bool {
    // SAFETY: reading the pointer, not what it points at; only those who add a variable write to it.
    let list = unsafe { (&raw const environ).read() }.addr();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).and_then(|line| line.split(' ').next());
    let bounds = stack.and_then(|range| range.split_once('-'));
    let address = |text| usize::from_str_radix(text, 16).ok();
    bounds.is_some_and(|(start, end)| address(start) <= Some(list) && Some(list) < address(end))
}

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

/// Fast DDS reads its configuration from a file alone, whose name it takes from the environment.
fn set_profile(domain_id: usize) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix("fast_dds_profile.").suffix(".xml").tempfile()?;
    let offset = user_port_offset(domain_id, is_free).to_string();
    file.write_all(PROFILE.replace(USER_PORT_OFFSET, &offset).as_bytes())?;
    let path = file.path().to_owned();
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    // SAFETY: what is to be feared is another thread in C's `getenv` whose list is freed or changed under it. (No
    // process that has loaded lttng-ust has one thread.) The variable is not set and the list is the kernel's, so glibc
    // copies it to a new one, publishes that, and then turns the NULL at its end into the new variable, with a second
    // NULL behind it: a reader goes through the old list, which stays as it is, or through the new one with or without
    // the new variable. Rust's own readers wait for std's lock.
    unsafe { std::env::set_var(PROFILE_VARIABLE, path) };
    Ok(())
}

/// Whether there is no port of this number in shared memory: nobody listens there, and nobody was killed there.
fn is_free(port: usize) -> bool {
    !Path::new(&format!("/dev/shm/fastrtps_port{port}")).exists()
}

/// The offset that leads to free ports for the most participants; the lowest take theirs first. Which one of several
/// such is chance, since processes that start together see the same.
fn user_port_offset(domain_id: usize, is_free: impl Fn(usize) -> bool) -> usize {
    let port = |step: usize| 7400 + 250 * domain_id + DEFAULT_OFFSET + 2 * step;
    // Once for each port: several offsets lead to it.
    let free: Vec<bool> = (0..USER_PORT_OFFSETS + PARTICIPANTS).map(|step| is_free(port(step))).collect();
    let begin = RandomState::new().build_hasher().finish() as usize % USER_PORT_OFFSETS;
    let steps = (begin..USER_PORT_OFFSETS).chain(0..begin);
    let step = steps
        .filter(|step| port(step + PARTICIPANTS) <= usize::from(u16::MAX))
        .max_by_key(|step| free[*step..][..PARTICIPANTS].iter().take_while(|is_free| **is_free).count());
    DEFAULT_OFFSET + 2 * step.unwrap_or(0)
}

/// Removes the file. To be called after the first participant was made: Fast DDS reads its configuration then, once.
pub(crate) fn profile_is_read() {
    FILE.lock().unwrap_or_else(PoisonError::into_inner).take();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_odd_and_stay_in_the_domain() {
        let range = DEFAULT_OFFSET..DEFAULT_OFFSET + 2 * USER_PORT_OFFSETS;
        assert!((0..100).all(|_| {
            let offset = user_port_offset(0, |_| true);
            offset % 2 == 1 && range.contains(&offset)
        }));
    }

    #[test]
    fn no_domain_leads_beyond_the_last_port() {
        let last = |domain_id| 7400 + 250 * domain_id + user_port_offset(domain_id, |_| true) + 2 * PARTICIPANTS;
        assert!((0..=232).all(|domain_id| last(domain_id) <= 65_535));
    }

    #[test]
    fn ports_that_are_taken_are_avoided_as_long_as_there_are_others() {
        let is_free = |port: usize| !(7400..7520).contains(&port);
        assert!((0..100).all(|_| user_port_offset(0, is_free) > 119));
        let one_is_free = |port: usize| port == 7461;
        assert_eq!(user_port_offset(0, one_is_free), 61);
    }
}
