//! placeholder
fn main() {
    println!("cargo:rustc-env=GANNET_GIT_COMMIT=x");
}
