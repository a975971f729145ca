//! The world from above, in a terminal: two pixels to a character, one above the other.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Dot;

/// Another screen, whose cursor is not seen; the shell's is as it was afterwards.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// Colours of the 256 that terminals have.
mod colour {
    pub(super) const GROUND: u8 = 234;
    pub(super) const DEAD: u8 = 246;
    pub(super) const FIGHT: u8 = 196;
    /// One player, a few, many.
    pub(super) const PLAYERS: [u8; 3] = [71, 113, 191];
}

/// What one pixel has in it.
#[derive(Clone, Copy, Default)]
struct Spot {
    alive: u32,
    fights: bool,
    dead: bool,
}

impl Spot {
    fn add(&mut self, dot: Dot) {
        self.alive += u32::from(!dot.dead);
        self.fights |= dot.fights;
        self.dead |= dot.dead;
    }

    fn colour(self) -> u8 {
        match self {
            Self { fights: true, .. } => colour::FIGHT,
            Self { alive: 1, .. } => colour::PLAYERS[0],
            Self { alive: 2..=4, .. } => colour::PLAYERS[1],
            Self { alive: 5.., .. } => colour::PLAYERS[2],
            Self { dead: true, .. } => colour::DEAD,
            _ => colour::GROUND,
        }
    }
}

/// The players as text for a terminal of that many columns and rows: the world, and a line that
/// counts them.
pub fn frame(dots: &[Dot], columns: usize, rows: usize) -> String {
    let side = columns.min(2 * rows.saturating_sub(1)) & !1;
    let spots = spots(dots, side);
    let mut text = String::from("\x1b[H");
    for pair in spots.chunks_exact((2 * side).max(1)) {
        let (upper, lower) = pair.split_at(side);
        write_row(&mut text, upper, lower);
        text.push_str("\x1b[0m\x1b[K\r\n");
    }
    let count = |is: fn(&Dot) -> bool| dots.iter().filter(|dot| is(dot)).count();
    let (fight, dead) = (count(|dot| dot.fights), count(|dot| dot.dead));
    let line = format!("{} players, {fight} fight, {dead} dead", dots.len());
    text.extend(line.chars().take(columns.saturating_sub(1)));
    text.push_str("\x1b[K\x1b[J");
    text
}

/// Who is in which pixel, by rows from the north.
fn spots(dots: &[Dot], side: usize) -> Vec<Spot> {
    let mut spots = vec![Spot::default(); side * side];
    if side > 0 {
        let pixel = |fraction: f32| ((fraction * side as f32) as usize).min(side - 1);
        for dot in dots {
            spots[(side - 1 - pixel(dot.z)) * side + pixel(dot.x)].add(*dot);
        }
    }
    spots
}

/// Writes two rows of pixels as one of characters, and a colour where it changes only.
fn write_row(text: &mut String, upper: &[Spot], lower: &[Spot]) {
    let mut last = None;
    for (upper, lower) in upper.iter().zip(lower) {
        let colours = (upper.colour(), lower.colour());
        if last != Some(colours) {
            // Writing to a string does not fail.
            let _ = write!(text, "\x1b[38;5;{};48;5;{}m", colours.0, colours.1);
            last = Some(colours);
        }
        text.push('▀');
    }
}

/// A terminal that is ours until this is dropped.
pub struct Screen<W: Write> {
    out: W,
}

impl<W: Write> Screen<W> {
    /// Takes the terminal.
    ///
    /// # Errors
    /// What the writer says.
    pub fn open(mut out: W) -> io::Result<Self> {
        out.write_all(ENTER.as_bytes())?;
        out.flush()?;
        Ok(Self { out })
    }

    /// Shows text. A terminal that went away is no reason to stop.
    pub fn show(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        self.show(LEAVE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(x: f32, z: f32) -> Dot {
        Dot { x, z, fights: false, dead: false }
    }

    /// A row's characters as upper and lower colours.
    fn pixels(row: &str) -> Vec<(u8, u8)> {
        let mut now = (0, 0);
        let mut pixels = Vec::new();
        for part in row.split('\x1b').filter_map(|part| part.strip_prefix("[38;5;")) {
            let (codes, blocks) = part.split_once('m').expect("a colour");
            let (upper, lower) = codes.split_once(";48;5;").expect("two colours");
            now = (upper.parse().expect("upper"), lower.parse().expect("lower"));
            pixels.extend(blocks.chars().filter(|&character| character == '▀').map(|_| now));
        }
        let _ = now;
        pixels
    }

    #[test]
    fn a_frame_has_the_players_in_their_places() {
        let fights = Dot { fights: true, ..at(0.99, 0.99) };
        let dead = Dot { dead: true, ..at(0.99, 0.01) };
        let few = [at(0.0, 0.7); 3];
        let text = frame(&[&[at(0.0, 0.99), fights, dead][..], &few].concat(), 4, 9);
        let rows: Vec<_> = text.split("\r\n").collect();
        assert_eq!(rows.len(), 3, "two rows of four pixels and the count: {text:?}");
        let ground = colour::GROUND;
        let north = vec![
            (colour::PLAYERS[0], colour::PLAYERS[1]),
            (ground, ground),
            (ground, ground),
            (colour::FIGHT, ground),
        ];
        assert_eq!(pixels(rows[0]), north);
        assert_eq!(pixels(rows[1])[3], (ground, colour::DEAD));
        assert!(rows[2].starts_with("6 p"), "cut to the width: {text:?}");
    }

    #[test]
    fn a_frame_fits_any_terminal() {
        let many = [at(0.3, 0.3); 9];
        for (columns, rows) in [(0, 0), (1, 1), (2, 2), (3, 100), (200, 3), (80, 24)] {
            let text = frame(&many, columns, rows);
            let lines: Vec<_> = text.split("\r\n").collect();
            assert!(lines.len() <= rows.max(1), "{columns} x {rows}: {text:?}");
            assert!(lines.iter().all(|line| pixels(line).len() <= columns), "{columns} x {rows}");
        }
        assert!(frame(&many, 80, 24).contains("9 players, 0 fight, 0 dead"));
    }

    #[test]
    fn the_terminal_is_given_back() {
        let mut out = Vec::new();
        Screen::open(&mut out).expect("open").show("between");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, format!("{ENTER}between{LEAVE}"));
    }
}
