//! From open ports to a report: hosts, workers, the run, and the close.

use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};

use super::args::{CommonArgs, Io};
use super::capture::{Capture, Writing};
use super::companion::Companion;
use super::control::{Control, Ended, Failures, Start};
use super::eal_args::LcoreId;
use super::error::Error;
use super::lcores::{Job, Lcores};
use super::link::{Link, LostPort};
use super::panic::guarded;
use super::plan::{Plan, check_fragments, place_addresses};
use super::rounds::Rounds;
use super::status::{LcoreStatus, Status};
#[cfg(feature = "dpdk")]
use super::telemetry_socket;
use super::{Launch, privileges, say};
use crate::host::{Addressing, HashKey, Host, HostConfig};
use crate::idle::Idle;
use crate::port::{FrameQueue, OpenPort, PortControl, PortDescription, PortId};
use crate::service::{Role, Service};
use crate::sys::{CapabilitySet, Clock, Signals, StopFlag, random_bytes};
use crate::telemetry::{CaptureReport, LcoreReport, PortReport, QueueReport, Report};
use crate::worker::{DatagramQueue, Worker};

/// Serves open ports until the program is stopped.
pub(super) fn serve<Q, S>(
    launch: &Launch,
    lcores: &Lcores,
    signals: Signals,
    plan: &Plan,
    ports: Vec<OpenPort<Q>>,
    companion: &mut dyn Companion,
    make: impl FnOnce(&[LcoreId]) -> Vec<S>,
) -> Result<Report, Error>
where
    Q: FrameQueue + 'static,
    S: Service + 'static,
{
    let (queues, mut controls): (Vec<_>, Vec<_>) =
        ports.into_iter().map(|port| (port.queues, port.control)).unzip();
    let mut descriptions: Vec<_> = controls.iter().map(|control| control.description().clone()).collect();
    for (queues, port) in queues.iter().zip(&mut descriptions) {
        let is_granted = queues.first().is_some_and(|queue| queue.capabilities().tx_shared);
        port.granted.extend(plan.sharing(&launch.args, is_granted));
    }
    let addressing = place_addresses(&launch.args, &descriptions)?;
    check_fragments(&launch.args, &descriptions)?;
    describe(&descriptions, &addressing);
    say_metrics(plan);
    let others = other_files(&launch.args);
    let capture = plan.capture.as_ref().map(|file| file.start(&descriptions, others)).transpose()?;
    let hosts = hosts(plan, queues, descriptions.iter().zip(&addressing), S::ROLE, &launch.args)?;
    let (mut teams, services) = staff(lcores, hosts, make)?;
    let clock = Clock::start();
    let capture = capture.map(|mut capture| {
        capture.tap(teams.iter_mut().flat_map(|(_, hosts)| hosts), &clock);
        capture
    });
    let ready = Box::new(|| ready(launch, plan, &descriptions, &addressing));
    let start = Start { ready, addressing: &addressing };
    let needs = privileges::needs(&controls);
    let links = links(&mut controls, &teams);
    let begin = Instant::now();
    let companion_too = &mut *companion;
    let aside = Aside {
        signals,
        start,
        needs,
        ports: &descriptions,
        links,
        capture,
        clock,
        companion: companion_too,
    };
    let end = run(launch, lcores, plan, aside, teams, services)?;
    conclude(launch, plan, begin, controls, companion, end)
}

/// The files that the program has beside a capture.
fn other_files(args: &CommonArgs) -> Vec<&Path> {
    let mut files: Vec<_> = args.json.as_deref().into_iter().collect();
    match &args.io {
        Io::Pcap { input, output } => {
            files.push(input);
            files.extend(output.as_deref());
        }
        Io::PcapOut(output) => files.push(output),
        _ => {}
    }
    files
}

