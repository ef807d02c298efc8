//! Predictions to look at, as `sgas eval --examples` leaves them in a run's folder: clouds to turn, pictures that were taken
//! for something else.

use crate::report::percent;
use serde::{Deserialize, Serialize};

/// The greatest number that a coordinate is stored as; the middle of a cloud is 0.
pub const EXTENT: i32 = 999;
/// The most examples of a file that a page shows.
const MOST: usize = 48;
/// The most points of a cloud.
const MOST_POINTS: usize = 8192;
/// What begins a PNG in base64.
const PNG_IN_BASE64: &str = "iVBORw0KGgo";

/// `examples-<split>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    /// Version of the program.
    pub sgas: String,
    /// The split they are of.
    pub split: String,
    /// The weights.
    pub weights: String,
    /// How they were chosen, in words.
    pub chosen: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The examples.
    pub examples: Vec<Example>,
}

/// A sample, what it is, and what it was taken for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its file, and where in it.
    pub name: String,
    /// Its class; absent where its points have classes of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<usize>,
    /// The predicted class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<usize>,
    /// The predicted class's probability; of a labelled cloud the share of its points that are right.
    pub probability: f64,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// A cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<PointCloud>,
}

/// A picture as the network sees it, its colours brought back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// A PNG in base64.
    pub png: String,
}

/// A cloud as the network sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointCloud {
    /// x, y, z of each point in turn, from -[`EXTENT`] to [`EXTENT`].
    pub positions: Vec<i32>,
    /// The class of every point, where points have classes; -1 of one that does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actual: Vec<i32>,
    /// The predicted class of every point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicted: Vec<i32>,
}

/// The examples of a split as the template shows them; what the script draws stands in [`DrawnCloud`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The split.
    pub split: String,
    /// How they were chosen.
    pub chosen: String,
    /// The pictures.
    pub pictures: Vec<ShownExample>,
    /// The clouds, by their place among those that are drawn.
    pub clouds: Vec<ShownExample>,
    /// Whether points have classes of their own.
    pub labels_points: bool,
    /// Names of the classes that points of these clouds have, with their numbers.
    pub legend: Vec<(usize, String)>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownExample {
    /// Its file.
    pub name: String,
    /// What it is and what it was taken for.
    pub caption: String,
    /// Whether that is right.
    pub is_right: bool,
    /// The picture's address in itself; empty of a cloud.
    pub address: String,
    /// Where the script finds the cloud.
    pub drawn: usize,
}

/// A cloud that the script draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrawnCloud {
    positions: Vec<i32>,
    actual: Vec<i32>,
    predicted: Vec<i32>,
}

impl Examples {
    /// As the page shows them; clouds are added to `drawn`. What is no picture or cloud is left out.
    pub fn shown(&self, drawn: &mut Vec<DrawnCloud>) -> Shown {
        let (mut pictures, mut clouds) = (Vec::new(), Vec::new());
        let first = drawn.len();
        for example in self.examples.iter().take(MOST) {
            if let Some(picture) = example.picture.as_ref().filter(|picture| picture.is_png()) {
                let address = format!("data:image/png;base64,{}", picture.png);
                pictures.push(self.example(example, address, 0));
            }
            if let Some(cloud) = example.cloud.as_ref().filter(|cloud| cloud.is_whole()) {
                clouds.push(self.example(example, String::new(), drawn.len()));
                let PointCloud { positions, actual, predicted } = cloud.clone();
                drawn.push(DrawnCloud { positions, actual, predicted });
            }
        }
        let of_points = drawn[first..].iter().flat_map(|cloud| cloud.actual.iter().chain(&cloud.predicted));
        let classes: std::collections::BTreeSet<usize> =
            of_points.filter_map(|class| usize::try_from(*class).ok()).collect();
        let legend: Vec<(usize, String)> = classes.into_iter().map(|class| (class, self.class(class))).collect();
        let labels_points = !legend.is_empty();
        Shown { split: self.split.clone(), chosen: self.chosen.clone(), pictures, clouds, labels_points, legend }
    }

    fn class(&self, class: usize) -> String {
        self.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    fn example(&self, example: &Example, address: String, drawn: usize) -> ShownExample {
        let sure = percent(example.probability);
        let (caption, is_right) = match (example.actual, example.predicted) {
            (Some(actual), Some(predicted)) if actual == predicted => {
                (format!("{}, taken for it with {sure}", self.class(actual)), true)
            }
            (Some(actual), Some(predicted)) => {
                (format!("{}, taken for {} with {sure}", self.class(actual), self.class(predicted)), false)
            }
            _ => (format!("{sure} of its points are right"), example.probability >= 0.5),
        };
        ShownExample { name: example.name.clone(), caption, is_right, address, drawn }
    }
}

impl Picture {
    fn is_png(&self) -> bool {
        let is_base64 = |letter: u8| letter.is_ascii_alphanumeric() || b"+/=".contains(&letter);
        self.png.starts_with(PNG_IN_BASE64) && self.png.bytes().all(is_base64)
    }
}

impl PointCloud {
    fn is_whole(&self) -> bool {
        let points = self.positions.len() / 3;
        let has_all = |classes: &Vec<i32>| classes.is_empty() || classes.len() == points;
        self.positions.len() == 3 * points
            && (1..=MOST_POINTS).contains(&points)
            && has_all(&self.actual)
            && has_all(&self.predicted)
            && self.positions.iter().all(|number| (-EXTENT..=EXTENT).contains(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(picture: Option<&str>, cloud: Option<PointCloud>) -> Example {
        let picture = picture.map(|png| Picture { width: 1, height: 1, png: png.to_owned() });
        Example { name: "a".to_owned(), actual: Some(0), predicted: Some(5), probability: 0.75, picture, cloud }
    }

    #[test]
    fn what_is_no_picture_and_no_cloud_is_left_out() {
        let cloud = |positions: Vec<i32>, actual: Vec<i32>| PointCloud { positions, actual, predicted: Vec::new() };
        let examples = Examples {
            sgas: String::new(),
            split: "test".to_owned(),
            weights: String::new(),
            chosen: String::new(),
            classes: vec!["cup".to_owned()],
            examples: vec![
                example(Some("iVBORw0KGgoAAAA="), None),
                example(Some("javascript:alert(1)"), None),
                example(Some("iVBORw0KGgo\" onload=\"x"), None),
                example(None, Some(cloud(vec![0, 1, 999], vec![0]))),
                example(None, Some(cloud(vec![0, 1], Vec::new()))),
                example(None, Some(cloud(vec![0, 1, 1000], Vec::new()))),
                example(None, Some(cloud(vec![0, 1, 2], vec![0, 1]))),
            ],
        };
        let mut drawn = Vec::new();
        let shown = examples.shown(&mut drawn);
        assert_eq!((shown.pictures.len(), shown.clouds.len(), drawn.len()), (1, 1, 1));
        assert_eq!(shown.pictures[0].caption, "cup, taken for class 5 with 75.00 %");
        assert_eq!((shown.labels_points, &shown.legend[..]), (true, &[(0, "cup".to_owned())][..]));
    }
}
