//! What the process takes of the system, by the names that every Prometheus
//! client gives them (proc(5)).

use std::fs;

use super::text::{Kind, Page};

/// Ticks of processor time in a second, as the kernel tells them to programs:
/// 100 wherever Linux runs (USER_HZ).
const TICKS: f64 = 100.0;

pub(super) fn write(page: &mut Page) {
    let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
    let stat = read("/proc/self/stat");
    let limits = read("/proc/self/limits");
    let system = read("/proc/stat");
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let status = read("/proc/self/status");
    let kibibytes = |name| field(&status, name).map(|kibibytes| kibibytes * 1024.0);
    let metrics = [
        (
            Kind::Counter,
            "process_cpu_seconds",
            "Processor time, of user and system.",
            ticks(&stat, 11)
                .zip(ticks(&stat, 12))
                .map(|(user, system)| user + system),
        ),
        (
            Kind::Gauge,
            "process_open_fds",
            "Open file descriptors.",
            // The one that listed them was among them.
            (open > 1).then(|| (open - 1) as f64),
        ),
        (
            Kind::Gauge,
            "process_max_fds",
            "File descriptors that may be open.",
            field(&limits, "Max open files"),
        ),
        (
            Kind::Gauge,
            "process_resident_memory_bytes",
            "Memory in use.",
            kibibytes("VmRSS:"),
        ),
        (
            Kind::Gauge,
            "process_virtual_memory_bytes",
            "Addresses in use.",
            kibibytes("VmSize:"),
        ),
        (
            Kind::Gauge,
            "process_threads",
            "Threads.",
            field(&status, "Threads:"),
        ),
        (
            Kind::Gauge,
            "process_start_time_seconds",
            "When the process began, since 1970.",
            ticks(&stat, 19)
                .zip(field(&system, "btime"))
                .map(|(since_boot, boot)| boot + since_boot),
        ),
    ];
    for (kind, name, help, value) in metrics {
        if let Some(value) = value {
            page.family(kind, name, help);
            let suffix = if kind == Kind::Counter { "_total" } else { "" };
            page.sample(name, suffix, &[], value);
        }
    }
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Seconds in a field of `stat`, counted from the one behind the command's
/// name, which may hold spaces and brackets itself.
fn ticks(stat: &str, index: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: f64 = fields.split_whitespace().nth(index)?.parse().ok()?;
    Some(ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_be_called_anything() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 0 0 0 0 0 250 150 0 0 20 0 1 0 4200 0 0";
        assert_eq!(ticks(stat, 11), Some(2.5));
        assert_eq!(ticks(stat, 12), Some(1.5));
        assert_eq!(ticks(stat, 19), Some(42.0));
        assert_eq!(ticks("", 11), None);
    }

    #[test]
    fn fields_are_found_by_name() {
        let limits =
            "Limit   Soft Limit\nMax open files            1024                 4096 files\n";
        assert_eq!(field(limits, "Max open files"), Some(1024.0));
        assert_eq!(field("Max open files unlimited", "Max open files"), None);
        assert_eq!(field("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12.0));
    }
}
