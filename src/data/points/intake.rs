//! What the configuration says of the columns of files: how those are called that are taken, and what becomes of points
//! with numbers that are not finite, as depth cameras write where they saw nothing.

use std::path::Path;

use super::features::{AXES, Features};
use super::format::columns::{common_names, rename};
use super::format::{self, Raw};
use crate::error::{Error, Result};

/// Reading of columns, for all files of a set.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Intake {
    /// The name that a column gets, and that it has.
    names: Vec<(String, String)>,
    /// The largest share of a file's points that are left out.
    invalid_points: f64,
}

impl Intake {
    /// Reads `data.columns` (the columns that are x, y and z, then `name=column` for others) and `data.invalid_points`.
    ///
    /// # Errors
    /// Other columns than three without a name, a name twice; a share outside 0 to 1.
    pub fn new(columns: &[String], invalid_points: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&invalid_points) {
            return Err(Error::invalid("data.invalid_points", "a share from 0 to 1", invalid_points.to_string()));
        }
        let mut axes = AXES.iter();
        let mut names: Vec<(String, String)> = Vec::new();
        let wrong =
            |found: String| Error::invalid("data.columns", "the columns of x, y and z, then name=column", found);
        for entry in columns {
            let (name, column) = match entry.split_once('=') {
                Some((name, column)) => (name.trim().to_lowercase(), column.trim()),
                None => match axes.next() {
                    Some(axis) => ((*axis).to_owned(), entry.trim()),
                    None => return Err(wrong(format!("'{entry}' beside three others"))),
                },
            };
            if name.is_empty() || column.is_empty() || names.iter().any(|(known, _)| *known == name) {
                return Err(wrong(format!("'{entry}'")));
            }
            names.push((name, column.to_lowercase()));
        }
        match axes.len() {
            0 | 3 => Ok(Self { names, invalid_points }),
            left => Err(wrong(format!("{} of the three", 3 - left))),
        }
    }

    /// Reads a file, its columns named as the configuration says.
    ///
    /// # Errors
    /// Those of [`format::read`]; a file without such a column.
    pub fn read(&self, path: &Path) -> Result<Raw> {
        let mut raw = format::read(path)?;
        if self.names.is_empty() {
            return Ok(raw);
        }
        let mut positions = Vec::with_capacity(self.names.len());
        for (_, wanted) in &self.names {
            let position = position(&raw, wanted).ok_or_else(|| {
                Error::invalid(path, format!("a column {wanted}, as data.columns says"), raw.names())
                    .with_hint("columns go by their names in any case, or by their numbers, counted from 0")
            })?;
            positions.push(position);
        }
        rename(&mut raw, positions.into_iter().zip(self.names.iter().map(|(name, _)| name.as_str())));
        Ok(raw)
    }

    /// Takes the points out of a cloud whose position or features are not finite numbers; gives the rows that stay
    /// where some do not. A mesh stays as it is.
    ///
    /// # Errors
    /// More such points than may be left out: the first is named.
    pub fn drop_invalid(&self, raw: &mut Raw, features: &Features, place: &str) -> Result<Option<Vec<u32>>> {
        if !raw.triangles.is_empty() {
            return Ok(None);
        }
        let wanted = features.columns();
        let is_wanted = |name: &String| wanted.contains(&name.as_str());
        let columns: Vec<&Vec<f64>> =
            raw.columns.iter().filter(|(name, _)| is_wanted(name)).map(|(_, values)| values).collect();
        let is_bad = |value: &f64| !(*value as f32).is_finite();
        if !columns.iter().any(|column| column.iter().any(is_bad)) {
            return Ok(None);
        }
        let points = columns.first().map_or(0, |column| column.len());
        let kept: Vec<u32> =
            (0..points as u32).filter(|row| !columns.iter().any(|column| is_bad(&column[*row as usize]))).collect();
        let bad = points - kept.len();
        if kept.is_empty() || bad as f64 > self.invalid_points * points as f64 {
            let share = self.invalid_points;
            let hint = format!(
                "{bad} of {points} points, counted from 0, have numbers that are not finite; at most a share of \
                 data.invalid_points = {share} of a cloud is left out"
            );
            let copies: Vec<Vec<f64>> = columns.into_iter().cloned().collect();
            return check_finite(&copies, place).map(|()| None).map_err(|error| error.with_hint(hint));
        }
        for (_, values) in &mut raw.columns {
            *values = kept.iter().map(|row| values[*row as usize]).collect();
        }
        Ok(Some(kept))
    }
}

/// The column of this name, by any of its usual names, or else of this number.
fn position(raw: &Raw, wanted: &str) -> Option<usize> {
    let common = || common_names(std::iter::once(wanted.into())).pop().and_then(|name| raw.position(&name));
    let number = || wanted.parse().ok().filter(|number| *number < raw.columns.len());
    raw.position(wanted).or_else(common).or_else(number)
}

