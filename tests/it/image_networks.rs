//! Image networks as wholes: parameter counts of the published cells.

use sgas::genotype::{SpaceName, zoo};
use sgas::model::{self, ModelConfig, NetworkSpec};
use sgas::space::image::{ImageConfig, ImageStem};
use sgas::space::point::PointConfig;

/// A published size of network, with an auxiliary head as it was trained with.
fn published(stem: ImageStem, channels: i64, cells: usize, classes: usize) -> NetworkSpec {
    NetworkSpec {
        model: ModelConfig { channels, cells },
        point: PointConfig::default(),
        image: ImageConfig { stem, auxiliary: true, ..ImageConfig::default() },
        classes,
        in_channels: 3,
    }
}

#[test]
fn parameters_of_all_published_image_cells_are_exact() {
    let sizes = [
        ("cifar10_C36_L20", published(ImageStem::Cifar, 36, 20, 10)),
        ("imagenet_C48_L14", published(ImageStem::Imagenet, 48, 14, 1000)),
    ];
    let images: Vec<_> = zoo::cells().iter().filter(|cell| cell.space() == SpaceName::Image).collect();
    assert_eq!(images.len(), 22);
    for cell in images {
        for (name, spec) in &sizes {
            let count = model::parameter_count(&cell.genotype, spec).unwrap();
            assert_eq!(count as u64, cell.params[*name], "{} {name}", cell.name);
        }
    }
}
