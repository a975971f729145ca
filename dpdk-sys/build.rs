//! Finds DPDK with pkg-config, binds its headers, compiles the shim and says what to link.
//!
//! In order: documentation without DPDK, then pkg-config, then a failure that says what to do.

use std::env;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use pkg_config::Library;

const MINIMUM: &str = "22.11";
/// Bindings made from DPDK 22.11, for documentation only.
const DOCUMENTATION: &str = "bindings/documentation.rs";

/// The libraries whose functions the bindings call. Shared DPDK needs no more: the EAL
/// loads the drivers of its PMD folder by itself.
const SHARED: &[&str] =
    &["rte_net_ring", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_telemetry", "rte_eal"];

/// What is bound, as regular expressions; the types that these use come along.
const FUNCTIONS: &[&str] = &[
    "rte_eal_(init|cleanup|remote_launch|wait_lcore|get_lcore_state)",
    "rte_(get_main_lcore|get_next_lcore|lcore_is_enabled|lcore_count|socket_id|strerror|version)",
    "rte_eal_has_hugepages",
    "rte_memzone_(reserve|free)",
    "rte_pktmbuf_(pool_create|pool_init|init|free_bulk|copy)",
    "rte_mempool_(avail_count|free|obj_iter|create_empty|set_ops_byname|calc_obj_size|populate_iova)",
    "rte_ring_(create|free)",
    "rte_eth_(from_rings|find_next|macaddr_get|rx_queue_setup|tx_queue_setup)",
    "rte_eth_(promiscuous_(enable|disable|get)|allmulticast_enable|xstats_get|xstats_get_names)",
    "rte_eth_dev_(info_get|configure|start|stop|close|socket_id|get_name_by_port|get_port_by_name)",
    "rte_eth_dev_(get_mtu|set_mtu|adjust_nb_rx_tx_desc)",
    "rte_eth_dev_rx_intr_(enable|disable|ctl_q)",
    "rte_eth_dev_(reset|callback_register)",
    "rte_eal_hotplug_(add|remove)",
    "rte_dev_event_callback_register",
    "rte_epoll_wait",
    "rte_log_(register|get_level|set_level)",
    "rte_telemetry_register_cmd",
    "rte_tel_data_(start_dict|add_array_string|add_dict_string)",
    "shim_.*",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DOCS_RS");
    if env::var_os("DOCS_RS").is_some() {
        return document();
    }
    match pkg_config::Config::new()
        .atleast_version(MINIMUM)
        .cargo_metadata(false)
        .env_metadata(true)
        .probe("libdpdk")
    {
        Ok(dpdk) => build(&dpdk),
        Err(error) => fail(&format!("DPDK {MINIMUM} or newer was not found.\n{error}")),
    }
}

fn fail(reason: &str) -> ! {
    eprintln!(
        "\n{reason}\n\n\
         On Debian and Ubuntu: apt-get install libdpdk-dev dpdk libclang-dev\n\
         (they bring all that a static link, LIBDPDK_STATIC=1, wants too).\n\
         Another DPDK: add the folder of its libdpdk.pc to PKG_CONFIG_PATH.\n\
         To build without DPDK: cargo build --no-default-features\n"
    );
    std::process::exit(1)
}

fn document() {
    println!("cargo:rerun-if-changed={DOCUMENTATION}");
    std::fs::copy(DOCUMENTATION, out_dir().join("bindings.rs")).expect("the committed bindings are there");
    println!("cargo:rustc-env=DPDK_SYS_VERSION={MINIMUM}");
}

fn build(dpdk: &Library) {
    let flags = compiler_flags(dpdk);
    bind(&flags);
    compile_shim(&flags);

    let libdir = pkg_config::get_variable("libdpdk", "libdir").unwrap_or_default();
    if dpdk.libs.iter().any(|library| static_archive(library).is_some()) {
        link_static(dpdk, &libdir);
    } else {
        link_shared(dpdk);
    }
    println!("cargo:rustc-env=DPDK_SYS_VERSION={}", dpdk.version);
    // For the build scripts of direct dependents: DEP_DPDK_VERSION, DEP_DPDK_LIBDIR.
    println!("cargo:version={}", dpdk.version);
    println!("cargo:libdir={libdir}");
}

/// What `pkg-config --cflags` says. The pkg-config crate keeps the include paths only, but
/// DPDK's headers want `-include rte_config.h` and `-march=…` for their static inlines.
fn compiler_flags(dpdk: &Library) -> Vec<String> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = std::process::Command::new(program).args(["--cflags-only-other", "libdpdk"]).output();
    let others = match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => fail("pkg-config --cflags-only-other libdpdk failed."),
    };
    let includes = dpdk.include_paths.iter().map(|path| format!("-I{}", path.display()));
    includes.chain(others.split_whitespace().map(str::to_owned)).collect()
}