/// # Errors
/// The first number that is not finite, with its point.
pub(in crate::data) fn check_finite(columns: &[Vec<f64>], place: &str) -> Result<()> {
    for column in columns {
        if let Some(point) = column.iter().position(|value| !(*value as f32).is_finite()) {
            return Err(Error::invalid(format!("{place}, point {point}"), "finite numbers", column[point].to_string())
                .with_hint("points are counted from 0; remove this point from the file"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake(columns: &[&str]) -> Result<Intake> {
        Intake::new(&columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), 0.5)
    }

    fn read(columns: &[&str], name: &str, content: &[u8]) -> Result<Raw> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        intake(columns)?.read(&path)
    }

    #[test]
    fn columns_are_named_by_their_names_and_numbers() {
        let text = b"Rechtswert;Hochwert;NHN [m];Rot\n1,5;2;3;255\n";
        let raw = read(&["Rechtswert", "hochwert", "NHN", "red=Rot"], "a.csv", text).unwrap();
        assert_eq!((raw.names(), &raw.columns[0].1), ("x, y, z, red".to_owned(), &vec![1.5]));
        let raw = read(&["2", "1", "0"], "a.csv", text).unwrap();
        assert_eq!((raw.names(), &raw.columns[0].1), ("z, y, x, rot".to_owned(), &vec![1.5]));
        let raw = read(&["2", "1", "0", "label=3"], "a.xyz", b"1 2 3 4\n").unwrap();
        assert_eq!((raw.names(), &raw.columns[0].1), ("z, y, x, label".to_owned(), &vec![1.0]));
        let raw = read(&["red=intensity"], "a.csv", b"x,y,z,intensity\n1,2,3,0.5\n").unwrap();
        assert_eq!(raw.names(), "x, y, z, red");
        let error = read(&["Rechtswert", "Hochwert", "NN"], "a.csv", text).unwrap_err().to_string();
        assert!(error.ends_with("expected a column nn, as data.columns says, found rechtswert, hochwert, nhn, rot"));
    }

    #[test]
    fn a_column_of_bytes_that_gets_the_name_of_a_colour_becomes_one() {
        let mut array = crate::data::numpy::header::write("|u1", [1, 4]);
        array.extend([1, 2, 3, 51]);
        let raw = read(&["red=3"], "a.npy", &array).unwrap();
        assert_eq!(raw.columns[3], ("red".to_owned(), vec![0.2]));
    }

    #[test]
    fn entries_that_name_nothing_are_refused() {
        for columns in
            [&["a", "b"][..], &["a", "b", "c", "d"], &["x=a", "a", "b", "c"], &["=a"], &["red="], &["red=a", "red=b"]]
        {
            let error = intake(columns).unwrap_err().to_string();
            assert!(error.starts_with("data.columns: expected the columns of x, y and z, then name=column"), "{error}");
        }
        assert!(Intake::new(&[], 1.5).unwrap_err().to_string().starts_with("data.invalid_points: expected a share"));
    }

    #[test]
    fn invalid_points_are_dropped_up_to_a_share() {
        let features = Features::parse(&["label".to_owned()]).unwrap();
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let columns: [(&str, [f64; 4]); 5] = [
            ("x", [nan, 1.0, 2.0, 3.0]),
            ("y", [0.0; 4]),
            ("z", [0.0, 0.0, 0.0, 1e300]),
            ("label", [7.0, 8.0, 9.0, 1.0]),
            ("other", [nan, inf, nan, nan]),
        ];
        let raw =
            Raw { columns: columns.map(|(name, values)| (name.to_owned(), values.into())).into(), ..Raw::default() };
        let mut kept = raw.clone();
        let intake = intake(&[]).unwrap();
        assert_eq!(intake.drop_invalid(&mut kept, &features, "a").unwrap(), Some(vec![1, 2]));
        assert_eq!((&kept.columns[0].1, &kept.columns[3].1), (&vec![1.0, 2.0], &vec![8.0, 9.0]));
        assert_eq!(intake.drop_invalid(&mut kept, &features, "a").unwrap(), None);
        let all = Features::parse(&["label".to_owned(), "other".to_owned()]).unwrap();
        let error = intake.drop_invalid(&mut raw.clone(), &all, "a").unwrap_err();
        assert_eq!(error.to_string(), "a, point 0: expected finite numbers, found NaN");
        assert!(error.hint().unwrap().starts_with("4 of 4 points"));
        let mut mesh = Raw { triangles: vec![[1, 2, 3]], ..raw };
        assert_eq!(intake.drop_invalid(&mut mesh, &features, "a").unwrap(), None);
        assert_eq!(mesh.columns[0].1.len(), 4);
    }
}
