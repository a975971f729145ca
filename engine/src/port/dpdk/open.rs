//! Making a port of a device: negotiate, start, split into queues.

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dpdk_sys as sys;

use super::control::DpdkControl;
use super::device::{Device, DeviceId, DpdkError};
use super::eal::Eal;
use super::gate::Gate;
use super::kernel_interface::KernelInterface;
use super::negotiate::Plan;
use super::pool::{MAX_MTU, Needs, Pool};
use super::queue::DpdkQueue;
use super::renewal::{Origin, Renewal, Settings};
use super::wakeup::RxInterrupt;
use super::{error_text, events, registry};
use crate::port::{Capabilities, OpenPort, PortConfig, PortDescription};
use crate::wire::ethernet::MacAddress;

/// How long `open` waits for a link before it goes on without.
const LINK_WAIT: Duration = Duration::from_secs(3);
const LINK_POLL: Duration = Duration::from_millis(50);

/// Opens a device, once, with as many of the queues, descriptors, offloads and bytes of MTU
/// that `config` asks for as the device grants; each decision is a line in
/// [`PortDescription::granted`]. Waits up to three seconds for the link.
///
/// # Errors
/// A [`DpdkError`] if there is no such device, it is open already, there is no memory for
/// its buffers, or the driver fails. A device that failed is closed for good.
pub fn open(eal: &Eal, device: DeviceId, config: &PortConfig) -> Result<OpenPort<DpdkQueue>, DpdkError> {
    // A device may have been closed since, and its number taken by another.
    let device = eal.device(device.name())?;
    let port = device.port();
    if !registry::claim(port) {
        return Err(DpdkError::AlreadyOpen { device: device.name().to_owned() });
    }
    // SAFETY: claimed.
    let device = unsafe { Device::new(device) };
    match start(&device, eal.lcores().count(), config) {
        Ok(started) => {
            let origin = Origin::of(device.name(), eal.arguments());
            Ok(split(device, started, config, origin))
        }
        Err(error) => {
            device.close();
            // SAFETY: closed, and it has no queues yet.
            unsafe { registry::closed(port) };
            Err(error)
        }
    }
}

/// A device that runs.
struct Started {
    pool: Arc<Pool>,
    capabilities: Capabilities,
    description: PortDescription,
    /// Of each queue.
    wakeups: Vec<Option<RxInterrupt>>,
    plan: Plan,
    /// The interface of the kernel's that is behind it.
    interface: Option<KernelInterface>,
}

fn start(device: &Device, lcores: usize, config: &PortConfig) -> Result<Started, DpdkError> {
    let info = device.info()?;
    let mut plan = Plan::new(&info, device.mtu()?, config);
    let mtu = configure(device, &mut plan, config)?;
    adjust_descriptors(device, &mut plan)?;
    let pool = create_pool(device, &info, &mut plan, mtu, lcores, config)?;
    start_queues(device, &info, &mut plan, &pool)?;
    let mac = station_address(device, &mut plan.granted);
    set_promiscuous(device, config.promiscuous, &mut plan.granted);
    if config.all_multicast {
        receive_all_groups(device, &mut plan.granted);
    }
    wait_for_link(device, &mut plan.granted);
    let wakeups = wakeups(device, &info, &mut plan);

    let driver = driver_name(&info);
    let capabilities = Capabilities {
        mac,
        mtu,
        rx_ipv4_checksum: plan.rx_offloads & sys::DPDK_SYS_RTE_ETH_RX_OFFLOAD_IPV4_CKSUM != 0,
        rx_udp_checksum: plan.rx_offloads & sys::DPDK_SYS_RTE_ETH_RX_OFFLOAD_UDP_CKSUM != 0,
        tx_udp_checksum: plan.tx_offloads & sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_UDP_CKSUM != 0,
        tx_shared: plan.tx_offloads & sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_MULTI_SEGS != 0,
        unmarked_unfilled_checksums: driver == "net_af_packet",
    };
    let description = PortDescription {
        name: device.name().to_owned(),
        driver: format!("dpdk {driver}"),
        mac,
        mtu,
        queues: plan.queues.into(),
        numa_node: device.numa_node(),
        granted: mem::take(&mut plan.granted),
    };
    events::listen(device.port());
    let interface = KernelInterface::behind(&info);
    Ok(Started { pool, capabilities, description, wakeups, plan, interface })
}