fn bind(flags: &[String]) {
    println!("cargo:rerun-if-changed=wrapper.h");
    let builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(flags)
        .allowlist_function(FUNCTIONS.join("|"))
        .allowlist_var(
            "DPDK_SYS_.*|RTE_(MAX_LCORE|MAX_ETHPORTS|PKTMBUF_HEADROOM|MEMPOOL_F_NO_IOVA_CONTIG|MEMPOOL_CACHE_MAX_SIZE|ETH_NAME_MAX_LEN)|RING_F_.*|RTE_INTR_EVENT_(ADD|DEL)|RTE_LOG_EMERG",
        )
        // Read through the offsets of wrapper.h; alignment and size still hold.
        .opaque_type("rte_mbuf")
        .opaque_type("rte_mempool|rte_ring|rte_device")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .generate_comments(false)
        .use_core()
        .derive_default(true)
        .merge_extern_blocks(true);
    // Without libclang, bindgen panics with a message of its own.
    let Ok(result) = std::panic::catch_unwind(AssertUnwindSafe(|| builder.generate())) else {
        fail("bindgen could not load libclang (see above).")
    };
    match result {
        Ok(bindings) => bindings.write_to_file(out_dir().join("bindings.rs")).expect("OUT_DIR is writable"),
        Err(error) => fail(&format!("bindgen could not read DPDK's headers: {error}")),
    }
}

fn compile_shim(flags: &[String]) {
    println!("cargo:rerun-if-changed=shim.c");
    let mut build = cc::Build::new();
    flags.iter().for_each(|flag| _ = build.flag(flag));
    build.file("shim.c").opt_level(3).compile("dpdk_sys_shim");
}

fn link_shared(dpdk: &Library) {
    search(&dpdk.link_paths);
    SHARED.iter().for_each(|library| println!("cargo:rustc-link-lib=dylib={library}"));
}

/// DPDK's archives in whole, since drivers register themselves in constructors that nothing
/// refers to; then the shared libraries that they use.
///
/// `rustc-link-lib` and not `rustc-link-arg`: only the former reaches the programs of those
/// who depend on this crate. `-bundle` keeps the archives out of our rlib.
fn link_static(dpdk: &Library, libdir: &str) {
    let libdir = PathBuf::from(libdir);
    let mut folders = vec![libdir];
    folders.extend(dpdk.link_paths.iter().cloned());
    search(&folders);
    let archives: Vec<&str> = dpdk.libs.iter().filter_map(|library| static_archive(library)).collect();
    unique(archives.iter().copied())
        .iter()
        .for_each(|archive| println!("cargo:rustc-link-lib=static:+whole-archive,-bundle={archive}"));
    // pkg-config --static also lists the private parts of other libraries' static forms
    // (rdma-core's providers, libpcap's systemd). We link those libraries shared, and what has
    // no shared form is such a part: passed over, so that its -dev package isn't needed.
    let others = dpdk.libs.iter().map(String::as_str).filter(|library| static_archive(library).is_none());
    unique(others.filter(|library| !archives.contains(library) && has_shared_form(library, &folders)))
        .iter()
        .for_each(|library| println!("cargo:rustc-link-lib=dylib={library}"));
}

/// `:librte_eal.a` is how DPDK's libdpdk.pc names an archive; gives `rte_eal`.
fn static_archive(library: &str) -> Option<&str> {
    library.strip_prefix(":lib")?.strip_suffix(".a")
}

/// Whether the linker will find `lib….so`. The compiler is asked too, which has folders of
/// its own (libatomic is in one).
fn has_shared_form(library: &str, folders: &[PathBuf]) -> bool {
    let file = format!("lib{library}.so");
    let compiler = cc::Build::new().get_compiler();
    let found = compiler.to_command().arg(format!("-print-file-name={file}")).output();
    // A file that it does not find comes back as it was asked for.
    found.is_ok_and(|output| output.stdout.contains(&b'/'))
        || folders.iter().any(|folder| folder.join(&file).exists())
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn search(folders: &[PathBuf]) {
    folders.iter().for_each(|folder| println!("cargo:rustc-link-search=native={}", folder.display()));
}

fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"))
}
