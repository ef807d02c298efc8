//! The spaces whose networks can be built: those of this program, a line each, and those of other crates.

use crate::error::Result;
use crate::genotype::{Genotype, SpaceDescription, SpaceName};
use crate::model::{Derived, Model, NetworkSpec, SearchModel, Supernet, SupernetParts};
use crate::space::graph::GraphSpace;
use crate::space::image::{ImageSpace, NasBench201Space};
use crate::space::nas_bench_graph::NasBenchGraphSpace;
use crate::space::point::PointSpace;
use crate::space::{Space, Stage};
use std::sync::{PoisonError, RwLock};
use tch::Device;

/// Builds the networks of a space.
pub(super) trait Builder: Send + Sync {
    /// The space.
    fn space(&self) -> SpaceName;

    /// A fresh supernet.
    fn supernet(
        &self,
        spec: &NetworkSpec,
        alpha_scale: f64,
        seed: u64,
        device: Device,
        parts: &SupernetParts,
    ) -> Box<dyn SearchModel>;

    /// A fresh network of a derived cell, its weights drawn from libtorch's generator.
    fn derived(&self, genotype: &Genotype, spec: &NetworkSpec, device: Device) -> Box<dyn Model>;

    /// See [`Space::OUTPUT_BIAS`].
    fn output_bias(&self) -> &'static str;

    /// See [`Space::INPUT_WEIGHT`].
    fn input_weight(&self) -> Option<&'static str>;
}

/// A space and what makes it of a network's sizes.
struct Entry<S> {
    space: SpaceName,
    make: fn(&NetworkSpec, Stage) -> S,
}

static BUILT_IN: [&dyn Builder; 5] = [
    &Entry { space: SpaceName::IMAGE, make: image },
    &Entry { space: SpaceName::NAS_BENCH_201, make: nas_bench_201 },
    &Entry { space: SpaceName::POINT, make: point },
    &Entry { space: SpaceName::GRAPH, make: graph },
    &Entry { space: SpaceName::NAS_BENCH_GRAPH, make: nas_bench_graph },
];

/// Those of other crates.
static REGISTERED: RwLock<Vec<&'static dyn Builder>> = RwLock::new(Vec::new());

fn image(spec: &NetworkSpec, stage: Stage) -> ImageSpace {
    ImageSpace { config: spec.image.clone(), classes: spec.classes as i64, stage }
}

fn nas_bench_201(spec: &NetworkSpec, stage: Stage) -> NasBench201Space {
    NasBench201Space { classes: spec.classes as i64, stage }
}

fn point(spec: &NetworkSpec, _: Stage) -> PointSpace {
    let NetworkSpec { in_channels, per_point, .. } = *spec;
    PointSpace { config: spec.point.clone(), classes: spec.classes as i64, in_channels, per_point }
}

fn graph(spec: &NetworkSpec, _: Stage) -> GraphSpace {
    GraphSpace { config: spec.graph.clone(), classes: spec.classes as i64, in_channels: spec.in_channels }
}

fn nas_bench_graph(spec: &NetworkSpec, stage: Stage) -> NasBenchGraphSpace {
    NasBenchGraphSpace::new(spec.nas_bench_graph.clone(), spec.classes as i64, spec.in_channels, stage)
}

impl<S: Space + 'static> Builder for Entry<S> {
    fn space(&self) -> SpaceName {
        self.space
    }

    fn supernet(
        &self,
        spec: &NetworkSpec,
        alpha_scale: f64,
        seed: u64,
        device: Device,
        parts: &SupernetParts,
    ) -> Box<dyn SearchModel> {
        Box::new(Supernet::new((self.make)(spec, Stage::Search), &spec.model, alpha_scale, seed, device, parts))
    }

    fn derived(&self, genotype: &Genotype, spec: &NetworkSpec, device: Device) -> Box<dyn Model> {
        Box::new(Derived::new((self.make)(spec, Stage::Retraining), &spec.model, genotype, device))
    }

    fn output_bias(&self) -> &'static str {
        S::OUTPUT_BIAS
    }

    fn input_weight(&self) -> Option<&'static str> {
        S::INPUT_WEIGHT
    }
}

/// Makes a space of another crate known: what it is, and what makes it of a network's sizes. It can then be searched,
/// trained and evaluated like those of this program.
///
/// # Errors
/// A description that does not do: see [`SpaceName::register`].
pub fn register<S: Space + 'static>(
    description: &'static SpaceDescription,
    make: fn(&NetworkSpec, Stage) -> S,
) -> Result<SpaceName> {
    let space = SpaceName::register(description)?;
    // Kept for good, like the space's name.
    let entry: &'static Entry<S> = Box::leak(Box::new(Entry { space, make }));
    REGISTERED.write().unwrap_or_else(PoisonError::into_inner).push(entry);
    Ok(space)
}

/// What builds the networks of a space. Panics for one that only its name was registered of.
pub(super) fn of(space: SpaceName) -> &'static dyn Builder {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    let found = BUILT_IN.iter().chain(registered.iter()).find(|builder| builder.space() == space);
    *found.unwrap_or_else(|| unreachable!("nothing builds networks of the {space} space"))
}