/// Says what was opened and granted.
fn describe(ports: &[PortDescription], addressing: &[Addressing]) {
    for (id, (port, own)) in ports.iter().zip(addressing).enumerate() {
        let addresses: Vec<_> = own.addresses().iter().map(ToString::to_string).collect();
        let addresses = if addresses.is_empty() {
            "no address, so it answers nothing".to_owned()
        } else {
            addresses.join(", ")
        };
        say(format_args!(
            "port {id}: {} ({}), {}, MTU {}, {addresses}",
            port.name, port.driver, port.mac, port.mtu
        ));
        port.granted.iter().for_each(|line| say(format_args!("  {line}")));
    }
}

/// Says where metrics are served.
pub(super) fn say_metrics(plan: &Plan) {
    if let Some(listener) = &plan.metrics {
        say(format_args!("metrics: http://{}/metrics", listener.address()));
    }
}

fn hosts<'a, Q: FrameQueue>(
    plan: &Plan,
    queues: Vec<Vec<Q>>,
    ports: impl Iterator<Item = (&'a PortDescription, &'a Addressing)>,
    role: Role,
    args: &CommonArgs,
) -> Result<Vec<Vec<Host<Q>>>, Error> {
    let hash_key = random_key()?;
    let ports = queues.into_iter().zip(ports).enumerate();
    Ok(ports
        .map(|(id, (queues, (port, own)))| {
            let config = plan.host((id, port), own.clone(), hash_key, role, args);
            let announces = !args.no_announce && !matches!(args.io, Io::Pcap { .. } | Io::PcapOut(_));
            let host = |(index, queue)| {
                Host::new(queue, HostConfig { announces: announces && index == 0, ..config.clone() })
            };
            let mut hosts: Vec<_> = queues.into_iter().enumerate().map(host).collect();
            if hosts.len() > 1 {
                Host::join(&mut hosts);
            }
            hosts
        })
        .collect())
}

/// A secret key for the tables of a port.
pub(super) fn random_key() -> Result<HashKey, Error> {
    let key = random_bytes::<16>()?;
    let (low, high) = key.split_at(8);
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    Ok(HashKey([word(low), word(high)]))
}

/// The queues of each lcore, of datagrams.
pub(super) type Teams<Q> = Vec<(LcoreId, Vec<Q>)>;

/// Gives each lcore its queue of each port, and has a service made for each that has one.
pub(super) fn staff<Q, S>(
    lcores: &Lcores,
    ports: Vec<Vec<Q>>,
    make: impl FnOnce(&[LcoreId]) -> Vec<S>,
) -> Result<(Teams<Q>, Vec<S>), Error> {
    let (teams, idle) = teams(lcores.workers(), ports);
    for lcore in idle {
        say(format_args!(
            "lcore {lcore} has no queue and rests: the ports have fewer queues than there are lcores"
        ));
    }
    let working: Vec<_> = teams.iter().map(|(lcore, _)| *lcore).collect();
    let services = make(&working);
    if services.len() != working.len() {
        return Err(Error::ServiceCount { lcores: working.len(), services: services.len() });
    }
    Ok((teams, services))
}

/// Gives each lcore its queue of each port. Those that are left without one are second.
fn teams<Q>(lcores: &[LcoreId], ports: Vec<Vec<Q>>) -> (Teams<Q>, Vec<LcoreId>) {
    let mut teams: Teams<Q> = lcores.iter().map(|&lcore| (lcore, Vec::new())).collect();
    for port in ports {
        teams.iter_mut().zip(port).for_each(|((_, team), queue)| team.push(queue));
    }
    let idle = teams.iter().filter(|(_, team)| team.is_empty()).map(|(lcore, _)| *lcore).collect();
    teams.retain(|(_, team)| !team.is_empty());
    (teams, idle)
}

