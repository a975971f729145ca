//! The world from above, in pixels: north is up.

use std::io::Write;

use super::Dot;

/// Pixels of a picture's side.
pub const SIDE: usize = 1024;
/// Pixels between lines of the grid at least; where the cells are smaller, lines are left out.
const GRID_STEP: usize = 16;

/// Red, green, blue.
pub type Colour = [u8; 3];

/// What is drawn in which colour.
pub mod colour {
    use super::Colour;

    /// Where nobody was.
    pub const GROUND: Colour = [18, 22, 28];
    /// Between cells.
    pub const GRID: Colour = [38, 46, 56];
    /// Where somebody walked.
    pub const PATH: Colour = [44, 78, 70];
    /// Where somebody fought.
    pub const BATTLE: Colour = [110, 40, 34];
    /// A player.
    pub const PLAYER: Colour = [120, 220, 150];
    /// Around one that fights.
    pub const FIGHT: Colour = [255, 90, 60];
    /// A dead one.
    pub const DEAD: Colour = [150, 150, 160];
}

/// A square of pixels.
#[derive(Clone, Debug)]
pub struct Picture {
    pixels: Vec<Colour>,
}

impl Picture {
    /// The ground, with lines between cells of which `cells` make the world's side.
    pub fn new(cells: usize) -> Self {
        let mut picture = Self { pixels: vec![colour::GROUND; SIDE * SIDE] };
        let cells = cells.max(1);
        let every = (GRID_STEP * cells).div_ceil(SIDE).max(1);
        for cell in (0..=cells).step_by(every) {
            let at = (cell * SIDE / cells).min(SIDE - 1);
            for along in 0..SIDE {
                picture.put(at, along, colour::GRID);
                picture.put(along, SIDE - 1 - at, colour::GRID);
            }
        }
        picture
    }

    /// The pixel so far from the left and so far from the top.
    ///
    /// # Panics
    /// If it is outside.
    pub fn pixel(&self, column: usize, row: usize) -> Colour {
        self.pixels[row * SIDE + column]
    }

    /// Leaves a trace of where somebody was, which others are drawn over.
    pub fn trace(&mut self, dot: Dot) {
        let (column, row) = place(dot);
        if dot.fights {
            self.disc(column, row, 2, colour::BATTLE);
        } else if !dot.dead && self.pixel(column, row) != colour::BATTLE {
            self.put(column, row, colour::PATH);
        }
    }

    /// Draws the players: the dead below, those who fight on top.
    pub fn draw(&mut self, dots: &[Dot]) {
        let radius = radius(dots.len());
        let of = |dead, fights| dots.iter().filter(move |dot| dot.dead == dead && dot.fights == fights);
        for dot in of(true, false).chain(of(true, true)) {
            let (column, row) = place(*dot);
            self.cross(column, row, radius, colour::DEAD);
        }
        for dot in of(false, false).chain(of(false, true)) {
            let (column, row) = place(*dot);
            if dot.fights {
                self.disc(column, row, radius + 2, colour::FIGHT);
            }
            self.disc(column, row, radius, colour::PLAYER);
        }
    }

    /// Writes it as PNG.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_png(&self, into: impl Write) -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(into, SIDE as u32, SIDE as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()
    }

    fn put(&mut self, column: usize, row: usize, colour: Colour) {
        if column < SIDE && row < SIDE {
            self.pixels[row * SIDE + column] = colour;
        }
    }

    /// All pixels around one that `is` says yes to, by how far they are from it.
    fn around(
        &mut self,
        (column, row): (usize, usize),
        radius: usize,
        colour: Colour,
        is: impl Fn(usize, usize) -> bool,
    ) {
        for y in row.saturating_sub(radius)..=row + radius {
            for x in column.saturating_sub(radius)..=column + radius {
                if is(x.abs_diff(column), y.abs_diff(row)) {
                    self.put(x, y, colour);
                }
            }
        }
    }

    fn disc(&mut self, column: usize, row: usize, radius: usize, colour: Colour) {
        self.around((column, row), radius, colour, |x, y| x * x + y * y <= radius * radius + 1);
    }

    fn cross(&mut self, column: usize, row: usize, radius: usize, colour: Colour) {
        self.around((column, row), radius, colour, |x, y| x == y);
    }
}

