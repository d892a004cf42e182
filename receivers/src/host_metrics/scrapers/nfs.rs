//! `nfs`: what the kernel's NFS client and server did.

use tidegate_pdata::compose::{Kind, Value};

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault_in};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Emit, Faults, Part, Reader, metrics};

metrics! {
    /// What `nfs` makes.
    pub(in crate::host_metrics) enum Metrics {
    ClientNetCount: on "nfs.client.net.count" ["{record}"] Kind::COUNTER,
        ["network.transport"];
        "Reports the count of kernel NFS client TCP segments and UDP datagrams handled."
    ClientNetTcpConnectionAccepted: on "nfs.client.net.tcp.connection.accepted" ["{connection}"] Kind::COUNTER,
        [];
        "Reports the count of kernel NFS client TCP connections accepted"
    ClientOperationCount: on "nfs.client.operation.count" ["{operation}"] Kind::COUNTER,
        ["onc_rpc.version", "nfs.operation.name"];
        "Reports the count of kernel NFSv4+ client operations"
    ClientProcedureCount: on "nfs.client.procedure.count" ["{procedure}"] Kind::COUNTER,
        ["onc_rpc.version", "onc_rpc.procedure.name"];
        "Reports the count of kernel NFS client procedures"
    ClientRpcAuthrefreshCount: on "nfs.client.rpc.authrefresh.count" ["{authrefresh}"] Kind::COUNTER,
        [];
        "Reports the count of kernel NFS client RPC authentication refreshes"
    ClientRpcCount: on "nfs.client.rpc.count" ["{request}"] Kind::COUNTER,
        [];
        "Reports the count of kernel NFS client RPCs sent, regardless of whether they're accepted/rejected by the server."
    ClientRpcRetransmitCount: on "nfs.client.rpc.retransmit.count" ["{retransmit}"] Kind::COUNTER,
        [];
        "Reports the count of kernel NFS client RPC retransmits"
    ServerFhStaleCount: on "nfs.server.fh.stale.count" ["{fh}"] Kind::COUNTER,
        [];
        "Reports the cumulative count of kernel NFS server stale file handles."
    ServerIo: on "nfs.server.io" ["By"] Kind::COUNTER,
        ["network.io.direction"];
        "Reports the count of kernel NFS server bytes returned to receive and transmit (read and write) requests."
    ServerNetCount: on "nfs.server.net.count" ["{request}"] Kind::COUNTER,
        ["network.transport"];
        "Reports the count of kernel NFS server TCP segments and UDP datagrams handled."
    ServerNetTcpConnectionAccepted: on "nfs.server.net.tcp.connection.accepted" ["{connection}"] Kind::COUNTER,
        [];
        "Reports the count of kernel NFS server TCP connections accepted"
    ServerOperationCount: on "nfs.server.operation.count" ["{operation}"] Kind::COUNTER,
        ["onc_rpc.version", "nfs.operation.name"];
        "Reports the count of kernel NFSv4+ server operations"
    ServerProcedureCount: on "nfs.server.procedure.count" ["{procedure}"] Kind::COUNTER,
        ["onc_rpc.version", "onc_rpc.procedure.name"];
        "Reports the count of kernel NFS server procedures"
    ServerRepcacheRequests: on "nfs.server.repcache.requests" ["{request}"] Kind::COUNTER,
        ["nfs.server.repcache.status"];
        "Reports the kernel NFS server reply cache request count by cache hit status."
    ServerRpcCount: on "nfs.server.rpc.count" ["{request}"] Kind::COUNTER,
        ["error.type"];
        "Reports the count of kernel NFS server RPCs handled."
    ServerThreadCount: on "nfs.server.thread.count" ["{thread}"] Kind::UP_DOWN_COUNTER,
        [];
        "Reports the count of kernel NFS server available threads"
    }
}

/// Procedures of version 3, in the order in which the kernel counts them.
const PROCEDURES_3: &str = "NULL GETATTR SETATTR LOOKUP ACCESS READLINK READ WRITE CREATE MKDIR \
    SYMLINK MKNOD REMOVE RMDIR RENAME LINK READDIR READDIRPLUS FSSTAT FSINFO PATHCONF COMMIT";
/// Operations of version 4, as clients count them.
const CLIENT_OPERATIONS_4: &str = "NULL READ WRITE COMMIT OPEN OPEN_CONFIRM OPEN_NOATTR \
    OPEN_DOWNGRADE CLOSE SETATTR FSINFO RENEW SETCLIENTID SETCLIENTID_CONFIRM LOCK LOCKT LOCKU \
    ACCESS GETATTR LOOKUP LOOKUP_ROOT REMOVE RENAME LINK SYMLINK CREATE PATHCONF STATFS READLINK \
    READDIR SERVER_CAPS DELEGRETURN GETACL SETACL FS_LOCATIONS RELEASE_LOCKOWNER SECINFO \
    FSID_PRESENT EXCHANGE_ID CREATE_SESSION DESTROY_SESSION SEQUENCE GET_LEASE_TIME \
    RECLAIM_COMPLETE GETDEVICEINFO LAYOUTGET LAYOUTCOMMIT LAYOUTRETURN SECINFO_NO_NAME \
    TEST_STATEID FREE_STATEID GETDEVICELIST BIND_CONN_TO_SESSION DESTROY_CLIENTID SEEK ALLOCATE \
    DEALLOCATE LAYOUTSTATS CLONE COPY OFFLOAD_CANCEL COPY_NOTIFY LOOKUPP LAYOUTERROR GETXATTR \
    SETXATTR LISTXATTRS REMOVEXATTR READ_PLUS";
