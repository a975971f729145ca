//! A picture of the world from above, so that a person sees that it works: players, the grid's
//! cells, fights; as a file at the end or live in a terminal.
//!
//! The workers show their players on a [`Board`], a word each and no more often than once a tick;
//! the control plane looks at it and draws. Nobody waits for anybody.

mod board;
mod picture;
mod terminal;

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal as _, Stdout};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

pub use board::{Board, Dot, Line};
pub use picture::{Colour, Picture, SIDE, colour};
pub use terminal::{Screen, frame};

/// Of twenty looks a second, so many make one that is drawn.
const LOOKS: u32 = 2;

/// Where the picture goes: `--map FILE.png` or `--map term`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A PNG file, at the end.
    File(PathBuf),
    /// The terminal, ten times a second.
    Terminal,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "term" => Ok(Self::Terminal),
            _ if text.len() > 4 && text.to_ascii_lowercase().ends_with(".png") => Ok(Self::File(text.into())),
            _ => Err("name a file that ends in .png, or 'term' for the terminal".into()),
        }
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// Standard output is a file or a pipe.
    #[error("--map term: standard output is no terminal; name a file instead, as in --map world.png")]
    NoTerminal,
    /// The file can't be made.
    #[error("--map {}: {error}; name a file in a folder that can be written to", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file can't be written to its end.
    #[error("--map {}: {error}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: png::EncodingError,
    },
}

/// The picture while it is made.
pub struct Map {
    board: Arc<Board>,
    looks: u32,
    /// Who was there at the last look.
    dots: Vec<Dot>,
    surface: Surface,
}

enum Surface {
    File {
        canvas: Canvas,
        picture: Box<Picture>,
        crowd: Crowd,
    },
    /// Taken at the first look, so that what is said at the start stands where it always does.
    Terminal(Option<Screen<Stdout>>),
}

impl Map {
    /// A picture of who is on `board`, in a world of `cells` cells each way. The file is opened at
    /// once, so that it is known early whether it can be; what is in it stays until the end.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn new(output: &Output, cells: usize, board: Arc<Board>) -> Result<Self, MapError> {
        let surface = match output {
            Output::Terminal if !io::stdout().is_terminal() => return Err(MapError::NoTerminal),
            Output::Terminal => Surface::Terminal(None),
            Output::File(path) => {
                let canvas =
                    Canvas::open(path).map_err(|error| MapError::File { path: path.clone(), error })?;
                Surface::File { canvas, picture: Box::new(Picture::new(cells)), crowd: Crowd::default() }
            }
        };
        Ok(Self { board, looks: 0, dots: Vec::new(), surface })
    }

    /// To be called some twenty times a second.
    pub fn look(&mut self) {
        self.looks = (self.looks + 1) % LOOKS;
        if self.looks != 0 {
            return;
        }
        self.dots.clear();
        self.dots.extend(self.board.dots());
        match &mut self.surface {
            Surface::File { picture, crowd, .. } => {
                self.dots.iter().for_each(|dot| picture.trace(*dot));
                crowd.see(&self.dots);
            }
            Surface::Terminal(screen) => {
                // A terminal that went away is no reason to stop.
                if screen.is_none() {
                    *screen = Screen::open(io::stdout()).ok();
                }
                let Some(screen) = screen else { return };
                let size = terminal_size::terminal_size();
                let (columns, rows) = size.map_or((80, 24), |(columns, rows)| (columns.0, rows.0));
                screen.show(&frame(&self.dots, columns.into(), rows.into()));
            }
        }
    }

    /// Gives the terminal back, for what is said at the end.
    pub fn leave(&mut self) {
        if let Surface::Terminal(screen) = &mut self.surface {
            *screen = None;
        }
    }

    /// The end: the terminal is as it was, or the file is written. It has the paths of all the
    /// time, and the players of the last look at which at least half of the most were there.
    ///
    /// # Errors
    /// [`MapError::Write`].
    pub fn finish(self) -> Result<(), MapError> {
        let Surface::File { canvas, mut picture, crowd } = self.surface else { return Ok(()) };
        picture.draw(&crowd.dots);
        let path = canvas.path.clone();
        canvas.paint(&picture).map_err(|error| MapError::Write { path, error })
    }
}

