//! What the system says of the machine and of a process, read from `/proc`. It changes nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

/// Linux counts the time of processes in hundredths of a second on every architecture that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// One line that says where the numbers come from.
pub(crate) fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(Path::new("/proc/meminfo"), "MemTotal").unwrap_or(0.0) / 1024.0;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!("{cores} cores of {model}, {memory:.1} GiB of memory, load {load} before the run")
}

/// Megabytes of memory that a process has in use now.
pub(crate) fn resident(pid: u32) -> anyhow::Result<f64> {
    field(Path::new(&format!("/proc/{pid}/status")), "VmRSS")
}

/// Megabytes of that which are the process's own: without the pages of its program file, which the system may drop.
pub(crate) fn own(pid: u32) -> anyhow::Result<f64> {
    field(Path::new(&format!("/proc/{pid}/status")), "RssAnon")
}

/// Time that a process has spent on a processor.
pub(crate) fn busy(pid: u32) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; user and system time are the 12th and 13th field after it.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum();
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// A field in kB, as megabytes.
fn field(file: &Path, name: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string(file)?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    let value = value.with_context(|| format!("{} has no {name}", file.display()))?;
    Ok(value / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_of_its_own() {
        let pid = std::process::id();
        let (all, own) = (resident(pid).unwrap(), own(pid).unwrap());
        assert!(own > 0.0 && own < all, "{own} of {all}");
        busy(pid).unwrap();
    }
}