/// Procedures of version 4.
const PROCEDURES_4: &str = "NULL COMPOUND";
/// Operations of version 4, as servers count them; those with a hyphen are not used.
const SERVER_OPERATIONS_4: &str = "- - - ACCESS CLOSE COMMIT CREATE DELEGPURGE DELEGRETURN \
    GETATTR GETFH LINK LOCK LOCKT LOCKU LOOKUP LOOKUPP NVERIFY OPEN OPENATTR OPEN_CONFIRM \
    OPEN_DOWNGRADE PUTFH PUTPUBFH PUTROOTFH READ READDIR READLINK REMOVE RENAME RENEW RESTOREFH \
    SAVEFH SECINFO SETATTR SETCLIENTID SETCLIENTID_CONFIRM VERIFY WRITE RELEASE_LOCKOWNER \
    BACKCHANNEL_CTL BIND_CONN_TO_SESSION EXCHANGE_ID CREATE_SESSION DESTROY_SESSION FREE_STATEID \
    GET_DIR_DELEGATION GETDEVICEINFO GETDEVICELIST LAYOUTCOMMIT LAYOUTGET LAYOUTRETURN \
    SECINFO_NO_NAME SEQUENCE SET_SSV TEST_STATEID WANT_DELEGATION DESTROY_CLIENTID \
    RECLAIM_COMPLETE ALLOCATE COPY COPY_NOTIFY DEALLOCATE IO_ADVISE LAYOUTERROR LAYOUTSTATS \
    OFFLOAD_CANCEL OFFLOAD_STATUS READ_PLUS SEEK WRITE_SAME CLONE GETXATTR SETXATTR LISTXATTRS \
    REMOVEXATTR";

/// The points of the client and of the server, as the Collector counts what is missing.
const CLIENT_POINTS: usize = 97;
const SERVER_POINTS: usize = 115;

/// The counts of a file by the words at the beginnings of its lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts(Vec<(String, Vec<u64>)>);

impl Counts {
    fn parse(text: &[u8], mut fault: impl FnMut(&[u8])) -> Self {
        let mut counts = Vec::new();
        for line in text::lines(text).filter(|line| !line.trim_ascii().is_empty()) {
            let mut words = text::words(line);
            let label = words.next().unwrap_or_default();
            // Behind the number of threads stand fractions that newer kernels do not fill.
            let limit = if label == b"th" { 1 } else { usize::MAX };
            let numbers: Option<Vec<u64>> = words.take(limit).map(text::number).collect();
            match numbers.filter(|numbers| !numbers.is_empty()) {
                Some(numbers) => counts.push((text::text(label).into_owned(), numbers)),
                None => fault(line),
            }
        }
        Self(counts)
    }

    /// The first counts of a line.
    fn first<const N: usize>(&self, label: &str) -> Option<[u64; N]> {
        self.of(label)?.first_chunk().copied()
    }

    /// Calls by their names, of a line that begins with their number.
    fn calls<'c>(&'c self, label: &str, names: &'c str) -> impl Iterator<Item = (&'c str, u64)> {
        let counts = self.of(label).and_then(|counts| counts.split_first());
        let whole = counts.filter(|(number, counts)| **number == counts.len() as u64);
        let counts = whole.map_or(&[][..], |(_, counts)| counts);
        let named = names.split_ascii_whitespace().zip(counts.iter().copied());
        named.filter(|(name, _)| *name != "-")
    }

    fn of(&self, label: &str) -> Option<&[u64]> {
        let found = self.0.iter().find(|(of, _)| of == label);
        found.map(|(_, counts)| counts.as_slice())
    }
}

/// Reads `/proc/net/rpc`.
pub(in crate::host_metrics) struct Nfs {
    files: Files,
    chosen: Chosen<Metrics>,
    /// When it was made: the Collector's start of these counts.
    start: u64,
}

impl Nfs {
    pub(in crate::host_metrics) const NAME: &'static str = "nfs";

    pub(in crate::host_metrics) fn new(host: Host, chosen: Chosen<Metrics>) -> Self {
        Self {
            files: Files::new(host),
            chosen,
            start: now(),
        }
    }

