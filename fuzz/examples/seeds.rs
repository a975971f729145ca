//! Writes the seeds of every target into a folder: `cargo run --example seeds FOLDER`.

use std::path::Path;
use std::{env, fs, io};

use gannet_fuzz::TARGETS;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).unwrap_or_else(|| "seeds".into());
    for target in TARGETS {
        let folder = Path::new(&folder).join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
