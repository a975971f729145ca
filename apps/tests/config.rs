//! `--config FILE`, and SIGHUP, which reads it again.

mod common;

use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use common::notify::Manager;
use common::program::gannet;
use common::{Ended, Program, Scratch, one_lcore, skip, turn};

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

fn write(folder: &Scratch, text: &str) -> PathBuf {
    let path = folder.path().join("echo.toml");
    std::fs::write(&path, text).expect("written");
    path
}

fn is_answered(port: u16) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("set");
    socket.send_to(b"hello", ("127.0.0.1", port)).expect("sent");
    socket.recv(&mut [0; 10]).is_ok()
}

#[test]
fn a_file_has_the_arguments_and_the_command_line_wins() {
    let (_turn, folder) = (turn(), Scratch::new());
    let (of_file, of_line) = (free_port(), free_port());
    let path = write(
        &folder,
        &format!(
            "io = \"socket\"\nip = [\"127.0.0.1\"]\nudp-port = [{of_file}]\nttl = 9\nidle = \"sleep\"\n"
        ),
    );
    for (arguments, port) in [(String::new(), of_file), (format!("--udp-port {of_line}"), of_line)] {
        let arguments = format!("echo {} -- --config {} {arguments}", one_lcore(), path.display());
        let mut program = Program::start(&mut gannet(&arguments));
        assert!(program.ready().ends_with(&format!(" 127.0.0.1:{port}")));
        assert!(is_answered(port));
        assert_eq!(program.stop("TERM").code, Some(0));
    }
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_place() {
    let folder = Scratch::new();
    let run = |app: &str, text: &str| -> Ended {
        let path = write(&folder, text);
        let arguments = format!("{app} {} -- --config {}", one_lcore(), path.display());
        Program::start(&mut gannet(&arguments)).end()
    };
    let base = "io = \"socket\"\nip = [\"127.0.0.1\"]\n";
    for (app, more, said) in [
        ("echo", "rate = \"1k\"", "echo.toml:3: rate: echo has no such argument"),
        ("echo", "nonsense = 1", "echo.toml:3: nonsense: echo has no such argument"),
        ("echo", "ttl = [1]", "echo.toml:3: ttl: it is there once"),
        ("echo", "udp-port = 7", "echo.toml:3: udp-port: it is repeatable"),
        ("echo", "ttl = 300", "echo.toml:3: ttl: invalid value '300'"),
        ("echo", "ttl = ", "echo.toml:3: this is no TOML"),
        ("gen", "to = [\"127.0.0.1:7\"]\nrate = \"fast\"", "echo.toml:4: rate: invalid value 'fast'"),
    ] {
        let ended = run(app, &format!("{base}{more}\n"));
        assert_eq!(ended.code, Some(2), "{more}: {ended:#?}");
        assert!(ended.stderr.contains(said), "{more}: {ended:#?}");
    }
    let missing = format!("echo {} -- --config /nonexistent/echo.toml", one_lcore());
    let ended = Program::start(&mut gannet(&missing)).end();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("--config /nonexistent/echo.toml: No such file"), "{ended:#?}");
}

#[test]
fn sighup_takes_over_what_can_change_and_names_the_rest() {
    let (_turn, folder, manager) = (turn(), Scratch::new(), Manager::new());
    let port = free_port();
    let base = format!("io = \"socket\"\nip = [\"127.0.0.1\"]\nudp-port = [{port}]\n");
    let path = write(&folder, &format!("{base}ttl = 9\n"));
    let arguments = format!("echo {} -- --config {} --burst 16", one_lcore(), path.display());
    let mut program = Program::start(manager.of(&mut gannet(&arguments)));
    program.ready();
    manager.hear("READY=1");
    let reload = |text: &str| {
        write(&folder, text);
        program.signal("HUP");
        assert!(manager.hear("RELOADING=1").contains("\nMONOTONIC_USEC="));
        manager.hear("READY=1");
        assert!(is_answered(port));
    };
    reload(&format!("{base}ttl = "));
    reload(&format!("{base}ttl = 300\n"));
    reload(&format!("{base}ttl = 8\nburst = 8\nwatchdog = \"5s\"\nstats = \"50ms\"\n"));
    program.line_with("stats: ");
    let ended = program.stop("TERM");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let file = path.display();
    for said in [
        format!("SIGHUP: all stays as it was: {file}:4: this is no TOML"),
        format!("SIGHUP: all stays as it was: {file}:4: ttl: invalid value '300'"),
        format!("SIGHUP: {file}: ttl has changed, which takes a restart"),
        format!("SIGHUP: {file}: burst has changed, but the command line's --burst counts"),
        format!("SIGHUP: {file}: stats has changed, from now on"),
        format!("SIGHUP: {file}: watchdog has changed, from now on"),
    ] {
        assert!(ended.stderr.contains(&said), "no '{said}': {ended:#?}");
    }
}

#[test]
fn a_file_that_another_user_may_not_read_changes_nothing() {
    let name = "a_file_that_another_user_may_not_read_changes_nothing";
    if std::fs::metadata("/proc/self").expect("our own").uid() != 0 {
        return skip(name, "it takes root to become another user");
    }
    let (_turn, folder, manager) = (turn(), Scratch::new(), Manager::new());
    let port = free_port();
    let path = write(&folder, &format!("io = \"socket\"\nip = [\"127.0.0.1\"]\nudp-port = [{port}]\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let arguments = format!("echo {} -- --config {} --user nobody", one_lcore(), path.display());
    let mut program = Program::start(manager.of(&mut gannet(&arguments)));
    program.ready();
    manager.hear("READY=1");
    program.signal("HUP");
    manager.hear("RELOADING=1");
    manager.hear("READY=1");
    assert!(is_answered(port));
    let ended = program.stop("TERM");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let said = format!("SIGHUP: all stays as it was: --config {}: Permission denied", path.display());
    assert!(ended.stderr.contains(&said), "no '{said}': {ended:#?}");
}
