//! What happens to one image on its way into the batch: drawn per image (`augmentation.rs`), done for all at once
//! (`assembly.rs`).

/// Black pixels around an image before it is cropped.
pub(super) const PADDING: i64 = 4;

/// Numbers of a placement in the tensor of all.
pub(super) const PARAMETERS: usize = 6;

/// What happens to one image on its way into the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// Which of the pictures it is.
    pub picture: usize,
    /// First row of the crop in the padded picture.
    pub top: i64,
    /// First column of the crop in the padded picture.
    pub left: i64,
    /// Left and right exchanged, after the crop.
    pub flip: bool,
    /// Row and column of the middle of the square that is cut out at last.
    pub cut: Option<[i64; 2]>,
}

impl Placement {
    /// The picture as it is.
    pub fn unchanged(picture: usize) -> Self {
        Self { picture, top: PADDING, left: PADDING, flip: false, cut: None }
    }

    /// As numbers; without a cut, its middle lies so far outside that nothing is cut.
    pub fn parameters(self, cutout: i64) -> [i64; PARAMETERS] {
        let [row, column] = self.cut.unwrap_or([-cutout; 2]);
        [self.picture as i64, self.top, self.left, i64::from(self.flip), row, column]
    }
}
