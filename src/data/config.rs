//! The section `[data]` of a configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::division::{Lists, USUAL};
use super::graphs::config::GraphDataConfig;
use super::images::config::ImageDataConfig;
use super::loader::LoaderConfig;
use super::points::augmentation::{Augmentation, Normalization, PointOrder};
use super::points::clouds::Clouds;
use super::points::colours::ColorRange;
use super::points::config::Hdf5DataConfig;
use super::points::features::Features;
use super::points::intake::Intake;
use super::scenes::config::SceneDataConfig;
use super::split::Shares;
use super::synthetic::SyntheticConfig;
use crate::bounds;
use crate::error::{Error, Result};

/// Background threads beyond which a loader gains nothing.
const MOST_WORKERS: usize = 256;

/// Batches beyond which waiting ones only take memory.
const MOST_AHEAD: usize = 1024;

/// Depth cameras see nothing in up to a third of their pixels; a file with less than half of its points is another matter.
const INVALID_POINTS: f64 = 0.5;

/// `[data]`: where samples come from and how they are prepared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// `synthetic` or a folder; absent: looked for under `$SGAS_DATA` and `data/`.
    pub source: Option<String>,
    /// Points per cloud.
    pub points: usize,
    /// What a point has besides its position: `normals`, `colors`, and columns by name or number.
    pub features: Vec<String>,
    /// The columns that are x, y and z where files call them otherwise, by name or number, then `name=column` for others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub columns: Vec<String>,
    /// The greatest value of colours whose type does not say it: 1, 255 or 65535; `auto`: by the values of the whole set.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(with = "String", extend("default" = "auto"))]
    pub color_range: ColorRange,
    /// The largest share of a cloud's points that may be left out because a number of theirs is not finite.
    #[serde(skip_serializing_if = "is_usual_share")]
    #[schemars(extend("default" = INVALID_POINTS))]
    pub invalid_points: f64,
    /// Share of the training split that is used at all, by class; for runs that must be short. `split_seed` chooses.
    /// Where there are several graphs, shares take whole ones, else nodes.
    pub training_share: f64,
    /// Share of what is used of the training split that is held out for validation, by class; of graphs and labelled
    /// clouds without a part for validation, of S3DIS whole rooms.
    pub validation: f64,
    /// In a folder without `train` and `test`: the list of the files, or nodes, for training.
    pub train_list: String,
    /// In a folder without `train` and `test`: the list of the files, or nodes, for testing.
    pub test_list: String,
    /// In such a folder without lists: the share of every class that is held out for testing.
    pub test_share: f64,
    /// Seed of both shares, and of graphs' validation share; not the run's, so that search and training agree.
    pub split_seed: u64,
    /// Go on without files that can't be used, and count them.
    pub skip_bad: bool,
    /// Random changes of training clouds.
    pub augmentation: Augmentation,
    /// Which points of a larger cloud are taken.
    pub order: PointOrder,
    /// Position and size of clouds.
    pub normalize: Normalization,
    /// Threads that prepare batches.
    pub workers: usize,
    /// Prepared batches that may wait.
    pub batches_ahead: usize,
    /// Size of the built-in set.
    pub synthetic: SyntheticConfig,
    /// What HDF5 files of shapes call what they hold.
    #[serde(skip_serializing_if = "is_default")]
    pub hdf5: Hdf5DataConfig,
    /// What is peculiar to pictures.
    #[serde(skip_serializing_if = "is_default")]
    pub images: ImageDataConfig,
    /// What becomes of the links of graphs.
    #[serde(skip_serializing_if = "is_default")]
    pub graphs: GraphDataConfig,
    /// What is peculiar to labelled clouds.
    #[serde(skip_serializing_if = "is_default")]
    pub scenes: SceneDataConfig,
}

/// What a family takes of `[data]`: its own section, the size of the built-in set, and what divides a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a, Own> {
    pub own: Own,
    pub synthetic: &'a SyntheticConfig,
    pub lists: Lists<'a>,
}

/// A run of other data, or that keeps what is usual, says nothing of it.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The same of the share of invalid points.
fn is_usual_share(share: &f64) -> bool {
    *share == INVALID_POINTS
}

impl Default for DataConfig {
    fn default() -> Self {
        let loader = LoaderConfig::default();
        Self {
            source: None,
            points: 1024,
            features: Vec::new(),
            columns: Vec::new(),
            color_range: ColorRange::default(),
            invalid_points: INVALID_POINTS,
            training_share: 1.0,
            validation: 0.0,
            train_list: USUAL[0].to_owned(),
            test_list: USUAL[1].to_owned(),
            test_share: 0.2,
            split_seed: 0,
            skip_bad: false,
            augmentation: Augmentation::default(),
            order: PointOrder::default(),
            normalize: Normalization::default(),
            workers: loader.workers,
            batches_ahead: loader.batches_ahead,
            synthetic: SyntheticConfig::default(),
            hdf5: Hdf5DataConfig::default(),
            images: ImageDataConfig::default(),
            graphs: GraphDataConfig::default(),
            scenes: SceneDataConfig::default(),
        }
    }
}

