//! What the program `gannet` is built from, for its version line, and where the linker will
//! find DPDK when the program starts.
//!
//! DPDK itself is found and linked by `dpdk-sys`; its link arguments reach us without a word here.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=GANNET_GIT_COMMIT={}", git_commit().unwrap_or_else(|| "unknown".into()));
    let date = git(&["log", "-1", "--format=%cs"]).unwrap_or_else(|| "unknown".into());
    println!("cargo:rustc-env=GANNET_GIT_DATE={date}");
    // Set by the build script of dpdk-sys, if the feature `dpdk` is on.
    let dpdk = env::var("DEP_DPDK_VERSION").unwrap_or_else(|_| "none".into());
    println!("cargo:rustc-env=GANNET_DPDK_VERSION={dpdk}");
    match env::var("DEP_DPDK_LIBDIR") {
        Ok(libdir) if !libdir.is_empty() && !is_default(&libdir) => {
            println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{libdir}");
        }
        _ => {}
    }
}

/// The commit, abbreviated; `None` outside of a git repository or without git.
fn git_commit() -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // HEAD changes with a checkout, its log with a commit; a worktree has them elsewhere.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    Some(commit)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Whether the dynamic linker looks there by itself.
fn is_default(libdir: &str) -> bool {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let multiarch = format!("{architecture}-linux-gnu");
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
        .iter()
        .flat_map(|folder| [(*folder).to_owned(), format!("{folder}/{multiarch}")])
        .any(|folder| Path::new(libdir) == Path::new(&folder))
}