/// The file that the picture is written to. A launch that fails leaves it as it was. No other file is put
/// in its place: at the end the program may not have the right to that any more.
struct Canvas {
    path: PathBuf,
    file: File,
    /// There was none before, and nothing is in it yet.
    is_blank: bool,
}

impl Canvas {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true);
        let (file, is_blank) = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (options.open(path)?, false),
            made => (made?, true),
        };
        Ok(Self { path: path.to_owned(), file, is_blank })
    }

    /// Writes the picture over what was there.
    fn paint(mut self, picture: &Picture) -> Result<(), png::EncodingError> {
        self.is_blank = false;
        self.file.set_len(0)?;
        picture.write_png(BufWriter::new(&self.file))
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        if self.is_blank {
            // If that is not possible there is an empty file, and the reason was something else.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The players of the last look that saw many: at the end there may be nobody.
#[derive(Default)]
struct Crowd {
    most: usize,
    dots: Vec<Dot>,
}

impl Crowd {
    fn see(&mut self, dots: &[Dot]) {
        self.most = self.most.max(dots.len());
        if 2 * dots.len() >= self.most {
            self.dots.clear();
            self.dots.extend_from_slice(dots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_a_png_or_the_terminal() {
        assert_eq!("term".parse(), Ok(Output::Terminal));
        assert_eq!("a/world.PNG".parse(), Ok(Output::File("a/world.PNG".into())));
        for wrong in ["", ".png", "world.jpg", "terminal"] {
            assert!(wrong.parse::<Output>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_made_is_known_at_the_start() {
        let nowhere = Output::File("/nowhere/at/all.png".into());
        let said = Map::new(&nowhere, 1, Arc::new(Board::new(1, 1))).map(drop);
        let said = said.expect_err("no such folder").to_string();
        assert!(said.starts_with("--map /nowhere/at/all.png: No such file"), "{said}");
    }

    #[test]
    fn a_launch_that_fails_leaves_the_file_as_it_was() {
        let path = std::env::temp_dir().join(format!("gannet-map-old-{}.png", std::process::id()));
        let map = || Map::new(&Output::File(path.clone()), 1, Arc::new(Board::new(1, 1))).expect("a map");
        drop(map());
        assert!(!path.exists(), "an empty file is left behind");
        let old = vec![7; 1 << 20];
        fs::write(&path, &old).expect("written");
        drop(map());
        assert_eq!(fs::read(&path).expect("a file"), old);
        map().finish().expect("written");
        let new = fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("removed");
        assert!(new.starts_with(b"\x89PNG") && new.len() < old.len() && new.ends_with(b"IEND\xaeB`\x82"));
    }

    #[test]
    fn the_file_shows_who_was_there_before_all_left() {
        let path = std::env::temp_dir().join(format!("gannet-map-{}.png", std::process::id()));
        let board = Arc::new(Board::new(1, 2));
        let mut map = Map::new(&Output::File(path.clone()), 1, Arc::clone(&board)).expect("a map");
        let mut look = |x: [Option<f32>; 2]| {
            for (slot, x) in x.into_iter().enumerate() {
                board.line(0).show(slot, x.map(|x| Dot { x, z: 0.5, ..Dot::default() }));
            }
            (0..LOOKS).for_each(|_| map.look());
        };
        look([Some(0.25), Some(0.5)]);
        look([Some(0.75), None]);
        look([None, None]);
        map.finish().expect("written");
        let file = fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("removed");
        let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut bytes).expect("pixels");
        let pixel = |column: usize| &bytes[(511 * SIDE + column) * 3..][..3];
        assert_eq!(pixel(768), colour::PLAYER, "the last look that saw half of them");
        assert_eq!([pixel(256), pixel(512)], [colour::PATH; 2], "where the others were");
    }
}
