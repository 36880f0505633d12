use std::collections::HashMap;
use std::fs;

use serde::Serialize;

/// What the processes of a kernel use: its own, and those that it has started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Memory in RAM, in bytes; what several of them share counts for each.
    pub memory_bytes: u64,
    /// Time on the processors since their start, in seconds.
    pub cpu_seconds: f64,
    /// How many they are.
    pub processes: u32,
}

/// A process as the system lists it.
struct Process {
    pid: u32,
    parent: u32,
    ticks: u64,
    pages: u64,
}

impl Usage {
    /// Of this process and its descendants; none where the system does not tell, or it is gone.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let entries = fs::read_dir("/proc").ok()?.flatten();
        let all: Vec<Process> = entries
            .filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?))
            .collect();
        let mut children: HashMap<u32, Vec<&Process>> = HashMap::new();
        for process in &all {
            children.entry(process.parent).or_default().push(process);
        }
        let mut left = vec![all.iter().find(|process| process.pid == pid)?];
        let mut usage = Self::default();
        while let Some(process) = left.pop() {
            usage.add(process);
            left.extend(children.get(&process.pid).into_iter().flatten());
        }
        Some(usage)
    }

    #[allow(clippy::cast_precision_loss, reason = "times on processors are short of 2^52 ticks")]
    fn add(&mut self, process: &Process) {
        self.memory_bytes += process.pages * rustix::param::page_size() as u64;
        self.cpu_seconds += process.ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        self.processes += 1;
    }
}

impl Process {
    /// Source: proc_pid_stat(5), counted from the state behind the name.
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: u32::try_from(number(1)?).ok()?,
            ticks: number(11)? + number(12)?,
            pages: number(21)?,
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn descendants_count() {
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.memory_bytes > 0 && own.processes >= 1, "{own:?}");
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 100 & wait"])
            .spawn()
            .unwrap();
        // The shell starts its own child some time.
        while Usage::of(child.id()).unwrap().processes < 2 {
            std::thread::yield_now();
        }
        let with_child = Usage::of(std::process::id()).unwrap();
        assert!(with_child.processes >= own.processes + 2, "{with_child:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(Usage::of(child.id()), None);
    }
}