    /// The counts of a file; none where the kernel has no such part.
    fn counts(&mut self, file: &str, points: usize, faults: &mut Faults) -> Counts {
        let path = self.files.host.proc(file);
        match self.files.proc(file) {
            Ok(text) => Counts::parse(text, |line| {
                faults.add("a line about NFS makes no sense", 0, || {
                    fault_in(&path, &text::text(line))
                });
            }),
            Err(error) => {
                let what = match points {
                    CLIENT_POINTS => "the NFS client cannot be read",
                    _ => "the NFS server cannot be read",
                };
                faults.add(what, points, || error);
                Counts::default()
            }
        }
    }
}

/// Writes calls of a version.
fn calls<'c>(
    out: &mut Emit<'_, Metrics>,
    metric: Metrics,
    versions: impl IntoIterator<Item = (u32, Vec<(&'c str, u64)>)>,
) {
    out.metric(metric, |points| {
        for (version, calls) in versions {
            for (name, count) in calls {
                points.int_of(count, &[Value::from(version), Value::Str(name)]);
            }
        }
    });
}

/// Writes a count for each of several values of one attribute, where the kernel tells them.
fn each<const N: usize>(
    out: &mut Emit<'_, Metrics>,
    metric: Metrics,
    counts: Option<[(&str, u64); N]>,
) {
    out.metric(metric, |points| {
        for (name, count) in counts.into_iter().flatten() {
            points.int(count, &[name]);
        }
    });
}

/// Writes a count that has no attribute, where the kernel tells it.
fn one(out: &mut Emit<'_, Metrics>, metric: Metrics, count: Option<u64>) {
    if let Some(count) = count {
        out.int(metric, count);
    }
}

fn client(counts: &Counts, out: &mut Emit<'_, Metrics>) {
    let net = counts.first("net");
    let rpc = counts.first("rpc");
    each(
        out,
        Metrics::ClientNetCount,
        net.map(|[_, udp, tcp, _]| [("udp", udp), ("tcp", tcp)]),
    );
    one(
        out,
        Metrics::ClientNetTcpConnectionAccepted,
        net.map(|[_, _, _, accepted]| accepted),
    );
    let operations = counts.calls("proc4", CLIENT_OPERATIONS_4).collect();
    calls(out, Metrics::ClientOperationCount, [(4, operations)]);
    let procedures = counts.calls("proc3", PROCEDURES_3).collect();
    calls(out, Metrics::ClientProcedureCount, [(3, procedures)]);
    one(
        out,
        Metrics::ClientRpcAuthrefreshCount,
        rpc.map(|[_, _, refreshed]| refreshed),
    );
    one(out, Metrics::ClientRpcCount, rpc.map(|[sent, _, _]| sent));
    one(
        out,
        Metrics::ClientRpcRetransmitCount,
        rpc.map(|[_, again, _]| again),
    );
}

fn server(counts: &Counts, out: &mut Emit<'_, Metrics>) {
    let net = counts.first("net");
    let stale = counts.first("fh").map(|[stale]| stale);
    one(out, Metrics::ServerFhStaleCount, stale);
    let io = counts.first("io");
    each(
        out,
        Metrics::ServerIo,
        io.map(|[read, written]| [("receive", read), ("transmit", written)]),
    );
    each(
        out,
        Metrics::ServerNetCount,
        net.map(|[_, udp, tcp, _]| [("udp", udp), ("tcp", tcp)]),
    );
    one(
        out,
        Metrics::ServerNetTcpConnectionAccepted,
        net.map(|[_, _, _, accepted]| accepted),
    );
    let operations = counts.calls("proc4ops", SERVER_OPERATIONS_4).collect();
    calls(out, Metrics::ServerOperationCount, [(4, operations)]);
    let procedures = [
        (3, counts.calls("proc3", PROCEDURES_3).collect()),
        (4, counts.calls("proc4", PROCEDURES_4).collect()),
    ];
    calls(out, Metrics::ServerProcedureCount, procedures);
    let cache = counts.first("rc");
    each(
        out,
        Metrics::ServerRepcacheRequests,
        cache.map(|[hits, misses, none]| [("hit", hits), ("miss", misses), ("nocache", none)]),
    );
    let rpc = counts.first("rpc");
    each(
        out,
        Metrics::ServerRpcCount,
        rpc.map(|[_, _, format, auth, client]| {
            [("format", format), ("auth", auth), ("client", client)]
        }),
    );
    let threads = counts.first("th").map(|[threads]| threads);
    one(out, Metrics::ServerThreadCount, threads);
}

impl Reader for Nfs {
    fn read(&mut self, part: &mut Part) {
        let time = now();
        let of_client = self.counts("net/rpc/nfs", CLIENT_POINTS, &mut part.faults);
        let of_server = self.counts("net/rpc/nfsd", SERVER_POINTS, &mut part.faults);
        let Part {
            request, metrics, ..
        } = part;
        let mut out = emit(Self::NAME, request, metrics, &self.chosen, self.start, time);
        client(&of_client, &mut out);
        server(&of_server, &mut out);
    }
}
