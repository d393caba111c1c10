//! What this process has used so far, as Linux accounts for it.

use std::fs;

use anyhow::{Context, Result};

/// The unit of times in `/proc/<pid>/stat`: `USER_HZ`, which is 100 on every architecture that ROS 2 supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of all threads, those that have ended included.
pub fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    parse_cpu_seconds(&stat).context("/proc/self/stat is not as proc(5) describes it")
}

fn parse_cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the command in parentheses and may itself contain spaces and parentheses.
    let (_, after_command) = stat.rsplit_once(')')?;
    let mut fields = after_command.split_ascii_whitespace().skip(11);
    let user_ticks: u64 = fields.next()?.parse().ok()?;
    let system_ticks: u64 = fields.next()?.parse().ok()?;
    Some((user_ticks + system_ticks) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_command_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 10 18446744073709551615";
        assert_eq!(parse_cpu_seconds(stat), Some(3.0));
    }
}
