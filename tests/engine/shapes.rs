//! Cells of other shapes as networks: what nodes keep, listed sources, other outputs, in search and derived.

use super::{batch, numbers, spec, turn};
use sgas::batch::{Batch, BatchKind};
use sgas::decision::{Choice, EdgeState, NONE, read_off};
use sgas::genotype::{Genotype, SpaceDescription, SpaceName};
use sgas::model::{self, NetworkSpec, SearchModel};
use sgas::ops::{Mode, Operation, point};
use sgas::space::point::PointSpace;
use sgas::space::{CellContext, CellPlan, Head, Space, Stage, Stem, stacked_on_stem};
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::parameters::Path;
use sgas::topology::{CellKind, CellOutput, Keeps, NoneRule, Sources, Topology};
use tch::{Device, Tensor};

const KIND: CellKind = CellKind::Normal;
const PRIMITIVES: [&str; 10] = sgas::ops::names(&point::PRIMITIVES);

/// The shape of NAS-Bench-201's cells: one input, every edge stays, perhaps as `none`; the last node is the output.
static ALL_EDGES: SpaceDescription = description(
    "all-edges",
    Topology::new(3)
        .with_inputs(1)
        .keeping(Keeps::All)
        .with_none(NoneRule::Choosable)
        .putting_out(CellOutput::LastNode),
);

/// Three inputs, listed sources, one edge a node, leaves as output.
static LISTED: SpaceDescription = description(
    "listed",
    Topology::new(3)
        .with_inputs(3)
        .reading(Sources::Listed(&[&[0, 2], &[1, 3], &[3]]))
        .keeping(Keeps::Edges(1))
        .putting_out(CellOutput::Leaves),
);

const fn description(name: &'static str, topology: Topology) -> SpaceDescription {
    SpaceDescription {
        name,
        aliases: &[],
        takes: BatchKind::Points,
        labels_points: false,
        primitives: &PRIMITIVES,
        retrained: &[],
        topology,
        kinds: &[KIND],
    }
}

/// The point space with cells of another shape.
struct Shaped(&'static SpaceDescription, PointSpace);

impl Shaped {
    fn points(spec: &NetworkSpec) -> PointSpace {
        let NetworkSpec { in_channels, per_point, .. } = *spec;
        PointSpace { config: spec.point.clone(), classes: spec.classes as i64, in_channels, per_point }
    }
}

struct Repeated(Box<dyn Stem>, usize);

impl Stem for Repeated {
    fn forward(&self, batch: &Batch, mode: Mode) -> Vec<Tensor> {
        let output = self.0.forward(batch, mode).pop().unwrap();
        (0..self.1).map(|_| output.shallow_clone()).collect()
    }
}

impl Space for Shaped {
    const OUTPUT_BIAS: &'static str = PointSpace::OUTPUT_BIAS;
    const INPUT_WEIGHT: Option<&'static str> = PointSpace::INPUT_WEIGHT;
    type Context = Neighbours;

    fn name(&self) -> SpaceName {
        SpaceName::of(self.0)
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        Box::new(Repeated(self.1.stem(root, channels), self.0.topology.inputs()))
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        stacked_on_stem(self.0.topology, self.1.config.stem_multiplier * channels, channels, cells, states)
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> Box<dyn Operation<Neighbours>> {
        self.1.preprocess(path, plan, input)
    }

    fn operation(
        &self,
        path: &Path,
        primitive: &str,
        plan: &CellPlan,
        source: usize,
    ) -> Option<Box<dyn Operation<Neighbours>>> {
        self.1.operation(path, primitive, plan, source)
    }

    fn context<'a>(&self, plan: &CellPlan, first: &Tensor, batch: &'a Batch) -> CellContext<'a, Neighbours> {
        self.1.context(plan, first, batch)
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        self.1.drop_path_units(batch)
    }

    fn head(&self, root: &Path, channels: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        self.1.head(root, channels, plan)
    }
}

fn logits(model: &dyn SearchModel) -> Vec<f32> {
    let output = model.forward(&batch(), Mode::TRAINING).logits;
    assert_eq!(output.size(), [6, 5]);
    numbers(&output)
}

/// Decides the supernet for these choices, edge by edge, then the network of the same cell.
fn decide_and_derive(space: SpaceName, choices: &[Choice]) -> Genotype {
    let topology = space.topology();
    let mut model = model::supernet(space, &spec(), 1e-3, 1, Device::Cpu);
    let mut states = vec![EdgeState::Open; topology.edge_count()];
    assert!(logits(&*model).iter().all(|value| value.is_finite()));
    let nodes: Vec<usize> = topology.nodes_of_kept().collect();
    for edge in topology.edges() {
        let kept =
            choices.iter().zip(&nodes).find(|(choice, node)| **node == edge.node && choice.source == edge.source);
        match kept {
            Some((choice, _)) => {
                model.fix(KIND, edge.index, choice.primitive);
                states[edge.index] = EdgeState::Fixed(choice.primitive);
            }
            None => {
                model.prune(KIND, edge.index);
                states[edge.index] = EdgeState::Pruned;
            }
        }
        assert!(logits(&*model).iter().all(|value| value.is_finite()));
    }
    let read = read_off(topology, &model.alphas().values(KIND), &states);
    assert_eq!(read, choices);
    let genotype = Genotype::from_choices(space, &read, None);
    assert_eq!(Genotype::from_json(&genotype.to_json(), "again").unwrap(), genotype);
    let derived = model::derived(&genotype, &spec(), 1, Device::Cpu);
    assert_eq!(derived.forward(&batch(), Mode::TRAINING).logits.size(), [6, 5]);
    genotype
}

fn choice(primitive: usize, source: usize) -> Choice {
    Choice { primitive, source }
}

#[test]
fn every_edge_may_stay_and_the_last_node_be_the_output() {
    let _turn = turn();
    let space = model::register(&ALL_EDGES, |spec, _: Stage| Shaped(&ALL_EDGES, Shaped::points(spec))).unwrap();
    let choices = [choice(2, 0), choice(NONE, 0), choice(3, 1), choice(1, 0), choice(NONE, 1), choice(8, 2)];
    let genotype = decide_and_derive(space, &choices);
    assert_eq!(genotype.normal.concat, [3]);
    // A cell in which nothing is left computes zeros, and its network still has scores.
    let nothing = [0, 0, 1, 0, 1, 2].map(|source| choice(NONE, source));
    decide_and_derive(space, &nothing);
    let text = genotype.to_json().replace("[\"edge_conv\", 1]", "[\"edge_conv\", 3]");
    let error = Genotype::from_json(&text, "cell.json").unwrap_err();
    assert!(error.to_string().contains("a source from 0 to 1"), "{error}");
}

#[test]
fn sources_may_be_listed_and_leaves_be_the_output() {
    let _turn = turn();
    let space = model::register(&LISTED, |spec, _: Stage| Shaped(&LISTED, Shaped::points(spec))).unwrap();
    let genotype = decide_and_derive(space, &[choice(4, 2), choice(1, 1), choice(2, 3)]);
    assert_eq!(genotype.normal.concat, [4, 5], "node 0 is state 3, which node 2 reads");
    let text = genotype.to_json().replace("[\"skip_connect\", 1]", "[\"skip_connect\", 0]");
    let error = Genotype::from_json(&text, "cell.json").unwrap_err();
    assert!(error.to_string().contains("a source out of [1, 3]"), "{error}");
}