/// `ready: echo on dpdk net_tap0, 1 queue, 10.77.0.1:7`, with the addresses that nobody else has.
fn ready(launch: &Launch, plan: &Plan, ports: &[PortDescription], addressing: &[Addressing]) -> String {
    let udp_port = plan.udp_port_suffix();
    let each = ports.iter().zip(addressing).map(|(port, own)| {
        let kind = port.driver.split(' ').next().unwrap_or_default();
        let plural = if port.queues == 1 { "" } else { "s" };
        let is_ours = |address: &IpAddr| !own.duplicates().any(|taken| *address == taken);
        let addresses = own.addresses().iter().map(|own| own.address).filter(is_ours);
        let addresses: Vec<_> = addresses.filter_map(|address| endpoint(address, &udp_port)).collect();
        let addresses = if addresses.is_empty() { "no address".to_owned() } else { addresses.join(" ") };
        format!("{kind} {}, {} queue{plural}, {addresses}", port.name, port.queues)
    });
    format!("ready: {} on {}", launch.app.name, each.collect::<Vec<_>>().join("; "))
}

/// An address as users write it. Link-local ones go without saying.
pub(super) fn endpoint(address: IpAddr, udp_port: &str) -> Option<String> {
    match address {
        IpAddr::V4(address) => Some(format!("{address}{udp_port}")),
        IpAddr::V6(address) if address.is_unicast_link_local() => None,
        IpAddr::V6(address) => Some(format!("[{address}]{udp_port}")),
    }
}

/// What is left of a run.
pub(super) struct End {
    status: Arc<Status>,
    failures: Failures,
    capture: Option<CaptureReport>,
}

/// What the control plane has in its hands while the workers run.
pub(super) struct Aside<'a> {
    pub(super) signals: Signals,
    pub(super) start: Start<'a>,
    pub(super) ports: &'a [PortDescription],
    /// What the ports go on to need.
    pub(super) needs: CapabilitySet,
    /// The ports' links, where they have any.
    pub(super) links: Vec<Link<'a>>,
    pub(super) capture: Option<Capture>,
    pub(super) clock: Clock,
    pub(super) companion: &'a mut dyn Companion,
}

/// Runs the workers, and the control plane beside them, until the program is stopped.
pub(super) fn run<Q, S>(
    launch: &Launch,
    lcores: &Lcores,
    plan: &Plan,
    aside: Aside<'_>,
    teams: Teams<Q>,
    services: Vec<S>,
) -> Result<End, Error>
where
    Q: DatagramQueue + 'static,
    S: Service + 'static,
{
    let Aside { signals, start, ports, needs, links, capture, clock, companion } = aside;
    let stop = StopFlag::default();
    let (sender, ended) = bounded(teams.len());
    let mut status = Status::new(launch, clock, ports, companion.exhibits());
    let mut jobs = Vec::new();
    for ((lcore, queues), service) in teams.into_iter().zip(services) {
        status.add_queues(lcore, queues.iter().map(|queue| (queue.port(), queue.counters())));
        let forwards = plan.forwards(queues.len());
        let worker = Worker::new(queues, service, forwards).resting(Idle::new(launch.args.idle));
        status.lcores.push(LcoreStatus::new(lcore, Arc::clone(worker.lcore())));
        jobs.push((lcore, job(lcore, worker, clock, stop.clone(), sender.clone())));
    }
    drop(sender);
    let status = Arc::new(status);
    let is_on_dpdk = matches!(launch.args.io, Io::Dpdk);
    #[cfg(feature = "dpdk")]
    let _answering = is_on_dpdk.then(|| telemetry_socket::serve(&status));
    let control = Control {
        signals,
        stop,
        start,
        ended,
        rounds: Rounds::new(&status, links, launch.args.watchdog, plan.metrics.is_some() || is_on_dpdk),
        configured: launch.configured.clone(),
        companion,
        duration: launch.args.duration,
        stats: launch.args.stats,
    };
    // All is open by now that takes rights, and the threads that are yet to start inherit what is left.
    privileges::give_up_all_but(needs, &launch.args)?;
    let end = Mutex::new(End { status: Arc::clone(&status), failures: Failures::default(), capture: None });
    lcores.run(jobs, || {
        let writing = capture.map(Capture::write);
        let serving = plan.metrics.as_ref().map(|listener| listener.serve(&status));
        let failures = control.run();
        drop(serving);
        let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
        (end.failures, end.capture) = (failures, writing.map(Writing::finish));
    })?;
    Ok(end.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The ports' links, and the hosts that are to know of them.
fn links<'a, Q: FrameQueue>(
    controls: &'a mut [Box<dyn PortControl>],
    teams: &Teams<Host<Q>>,
) -> Vec<Link<'a>> {
    let hosts = |port| teams.iter().flat_map(|(_, hosts)| hosts).filter(move |host| host.port() == port);
    let link = |(id, control): (usize, &'a mut Box<dyn PortControl>)| {
        Link::new(control.as_mut(), hosts(PortId(id as u16)).map(Host::link_up).collect())
    };
    controls.iter_mut().enumerate().map(link).collect()
}