/// The pixel of a place in the world.
fn place(dot: Dot) -> (usize, usize) {
    let pixel = |fraction: f32| ((fraction * SIDE as f32) as usize).min(SIDE - 1);
    (pixel(dot.x), SIDE - 1 - pixel(dot.z))
}

/// How large a player is drawn among so many.
fn radius(players: usize) -> usize {
    match players {
        0..300 => 3,
        300..3000 => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(x: f32, z: f32) -> Dot {
        Dot { x, z, fights: false, dead: false }
    }

    #[test]
    fn the_grid_lies_between_the_cells() {
        let picture = Picture::new(4);
        for line in [0, 256, 512, 768, 1023] {
            assert_eq!(picture.pixel(line, 100), colour::GRID, "{line} from the left");
            assert_eq!(picture.pixel(100, SIDE - 1 - line), colour::GRID, "{line} from below");
        }
        assert_eq!(picture.pixel(100, 100), colour::GROUND);
        let is_grid = |column: &usize| Picture::new(1000).pixel(*column, 100) == colour::GRID;
        assert_eq!((0..64).filter(is_grid).count(), 4, "every 16th of a thousand");
    }

    #[test]
    fn players_stand_where_they_are_and_north_is_up() {
        let mut picture = Picture::new(1);
        let fights = Dot { fights: true, ..at(0.25, 0.25) };
        let dead = Dot { dead: true, ..at(0.5, 0.5) };
        picture.draw(&[at(0.25, 0.75), fights, dead, at(1.0, 0.0)]);
        assert_eq!(picture.pixel(256, 255), colour::PLAYER, "north of the middle");
        assert_eq!(picture.pixel(256 + 5, 255), colour::GROUND);
        assert_eq!(picture.pixel(256, 767), colour::PLAYER);
        assert_eq!(picture.pixel(256 + 5, 767), colour::FIGHT, "around the player");
        assert_eq!(picture.pixel(512 + 2, 511 + 2), colour::DEAD, "the arm of a cross");
        assert_eq!(picture.pixel(512 + 2, 511), colour::GROUND, "between its arms");
        assert_eq!(picture.pixel(1023, 1023), colour::PLAYER, "the south-eastern corner");
    }

    #[test]
    fn paths_stay_and_players_are_drawn_over_them() {
        let mut picture = Picture::new(1);
        picture.trace(Dot { fights: true, ..at(0.5, 0.5) });
        picture.trace(at(0.5, 0.5));
        picture.trace(at(0.25, 0.5));
        picture.trace(Dot { dead: true, ..at(0.75, 0.5) });
        assert_eq!(picture.pixel(512, 511), colour::BATTLE, "a battle stays one");
        assert_eq!(picture.pixel(256, 511), colour::PATH);
        assert_eq!(picture.pixel(768, 511), colour::GROUND);
        picture.draw(&[at(0.25, 0.5)]);
        assert_eq!(picture.pixel(256, 511), colour::PLAYER);
    }

    #[test]
    fn what_is_written_is_a_png_of_the_same_pixels() {
        let mut picture = Picture::new(8);
        picture.draw(&[at(0.1, 0.2), Dot { fights: true, ..at(0.7, 0.9) }]);
        let mut file = Vec::new();
        picture.write_png(&mut file).expect("written");
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("pixels");
        assert_eq!((info.width, info.height, info.color_type), (1024, 1024, png::ColorType::Rgb));
        assert!(bytes == picture.pixels.as_flattened(), "the pixels");
    }
}
