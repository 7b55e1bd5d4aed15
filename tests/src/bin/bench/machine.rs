//! What the system says of the machine and of a process, read from `/proc`. It changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

/// Linux counts the time of processes in hundredths of a second on every architecture that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What [`busy_family`] calls this process.
pub(crate) const OWN: &str = "";

/// Time on processors by program.
pub(crate) type Busy = BTreeMap<String, Duration>;

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
    let (_, times) = stat(pid)?;
    Ok(seconds(times.iter().take(2).sum()))
}

/// Time that this process and those that it has started have spent on processors, by program. What it has started and
/// has ended counts as its own.
pub(crate) fn busy_family() -> anyhow::Result<Busy> {
    let own = std::process::id();
    let (_, times) = stat(own)?;
    let mut busy = Busy::from([(OWN.to_owned(), seconds(times.iter().sum()))]);
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Processes of others come and go meanwhile.
        let (Ok((parent, times)), Ok(program)) = (stat(pid), program(pid)) else {
            continue;
        };
        if parent == own {
            *busy.entry(program).or_default() += seconds(times.iter().sum());
        }
    }
    Ok(busy)
}

/// The program of a process by its file; of `tiphys` with its role.
fn program(pid: u32) -> anyhow::Result<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
    let mut words = line.split('\0');
    let file = words.next().context("no program")?;
    let name = file.rsplit('/').next().unwrap_or(file);
    Ok(match words.next() {
        Some(role) if name == "tiphys" => format!("{name} {role}"),
        _ => name.to_owned(),
    })
}

fn seconds(ticks: f64) -> Duration {
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

/// The parent of a process; its own time in user and in system mode; and the same of children that it has waited for.
fn stat(pid: u32) -> anyhow::Result<(u32, [f64; 4])> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything.
    let (_, fields) = text.rsplit_once(')').context("no name")?;
    let mut fields = fields.split_whitespace().skip(1);
    let parent = fields.next().context("no parent")?.parse()?;
    let mut fields = fields.skip(9);
    let mut times = [0.0; 4];
    for time in &mut times {
        *time = fields.next().context("no time")?.parse()?;
    }
    Ok((parent, times))
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

    #[test]
    fn a_program_that_was_started_is_known_by_its_file() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let busy = busy_family().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(busy.contains_key("sleep"), "{busy:?}");
    }

    #[test]
    fn a_family_is_busy_with_what_its_children_do() {
        let own = || busy_family().unwrap()[OWN];
        let before = own();
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .spawn()
            .unwrap();
        child.wait().unwrap();
        assert!(own() > before);
    }
}