impl DataConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("data.points", &self.points, &bounds::POINTS, "points")?;
        let Self { validation, training_share: training, test_share: test, .. } = *self;
        for (key, share, is_one, expected) in [
            ("validation", validation, (0.0..1.0).contains(&validation), "a share from 0 to less than 1"),
            ("training_share", training, training > 0.0 && training <= 1.0, "a share above 0, at most 1"),
            ("test_share", test, test > 0.0 && test < 1.0, "a share above 0 and below 1"),
        ] {
            if !is_one {
                return Err(Error::invalid(format!("data.{key}"), expected, share.to_string()));
            }
        }
        self.clouds()?;
        bounds::check("data.workers", &self.workers, &(1..=MOST_WORKERS), "threads")?;
        bounds::check("data.batches_ahead", &self.batches_ahead, &(1..=MOST_AHEAD), "batches")?;
        self.hdf5.validate()?;
        self.images.validate()?;
        self.scenes.validate()?;
        self.synthetic.validate()
    }

    /// Numbers per point that the network takes.
    ///
    /// # Errors
    /// Features that come twice, or are the position's.
    pub fn channels(&self) -> Result<i64> {
        Ok(Features::parse(&self.features)?.channels() as i64)
    }

    /// The section of a family, `own` what is its own.
    pub(super) fn section<Own>(&self, own: Own) -> Section<'_, Own> {
        let (training, validation, test) = (self.training_share, self.validation, self.test_share);
        let shares = Shares { training, validation, test, seed: self.split_seed };
        let lists = Lists { train: &self.train_list, test: &self.test_list, shares, skip_bad: self.skip_bad };
        Section { own, synthetic: &self.synthetic, lists }
    }

    /// What it says of clouds.
    ///
    /// # Errors
    /// Features, columns or a share that won't do.
    pub(super) fn clouds(&self) -> Result<Clouds> {
        Ok(Clouds {
            points: self.points,
            features: Features::parse(&self.features)?,
            intake: Intake::new(&self.columns, self.invalid_points)?,
            color_range: self.color_range,
            normalize: self.normalize,
            augmentation: self.augmentation,
            order: self.order,
        })
    }

    /// The same with what a set decided of its clouds.
    pub(super) fn resolved(&self, clouds: &Clouds) -> Self {
        Self { normalize: clouds.normalize, color_range: clouds.color_range, ..self.clone() }
    }

    /// What a loader needs of it.
    pub fn loader(&self) -> LoaderConfig {
        LoaderConfig { workers: self.workers, batches_ahead: self.batches_ahead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{HeldOut, ImageAugmentation};

    #[test]
    fn every_value_out_of_range_is_named_by_its_key() {
        let wrong = [
            ("points = 0", "data.points"),
            ("validation = 1.0", "data.validation"),
            ("validation = nan", "data.validation"),
            ("training_share = 0.0", "data.training_share"),
            ("test_share = 0.0", "data.test_share"),
            ("features = [\"colors\", \"red\"]", "data.features"),
            ("columns = [\"x\"]", "data.columns"),
            ("invalid_points = nan", "data.invalid_points"),
            ("workers = 0", "data.workers"),
            ("batches_ahead = 0", "data.batches_ahead"),
            ("[synthetic]\ntest = 9", "data.synthetic.test"),
            ("[hdf5]\ndata = \"\"", "data.hdf5.data"),
            ("[images]\nsize = 4", "data.images.size"),
            ("[images]\nsize = 32\ncutout = 33", "data.images.cutout"),
            ("[images]\nmean = [0.5, 1.5, 0.5]", "data.images.mean"),
            ("[images]\ndeviation = [0.2, 0.2, 0.0]", "data.images.deviation"),
        ];
        for (text, key) in wrong {
            let config: DataConfig = toml::from_str(text).unwrap();
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("{key}: expected ")), "{text}: {message}");
        }
        DataConfig::default().validate().unwrap();
    }

    #[test]
    fn the_section_survives_toml() {
        let config = DataConfig {
            source: Some("synthetic".into()),
            augmentation: Augmentation::ScaleTranslate,
            order: PointOrder::Random,
            normalize: Normalization::Cube,
            ..DataConfig::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("augmentation = \"scale_translate\""), "{text}");
        assert_eq!(toml::from_str::<DataConfig>(&text).unwrap(), config);
        assert!(toml::from_str::<DataConfig>("point = 3").is_err(), "unknown key accepted");
    }

    #[test]
    fn the_section_of_pictures_survives_toml_and_stays_away_from_other_runs() {
        let images = ImageDataConfig {
            size: 32,
            augmentation: ImageAugmentation::CropFlip,
            cutout: 16,
            held_out: HeldOut::Last,
            augment_validation: true,
            ..ImageDataConfig::default()
        };
        let config = DataConfig { images, ..DataConfig::default() };
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("augmentation = \"crop_flip\"") && text.contains("held_out = \"last\""), "{text}");
        assert_eq!(toml::from_str::<DataConfig>(&text).unwrap(), config);
        assert!(!toml::to_string(&DataConfig::default()).unwrap().contains("images"));
    }

    #[test]
    fn the_section_of_graphs_survives_toml_and_stays_away_from_other_runs() {
        let config: DataConfig = toml::from_str("[graphs]\nlinks = \"stored\"").unwrap();
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("links = \"stored\"") && text.contains("self_loops = \"removed\""), "{text}");
        assert_eq!(toml::from_str::<DataConfig>(&text).unwrap(), config);
        assert!(!toml::to_string(&DataConfig::default()).unwrap().contains("graphs"));
        assert!(toml::from_str::<DataConfig>("[graphs]\nlinks = \"one\"").is_err());
    }
}