fn job<Q, S>(lcore: LcoreId, worker: Worker<Q, S>, clock: Clock, stop: StopFlag, ended: Sender<Ended>) -> Job
where
    Q: DatagramQueue + 'static,
    S: Service + 'static,
{
    Box::new(move || {
        let counters = worker.queues().iter().map(|queue| Arc::clone(queue.counters())).collect();
        let result = guarded(lcore, counters, move || {
            // Dropped in here: a service that panics as it is dropped is a panic like others.
            let mut worker = worker;
            worker.run(&clock, &stop);
        });
        // The control plane is there until the last worker ended.
        let _ = ended.send(Ended { lcore, result });
    })
}

/// Closes the ports and reports.
pub(super) fn conclude(
    launch: &Launch,
    plan: &Plan,
    begin: Instant,
    controls: Vec<Box<dyn PortControl>>,
    companion: &mut dyn Companion,
    end: End,
) -> Result<Report, Error> {
    let mut report = close(launch, begin, controls, &end);
    end.capture.into_iter().for_each(|capture| report.add_capture(capture));
    companion.report(&mut report);
    write_report(launch, plan, &report)?;
    match end.failures {
        Failures { panicked: Some(lcore), .. } => Err(Error::WorkerPanicked(lcore)),
        Failures { lost: Some(LostPort { port, reason }), .. } => Err(Error::PortLost { port, reason }),
        Failures { panicked: None, lost: None } => Ok(report),
    }
}

fn close(launch: &Launch, begin: Instant, controls: Vec<Box<dyn PortControl>>, end: &End) -> Report {
    let elapsed = begin.elapsed();
    let ports = controls.into_iter().zip(&end.status.ports).map(|(mut control, port)| PortReport {
        description: control.description().clone(),
        link_changes: port.link_changes.load(Relaxed),
        losses: port.losses.load(Relaxed),
        renewals: port.renewals.load(Relaxed),
        extended_statistics: control.extended_statistics().into_iter().collect(),
        pools: control.close(),
    });
    let queues = end.status.queues.iter().map(|queue| QueueReport {
        lcore: queue.lcore.0,
        port: queue.port,
        counters: queue.counters.snapshot(),
    });
    let lcores = end.status.lcores.iter();
    let lcores = lcores.map(|worker| LcoreReport::new(worker.lcore.0, worker.counters.snapshot()));
    Report::new(launch.app.name, elapsed, ports.collect(), queues.collect(), lcores.collect())
}

fn write_report(launch: &Launch, plan: &Plan, report: &Report) -> Result<(), Error> {
    say(report);
    let (Some(path), Some(file)) = (&launch.args.json, &plan.report) else { return Ok(()) };
    let mut file = BufWriter::new(file);
    let emptied = file.get_ref().set_len(0);
    let written = emptied.and_then(|()| Ok(serde_json::to_writer_pretty(&mut file, report)?));
    written.and_then(|()| file.flush()).map_err(|source| Error::Report { path: path.clone(), source })
}
