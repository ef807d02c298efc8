//! Two scores of the same things as points of a plane: SVG, PNG or PDF.

use super::drawing::DrawingFormat;
use super::rendered;
use crate::error::{Error, Result};
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, DrawingAreaErrorKind, IntoDrawingArea, IntoFont, Palette, Palette99,
    SVGBackend, SeriesLabelPosition, WHITE,
};
use std::path::Path;

/// Points of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Whose they are.
    pub name: String,
    /// Both scores of each.
    pub points: Vec<[f64; 2]>,
}

/// Says who drew it.
const MARK: &str = "<!-- drawn by sgas -->\n";
/// Width and height in pixels.
const SIZE: (u32, u32) = (640, 480);

/// By the extension of a file's name.
///
/// # Errors
/// Another extension.
pub fn format_of(path: &Path) -> Result<DrawingFormat> {
    DrawingFormat::of(path).filter(|format| *format != DrawingFormat::Dot).ok_or_else(|| {
        Error::invalid("--plot", "a name that ends in .svg, .png or .pdf", format!("'{}'", path.display()))
    })
}

/// True of what [`draw`] writes.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.ends_with(MARK.as_bytes()) || rendered::is_ours(bytes)
}

/// The points of every group in a colour of its own, as SVG where the format is none of pixels or pages; `columns` are the
/// words at the axes.
///
/// # Errors
/// None that is known; the drawing library's.
pub fn draw(format: DrawingFormat, columns: &[String; 2], groups: &[Group]) -> Result<Vec<u8>> {
    let mut svg = String::new();
    plot(&mut svg, columns, groups).map_err(|error| Error::run(format!("the plot can't be drawn: {error}")))?;
    match format {
        DrawingFormat::Png => rendered::png(&svg),
        DrawingFormat::Pdf => rendered::pdf(&svg),
        DrawingFormat::Svg | DrawingFormat::Dot => Ok((svg + MARK).into_bytes()),
    }
}

fn plot(
    svg: &mut String,
    columns: &[String; 2],
    groups: &[Group],
) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let range = |axis: usize| {
        let values = || groups.iter().flat_map(|group| &group.points).map(|point| point[axis]);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let margin = if high > low { (high - low) / 20.0 } else { low.abs().max(1.0) / 20.0 };
        low - margin..high + margin
    };
    let font = |size: i32| ("DejaVu Sans Mono, monospace", size).into_font();
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(range(0), range(1))?;
    chart
        .configure_mesh()
        .x_desc(columns[0].replace('_', " "))
        .y_desc(columns[1].replace('_', " "))
        .label_style(font(12))
        .axis_desc_style(font(14))
        .light_line_style(WHITE)
        .draw()?;
    for (index, group) in groups.iter().enumerate() {
        let colour = Palette99::pick(index).filled();
        let points = group.points.iter().map(|point| Circle::new((point[0], point[1]), 4, colour));
        chart.draw_series(points)?.label(&group.name).legend(move |at| Circle::new((at.0 + 8, at.1), 4, colour));
    }
    if groups.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font(font(12))
            .draw()?;
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_and_names_are_text() {
        let columns = ["search_score".to_owned(), "score".to_owned()];
        let groups = [
            Group { name: "a <b>".to_owned(), points: vec![[1.0, 2.0], [3.0, 4.0]] },
            Group { name: "c".to_owned(), points: vec![[1.0, 1.0]] },
        ];
        let svg = String::from_utf8(draw(DrawingFormat::Svg, &columns, &groups).unwrap()).unwrap();
        // A point in the legend for each.
        assert_eq!(svg.matches("<circle").count(), 3 + 2);
        assert!(svg.contains("a &lt;b&gt;") && svg.contains("search score"), "{svg}");
        for format in [DrawingFormat::Svg, DrawingFormat::Png, DrawingFormat::Pdf] {
            assert!(is_ours(&draw(format, &columns, &groups[1..]).unwrap()), "{format:?}");
        }
        assert!(format_of(Path::new("x.PNG")).is_ok() && format_of(Path::new("x")).is_err());
    }
}
