//! The batch's part of augmentation, for all images in one go and on their device: padding, crop, flip,
//! normalisation, cutout.
//!
//! What is random was drawn per image before ([`Placement`]), so that an image does not depend on its batch.

use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use super::config::ImageDataConfig;
use super::placement::{PADDING, PARAMETERS, Placement};
use crate::error::Result;
use crate::tensor::bridge::device::upload;

/// How bytes become numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    /// Mean of each colour, of 1.
    mean: [f32; 3],
    /// Standard deviation of each colour.
    deviation: [f32; 3],
    /// Side of the square that is cut out.
    cutout: i64,
}

impl From<&ImageDataConfig> for Finish {
    fn from(config: &ImageDataConfig) -> Self {
        let single = |numbers: [f64; 3]| numbers.map(|number| number as f32);
        Self { mean: single(config.mean), deviation: single(config.deviation), cutout: config.cutout as i64 }
    }
}

impl Finish {
    /// Mean and deviation, fp32 (3), on a device: the same for every batch, so the last ones are kept.
    fn constants(&self, device: Device) -> Result<[Tensor; 2]> {
        static LAST: Mutex<Option<([[f32; 3]; 2], Tensor)>> = Mutex::new(None);
        let numbers = [self.mean, self.deviation];
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = last.as_ref().is_some_and(|(of, known)| *of == numbers && known.device() == device);
        if !is_known {
            let table = Tensor::f_from_slice(numbers.as_flattened())?.f_view([2, 3])?;
            *last = Some((numbers, upload(&table, device)));
        }
        let (_, table) = last.as_ref().expect("was just kept");
        Ok([table.f_select(0, 0)?, table.f_select(0, 1)?])
    }
}

/// The batch of these images, fp32 (B, 3, S, S) with the channels last in memory, out of bytes (N, S, S, 3) on the
/// same device.
///
/// # Errors
/// An exception of libtorch.
pub(super) fn assemble(bytes: &Tensor, placements: &[Placement], finish: &Finish) -> Result<Tensor> {
    let device = bytes.device();
    let parameters: Vec<i64> = placements.iter().flat_map(|one| one.parameters(finish.cutout)).collect();
    let parameters = upload(&Tensor::f_from_slice(&parameters)?.f_view([-1, PARAMETERS as i64])?, device);
    let [picture, top, left, flip, cut_row, cut_column] =
        std::array::from_fn(|number| parameters.narrow(1, number as i64, 1));
    let side = bytes.size()[1];
    let axis = Tensor::f_arange(side, (Kind::Int64, device))?;
    let rows = &axis + top - PADDING;
    // A flip reads the columns from the other end.
    let columns = &axis + flip * (side - 1 - &axis * 2_i64) + left - PADDING;
    let colours = gather(bytes, &picture, &rows, &columns)?;
    let [mean, deviation] = finish.constants(device)?;
    let mut values = colours.f_to_kind(Kind::Float)?;
    let _ = values.f_divide_scalar_(255.0)?.f_sub_(&mean)?;
    let _ = values.f_divide_(&deviation)?;
    if placements.iter().any(|placement| placement.cut.is_some()) {
        let half = finish.cutout / 2;
        let near = |middle: &Tensor| (&axis - middle).ge(-half).logical_and(&(&axis - middle).lt(half));
        let _ = values.f_masked_fill_(&square(&near(&cut_row), &near(&cut_column)), 0.0)?;
    }
    Ok(values.permute([0, 3, 1, 2]))
}

/// The colours (B, S, S, 3) at these rows and columns (B, S) of the pictures (B, 1); black outside of them.
fn gather(bytes: &Tensor, picture: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<Tensor> {
    let (side, batch) = (bytes.size()[1], picture.size()[0]);
    let inside = |places: &Tensor| places.ge(0).logical_and(&places.lt(side));
    let inside = square(&inside(rows), &inside(columns));
    let first = (picture * side + rows.clamp(0, side - 1)) * side;
    let pixels = first.unsqueeze(2) + columns.clamp(0, side - 1).unsqueeze(1);
    let colours = bytes.f_view([-1, 3])?.f_index_select(0, &pixels.flatten(0, -1))?;
    Ok(colours.f_view([batch, side, side, 3])?.f_mul(&inside)?)
}

/// Where both rows and columns (B, S) are true: (B, S, S, 1).
fn square(rows: &Tensor, columns: &Tensor) -> Tensor {
    rows.unsqueeze(2).logical_and(&columns.unsqueeze(1)).unsqueeze(-1)
}

#[cfg(test)]
mod tests;