/// One value per queue of a started device.
fn split(
    device: Device,
    started: Started,
    config: &PortConfig,
    origin: Option<Origin>,
) -> OpenPort<DpdkQueue> {
    let Started { pool, capabilities, description, wakeups, plan, interface } = started;
    let device = Arc::new(device);
    let gates: Vec<_> = wakeups.iter().map(|_| Arc::new(Gate::default())).collect();
    let queue = |(index, (wakeup, gate)): (usize, (_, &Arc<Gate>))| {
        let (gate, burst) = (Arc::clone(gate), config.burst);
        // SAFETY: the device was started with that many queues, all on this pool; this is the one place
        // that makes them, and it runs once per device.
        let queue =
            unsafe { DpdkQueue::new(&device, index as u16, &pool, capabilities.clone(), burst, gate) };
        queue.woken_by(wakeup)
    };
    let queues = wakeups.into_iter().zip(&gates).enumerate().map(queue).collect();
    let settings = Settings {
        plan,
        mtu: capabilities.mtu,
        sets_mtu: config.mtu.is_some(),
        promiscuous: config.promiscuous,
        all_multicast: config.all_multicast,
        pool,
    };
    let control = DpdkControl::new(device, description, Renewal::new(settings, gates, origin, interface));
    OpenPort { queues, control: Box::new(control) }
}

/// Configures the device and gives the MTU that it ended up with, in bytes.
fn configure(device: &Device, plan: &mut Plan, config: &PortConfig) -> Result<u16, DpdkError> {
    let own = device.mtu()?;
    if let Err(error) = configure_with_key(device, plan, plan.mtu) {
        if plan.mtu == own {
            return Err(error);
        }
        plan.granted.push(format!("MTU {} refused, {own} kept: {error}", plan.mtu));
        configure_with_key(device, plan, own)?;
    } else if config.mtu.is_some() {
        match device.set_mtu(plan.mtu) {
            Ok(()) => plan.granted.push(format!("MTU {} granted", plan.mtu)),
            Err(error) if error == -libc::ENOTSUP => {
                plan.granted
                    .push(format!("MTU {} by configuration: the driver has no call for it", plan.mtu));
            }
            Err(error) => {
                plan.granted.push(format!("MTU {} refused, {own} kept: {}", plan.mtu, error_text(error)));
                configure_with_key(device, plan, own)?;
            }
        }
    }
    if !plan.rss_key.is_empty() {
        plan.granted.push(format!("RSS key random, {} bytes", plan.rss_key.len()));
    }
    Ok(device.mtu()?.min(MAX_MTU))
}

/// Configures with the plan's RSS key, or where the driver refuses that with its own.
fn configure_with_key(device: &Device, plan: &mut Plan, mtu: u16) -> Result<(), DpdkError> {
    let Err(error) = device.configure(plan, mtu) else { return Ok(()) };
    let key = mem::take(&mut plan.rss_key);
    if key.is_empty() || device.configure(plan, mtu).is_err() {
        plan.rss_key = key;
        return Err(error);
    }
    plan.granted.push(format!("RSS key the driver's own: {} random bytes refused: {error}", key.len()));
    Ok(())
}

/// Sets the queues up and starts the device, without interrupts where it does not start with them.
fn start_queues(
    device: &Device,
    info: &sys::rte_eth_dev_info,
    plan: &mut Plan,
    pool: &Pool,
) -> Result<(), DpdkError> {
    device.set_up_queues(info, plan, pool)?;
    let Err(error) = device.start() else { return Ok(()) };
    if !mem::take(&mut plan.rx_interrupts) {
        return Err(error);
    }
    plan.granted.push(format!("RX interrupts refused: {error}"));
    device.configure(plan, device.mtu()?)?;
    device.set_up_queues(info, plan, pool)?;
    device.start()
}

/// The interrupts of a started device's queues: all of them have one, or none is used.
fn wakeups(device: &Device, info: &sys::rte_eth_dev_info, plan: &mut Plan) -> Vec<Option<RxInterrupt>> {
    let none = || (0..plan.queues).map(|_| None).collect();
    if !plan.rx_interrupts {
        return none();
    }
    let driver = driver_name(info);
    // It switches them on, and none ever comes (seen with MSI and MSI-X, scripts/vm-test).
    let is_mute = driver == "net_e1000_em";
    let interrupts: Option<Vec<_>> = (0..plan.queues)
        .map(|queue| RxInterrupt::of(device.port(), queue, driver == "net_tap").filter(|_| !is_mute))
        .collect();
    let (line, wakeups) = match interrupts {
        Some(all) => ("granted: a frame wakes an lcore that waits", all.into_iter().map(Some).collect()),
        None => ("refused: an lcore that sleeps looks for frames by itself", none()),
    };
    plan.granted.push(format!("RX interrupts {line}"));
    wakeups
}

