//! Writing what nodes, pods and containers have alike.

use super::kubelet::Capacity;
use super::metrics::{CpuMetrics, FsMetrics, MemoryMetrics, Metrics, NetworkMetrics, Ratios};
use super::pods::Resources;
use super::summary::{Cpu, Fs, Memory, Network, Time};
use crate::scrape::Emit;

const NANOS: f64 = 1e9;

/// Writes what is known of a number.
pub(super) fn int(out: &mut Emit<'_, Metrics>, metric: Metrics, value: Option<u64>) {
    if let Some(value) = value {
        out.int(metric, value);
    }
}

/// Writes the use of CPUs; `usage` makes CPUs of the time spent and when it was read.
pub(super) fn cpu(
    out: &mut Emit<'_, Metrics>,
    metrics: &CpuMetrics,
    cpu: Option<&Cpu>,
    (resources, capacity): (Resources, Capacity),
    usage: impl FnOnce(u64, u64) -> Option<f64>,
) {
    let Some(cpu) = cpu else { return };
    let Some(spent) = cpu.usage_core_nano_seconds else {
        return;
    };
    out.double(metrics.time, spent as f64 / NANOS);
    let Some(usage) = usage(spent, cpu.time.0) else {
        return;
    };
    out.double(metrics.usage, usage);
    let whole = (capacity.cpu, resources.cpu_limit, resources.cpu_request);
    ratios(out, metrics.ratios.as_ref(), usage, whole);
}

/// Writes a use as parts of what the node has, of a limit and of a request, where these are known.
fn ratios(
    out: &mut Emit<'_, Metrics>,
    metrics: Option<&Ratios>,
    used: f64,
    (node, limit, request): (f64, f64, f64),
) {
    let Some(metrics) = metrics else { return };
    for (metric, whole) in [
        (metrics.of_node, node),
        (metrics.of_limit, limit),
        (metrics.of_request, request),
    ] {
        if whole > 0.0 {
            out.double(metric, used / whole);
        }
    }
}

/// Writes the use of memory.
pub(super) fn memory(
    out: &mut Emit<'_, Metrics>,
    metrics: &MemoryMetrics,
    memory: Option<&Memory>,
    (resources, capacity): (Resources, Capacity),
) {
    let Some(memory) = memory else { return };
    for (metric, value) in [
        (metrics.available, memory.available_bytes),
        (metrics.major_page_faults, memory.major_page_faults),
        (metrics.page_faults, memory.page_faults),
        (metrics.rss, memory.rss_bytes),
        (metrics.usage, memory.usage_bytes),
        (metrics.working_set, memory.working_set_bytes),
    ] {
        int(out, metric, value);
    }
    if let Some(used) = memory.usage_bytes {
        let whole = (
            capacity.memory,
            resources.memory_limit,
            resources.memory_request,
        );
        ratios(out, metrics.ratios.as_ref(), used as f64, whole);
    }
}

/// Writes how full a file system is.
pub(super) fn fs(out: &mut Emit<'_, Metrics>, metrics: &FsMetrics, fs: Option<&Fs>) {
    let Some(fs) = fs else { return };
    int(out, metrics.0, fs.available_bytes);
    int(out, metrics.1, fs.capacity_bytes);
    int(out, metrics.2, fs.used_bytes);
}

/// Writes what went over the default interface, or over all of them.
pub(super) fn network(
    out: &mut Emit<'_, Metrics>,
    metrics: &NetworkMetrics,
    network: Option<&Network>,
    all: bool,
) {
    let Some(network) = network else { return };
    let mut errors = Vec::new();
    let mut bytes = Vec::new();
    match all {
        true => {
            for one in &network.interfaces {
                errors.push((one.name.as_str(), one.rx_errors, one.tx_errors));
                bytes.push((one.name.as_str(), one.rx_bytes, one.tx_bytes));
            }
        }
        false => {
            errors.push((&network.name, network.rx_errors, network.tx_errors));
            bytes.push((&network.name, network.rx_bytes, network.tx_bytes));
        }
    }
    for (metric, of) in [(metrics.0, errors), (metrics.1, bytes)] {
        out.metric(metric, |points| {
            for (name, received, sent) in of {
                for (value, direction) in [(received, "receive"), (sent, "transmit")] {
                    if let Some(value) = value {
                        points.int(value, &[name, direction]);
                    }
                }
            }
        });
    }
}

/// Writes for how many seconds something has been up.
pub(super) fn uptime(out: &mut Emit<'_, Metrics>, metric: Metrics, start: Time, time: u64) {
    if start.0 > 0 {
        out.int(metric, time.saturating_sub(start.0) / 1_000_000_000);
    }
}
