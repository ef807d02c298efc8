//! Labelled clouds as users have them: formats, names of classes, what `sgas data` tells and writes, what is refused,
//! and the way from files to a class for every point of new ones.

use crate::cli::sgas;
use crate::data::{pcd, write};
use crate::readme;
use serde_json::{Value, json};
use std::path::Path;