fn adjust_descriptors(device: &Device, plan: &mut Plan) -> Result<(), DpdkError> {
    let wanted = (plan.rx_descriptors, plan.tx_descriptors);
    let (rx, tx) = device.adjust_descriptors(wanted.0, wanted.1)?;
    let of = |got, wanted| if got == wanted { String::new() } else { format!(" (of {wanted} wanted)") };
    plan.granted.push(format!(
        "{rx} RX{} and {tx} TX{} descriptors a queue",
        of(rx, wanted.0),
        of(tx, wanted.1)
    ));
    (plan.rx_descriptors, plan.tx_descriptors) = (rx, tx);
    Ok(())
}

fn create_pool(
    device: &Device,
    info: &sys::rte_eth_dev_info,
    plan: &mut Plan,
    mtu: u16,
    lcores: usize,
    config: &PortConfig,
) -> Result<Arc<Pool>, DpdkError> {
    let needs = Needs {
        queues: plan.queues.into(),
        rx_descriptors: plan.rx_descriptors,
        tx_descriptors: plan.tx_descriptors,
        burst: config.burst,
        held: config.held,
        lcores,
        mtu,
        min_rx_buffer: info.min_rx_bufsize as usize,
    };
    let pool = Arc::new(Pool::create(device.name(), device.numa_node(), &needs)?);
    registry::keep_pool(Arc::clone(&pool));
    plan.granted.push(format!("{} buffers for frames of up to {} bytes", pool.size(), pool.frame_room()));
    Ok(pool)
}

/// The device's address, or for one that has none (rings) a locally administered one. The
/// device is not told: behind some drivers lies a kernel's interface, which would be changed.
pub(super) fn station_address(device: &Device, granted: &mut Vec<String>) -> MacAddress {
    let mac = device.mac();
    if mac.is_unicast() {
        return mac;
    }
    let [high, low] = device.port().to_be_bytes();
    let own = MacAddress([0x02, b'G', b'N', b'T', high, low]);
    granted.push(format!("MAC address {own} made up: the device has none"));
    own
}

pub(super) fn set_promiscuous(device: &Device, wanted: bool, granted: &mut Vec<String>) {
    if device.is_promiscuous() == wanted && !wanted {
        return;
    }
    let line = match (wanted, device.set_promiscuous(wanted)) {
        (true, true) => "promiscuous mode on, as asked",
        (true, false) => "promiscuous mode refused: the device does not switch it on",
        (false, true) => "promiscuous mode switched off",
        (false, false) => "promiscuous mode stays on: the device does not switch it off",
    };
    granted.push(line.to_owned());
}

/// Asks for frames to every group address, or for all frames where there is no such mode.
pub(super) fn receive_all_groups(device: &Device, granted: &mut Vec<String>) {
    let line = if device.receive_all_groups() {
        "frames to every group address (all multicast) granted"
    } else if device.is_promiscuous() || device.set_promiscuous(true) {
        "frames to every group address (all multicast) refused: promiscuous mode on in its place"
    } else {
        "frames to group addresses (all multicast, promiscuous mode) refused: IPv6 neighbours may not find us"
    };
    granted.push(line.to_owned());
}

fn wait_for_link(device: &Device, granted: &mut Vec<String>) {
    let start = Instant::now();
    let mut said = false;
    let speed = loop {
        let speed = device.link_speed();
        if speed.is_some() || start.elapsed() >= LINK_WAIT {
            break speed;
        }
        if !said {
            tracing::info!(device = device.name(), "waiting up to {} s for the link", LINK_WAIT.as_secs());
            said = true;
        }
        thread::sleep(LINK_POLL);
    };
    granted.push(match speed {
        None => {
            tracing::warn!(device = device.name(), "the link is down: going on without");
            "link down".to_owned()
        }
        Some(0 | u32::MAX) => "link up".to_owned(),
        Some(speed) => format!("link up, {speed} Mbit/s"),
    });
}

pub(super) fn driver_name(info: &sys::rte_eth_dev_info) -> String {
    if info.driver_name.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: a static, zero-terminated string of the driver.
    unsafe { std::ffi::CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned()
}
