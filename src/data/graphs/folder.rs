//! A folder of tables put together: which row of which table is which node, and what its edges and lists call it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::beside::{Beside, SplitColumn, Values};
use super::config::GraphDataConfig;
use super::content;
use super::counted::Counted;
use super::edges::{Edges, read_edges, too_few};
use super::features::{Doubtful, Features, doubtful};
use super::headings::Heading;
use super::labels::{self, Labelled, Labels};
use super::layout::{self, Kind, Layout, RAW};
use super::lists::Lists;
use super::nodes::{Matrix, Nodes};
use super::numbering::{Ids, Numbering, Order};
use super::planetoid::{self, Planetoid};
use super::tables::{Blanks, Checked, Problems, Table, transposed};
use crate::batch::IGNORED;
use crate::data::folders::count_extensions;
use crate::error::{Error, Result};

/// Everything that a folder says of its nodes.
#[derive(Debug)]
pub(super) struct Folder {
    pub nodes: Nodes,
    /// Of the classes, or of the labels.
    pub names: Vec<String>,
    /// The nodes without a label; empty where all have one.
    pub lacking: Vec<bool>,
    pub lists: Lists,
    pub numbering: Numbering,
    /// What was taken for what, in words.
    pub told: Vec<String>,
    /// Files by extension.
    pub files: BTreeMap<String, usize>,
}

/// What is read of a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// With labels and lists.
    pub labelled: bool,
    /// The lists of the nodes for training and for testing that the configuration names.
    pub lists: [&'a str; 2],
    pub config: &'a GraphDataConfig,
}

/// The tables as read, before their rows are brought into one order.
struct Tables {
    features: Features,
    labelled: Option<Labelled>,
    graphs: Option<(Vec<u64>, Beside)>,
}

/// Reads a folder in this layout.
///
/// # Errors
/// Everything that is wrong with its files.
pub(super) fn read(folder: &Path, layout: Layout, wanted: Wanted<'_>) -> Checked<Folder> {
    if layout == Layout::Pickled {
        return of_planetoid(folder, wanted);
    }
    let place = if layout == Layout::Ogb { folder.join(RAW) } else { folder.to_owned() };
    let (mut problems, mut of_labels) = (Problems::default(), Problems::default());
    let mut files = Files::find(&place, layout, wanted.labelled, &mut problems, &mut of_labels);
    let tables = files.read(layout, wanted, &mut problems, &mut of_labels);
    if !wanted.labelled {
        of_labels.0.clear();
    }
    let counts_columns = tables.as_ref().is_some_and(|tables| tables.features.counts_columns);
    let Some(mut ordered) = tables.and_then(|tables| problems.keep(tables.ordered())) else {
        problems.0.extend(of_labels.0);
        return Err(problems);
    };
    let edges = files.edges.as_ref().and_then(|path| problems.keep(Table::open(path, Blanks::Columns)));
    let counted = match layout {
        Layout::Ogb => problems.keep(Counted::read(&place, ordered.numbering.nodes())).flatten(),
        _ => None,
    };
    let edges = edges.and_then(|table| {
        let (nodes, graphs) = (&ordered.numbering, ordered.graphs.as_deref());
        problems.keep(match (layout, &counted) {
            (Layout::Content, _) => read_cites(&table, nodes),
            (_, Some(counted)) => counted.edges(&table),
            _ => read_edges(&table, nodes, graphs, counts_columns),
        })
    });
    if let Some(counted) = counted {
        ordered.graphs = Some(counted.graph_numbers());
    }
    problems.0.extend(of_labels.0);
    let listed = if wanted.labelled { layout::lists(folder, wanted.lists) } else { Ok(Vec::new()) };
    let listed = problems.keep(listed).unwrap_or_default();
    files.lists = listed.iter().map(|file| file.path.clone()).collect();
    let splits = if wanted.labelled { ordered.splits } else { Vec::new() };
    let lists = problems.keep(Lists::read(&listed, splits, &ordered.numbering));
    let (Some(mut lists), true) = (lists, problems.0.is_empty()) else { return Err(problems) };
    let Edges { links, told } = edges.unwrap_or_default();
    let told = [ordered.told, told, std::mem::take(&mut lists.told)].concat();
    let nodes = Nodes {
        features: ordered.features,
        graphs: ordered.graphs,
        links,
        labels: ordered.labels.filter(|_| wanted.labelled),
    };
    Ok(Folder {
        nodes,
        names: ordered.names,
        lacking: ordered.lacking,
        lists,
        numbering: ordered.numbering,
        told,
        files: files.count(),
    })
}

/// Reads Planetoid's files, with their published split where there are no lists beside them.
fn of_planetoid(folder: &Path, wanted: Wanted<'_>) -> Checked<Folder> {
    let Planetoid { features, classes, names, links, marks, paths } = planetoid::read(folder)?;
    let numbering = Numbering::counted(classes.len());
    let mut listed = if wanted.labelled { layout::lists(folder, wanted.lists)? } else { Vec::new() };
    listed.retain(|file| !paths.contains(&file.path));
    let lists = match &listed[..] {
        [] => Lists::published(marks, "Planetoid's own lists"),
        listed => Lists::read(listed, Vec::new(), &numbering)?,
    };
    let lacking: Vec<bool> = classes.iter().map(|class| *class == IGNORED).collect();
    let without = lacking.iter().filter(|lacks| **lacks).count();
    let place = folder.display();
    let mut told = vec![format!("{place}: features, classes and links as Planetoid pickled them")];
    if without > 0 {
        told.push(format!("{place}: {without} nodes that test.index leaves out have no features and no class"));
    }
    let labels = wanted.labelled.then_some(Labels::Classes(classes));
    Ok(Folder {
        nodes: Nodes { features, graphs: None, links, labels },
        names: (0..names).map(|class| class.to_string()).collect(),
        lacking: if without > 0 { lacking } else { Vec::new() },
        lists,
        numbering,
        told,
        files: count_extensions(paths.iter().chain(listed.iter().map(|file| &file.path))),
    })
}

/// The files of a folder.
#[derive(Default)]
struct Files {
    features: Option<PathBuf>,
    edges: Option<PathBuf>,
    labels: Option<PathBuf>,
    graphs: Option<PathBuf>,
    lists: Vec<PathBuf>,
}

impl Files {
    fn find(folder: &Path, layout: Layout, labelled: bool, problems: &mut Problems, of_labels: &mut Problems) -> Self {
        if layout == Layout::Content {
            let Some([content, cites]) = problems.keep(layout::content_files(folder)) else {
                return Self::default();
            };
            return Self { features: Some(content), edges: Some(cites), ..Self::default() };
        }
        let labels = match labelled {
            true => of_labels.keep(layout::require(folder, Kind::Labels)),
            // They may name the nodes.
            false => layout::find(folder, Kind::Labels).ok().flatten(),
        };
        Self {
            features: problems.keep(layout::require(folder, Kind::Features)),
            edges: problems.keep(layout::require(folder, Kind::Edges)),
            labels,
            graphs: problems.keep(layout::find(folder, Kind::Graphs)).flatten(),
            lists: Vec::new(),
        }
    }

    /// The tables; none without features, as these number the nodes.
    fn read(
        &self,
        layout: Layout,
        wanted: Wanted<'_>,
        problems: &mut Problems,
        of_labels: &mut Problems,
    ) -> Option<Tables> {
        let open = |path: &PathBuf, blanks: Blanks| Table::open(path, blanks);
        let features = self.features.as_ref().and_then(|path| problems.keep(open(path, Blanks::Columns)));
        let labels = self.labels.as_ref().and_then(|path| of_labels.keep(open(path, Blanks::NumberedNames)));
        let features = features?;
        let unlabelled = wanted.config.unlabelled.as_deref();
        if layout == Layout::Content {
            let (features, labelled) = problems.keep(content::read(&features, unlabelled))?;
            return Some(Tables { features, labelled: Some(labelled), graphs: None });
        }
        let doubtful = problems.keep(self.doubtful(&features, labels.as_ref()))?;
        let mut features = problems.keep(Features::read(&features, doubtful))?;
        let to_compare = labels.as_ref().filter(|_| wanted.labelled);
        if let Some(error) = to_compare.and_then(|labels| exchanged(&features.matrix, labels, self.features.as_deref()))
        {
            problems.0.push(error);
            return None;
        }
        let nodes = features.matrix.rows();
        let graphs = self.graphs.as_ref().and_then(|path| problems.keep(open(path, Blanks::Columns)));
        let graphs = graphs.and_then(|table| problems.keep(read_graph_numbers(&table, nodes)));
        if !wanted.labelled {
            if features.beside.ids.is_none() {
                features.beside.ids = labels.and_then(|table| labels::names_of_nodes(&table, nodes));
            }
            return Some(Tables { features, labelled: None, graphs });
        }
        let labelled = labels.and_then(|table| of_labels.keep(Labelled::read(&table, nodes, unlabelled)));
        Some(Tables { features, labelled, graphs })
    }

    /// What a first line of the features is that may be a header or a row; see [`doubtful`].
    fn doubtful(&self, features: &Table, labels: Option<&Table>) -> Result<Doubtful> {
        let Heading::PerhapsCounts(first) = Heading::of(features)? else { return Ok(Doubtful::Row) };
        let others = match labels {
            Some(labels) => labels::rows(labels)?,
            None => None,
        };
        let found = doubtful(features, others)?;
        let Some((labels, edges)) = labels.zip(self.edges.as_ref()).filter(|_| others.is_none() && first.len() == 2)
        else {
            return Ok(found);
        };
        let counts = |table: &Table| Heading::of(table).map(|heading| matches!(heading, Heading::PerhapsCounts(_)));
        let edges = Table::open(edges, Blanks::Columns)?;
        let all = counts(labels)? && counts(&edges)? && labels.rows() == features.rows();
        Ok(if all { Doubtful::Header } else { found })
    }

    fn count(&self) -> BTreeMap<String, usize> {
        let tables = [&self.edges, &self.features, &self.labels, &self.graphs].into_iter().flatten();
        let plain = |path: &PathBuf| {
            let name = path.to_string_lossy();
            PathBuf::from(name.strip_suffix(".gz").unwrap_or(&name))
        };
        let files: Vec<PathBuf> = tables.chain(&self.lists).map(plain).collect();
        count_extensions(files.iter())
    }
}

/// The error of features that have more columns than rows, and as many as the labels have rows.
fn exchanged(features: &Matrix, labels: &Table, path: Option<&Path>) -> Option<Error> {
    let all = labels.rows();
    let clear = labels::rows(labels).ok().flatten();
    let may_be = |rows: usize| clear.map_or(rows == all || rows + 1 == all, |clear| rows == clear);
    let rows = features.columns;
    let is_so = features.rows() < rows && may_be(rows);
    let (found, expected) = ([features.rows(), features.columns], [rows, features.rows()]);
    is_so.then(|| transposed(path.unwrap_or(Path::new("")), expected, found))
}

/// The tables in the order of the nodes.
struct Ordered {
    features: Matrix,
    names: Vec<String>,
    labels: Option<Labels>,
    lacking: Vec<bool>,
    graphs: Option<Vec<u64>>,
    splits: Vec<SplitColumn>,
    numbering: Numbering,
    told: Vec<String>,
}

impl Tables {
    /// Brings the rows of all tables into the order of the nodes: that of the features, or of the numbers in them.
    ///
    /// # Errors
    /// Tables that name other nodes, or of which one says nothing where the other has another order.
    fn ordered(self) -> Checked<Ordered> {
        let Self { features: Features { matrix, beside, .. }, labelled, graphs } = self;
        let (mut told, mut splits) = (beside.told, Vec::new());
        let rows = matrix.rows();
        let of_features = beside.ids.as_ref().map(|ids| order(ids, &mut told)).transpose()?;
        let of_labels = labelled.as_ref().and_then(|labelled| labelled.beside.ids.as_ref());
        let numbering = match (&of_features, of_labels) {
            (Some(Order::Names), _) => Numbering::named(beside.ids.as_ref().expect("it has an order"))?,
            (None, Some(ids)) if ids.order()? == Order::Names => Numbering::named(ids)?,
            _ => Numbering::counted(rows),
        };
        let moved = if let Some(Order::Moved(rows)) = &of_features { Some(rows.clone()) } else { None };
        let features = if let Some(rows) = &moved { matrix.of(rows) } else { matrix };
        splits.extend(beside.splits.into_iter().map(|column| column.of_rows(moved.as_deref())));
        let rows_of = |ids: Option<&Ids>, what: &str, told: &mut Vec<String>| -> Checked<Option<Vec<u32>>> {
            match (ids, &moved) {
                (Some(ids), _) => {
                    order(ids, told)?;
                    let rows = ids.rows(&numbering)?;
                    Ok(Some(rows).filter(|rows| !rows.iter().zip(0..).all(|(row, node)| *row == node)))
                }
                (None, None) => Ok(None),
                (None, Some(_)) => {
                    let place = beside.ids.as_ref().map_or(String::new(), |ids| ids.place.clone());
                    let expected = format!("nodes in order, or a column of their numbers in {what} too");
                    let error = Error::invalid(place, expected, "nodes in another order");
                    Err(error.with_hint("sort the rows by node, or give the other table the same column").into())
                }
            }
        };
        let mut ordered = Ordered {
            features,
            names: Vec::new(),
            labels: None,
            lacking: Vec::new(),
            graphs: None,
            splits,
            numbering: numbering.clone(),
            told: Vec::new(),
        };
        if let Some(Labelled { names, labels, lacking, beside }) = labelled {
            told.extend(beside.told);
            let order = rows_of(beside.ids.as_ref(), "the labels", &mut told)?;
            let moved = |marks: Vec<bool>| match &order {
                Some(rows) if !marks.is_empty() => rows.iter().map(|row| marks[*row as usize]).collect(),
                _ => marks,
            };
            ordered.splits.extend(beside.splits.into_iter().map(|column| column.of_rows(order.as_deref())));
            ordered.labels = Some(if let Some(order) = &order { labels.of(order, rows) } else { labels });
            (ordered.names, ordered.lacking) = (names, moved(lacking));
        }
        if let Some((numbers, beside)) = graphs {
            told.extend(beside.told);
            let order = rows_of(beside.ids.as_ref(), "the graphs", &mut told)?;
            ordered.graphs = Some(match order {
                Some(rows) => rows.iter().map(|row| numbers[*row as usize]).collect(),
                None => numbers,
            });
        }
        ordered.told = told;
        Ok(ordered)
    }
}

/// What a column of nodes holds, told in words.
fn order(ids: &Ids, told: &mut Vec<String>) -> Checked<Order> {
    let found = ids.order()?;
    let words = match &found {
        Order::Counting => "numbers the rows and is left out",
        Order::Moved(_) => "numbers the nodes, and the rows were sorted by it",
        Order::Names => "names the nodes",
    };
    told.push(format!("{}: {} {words}", ids.place, ids.column));
    Ok(found)
}

/// Reads the graph number of each of so many nodes.
///
/// # Errors
/// Another number of rows, values that are no whole numbers.
pub(super) fn read_graph_numbers(table: &Table, nodes: usize) -> Checked<(Vec<u64>, Beside)> {
    let names = match Heading::of(table)? {
        Heading::Names(names) | Heading::PerhapsNames(names) => Some(names),
        Heading::PerhapsCounts(names) if table.rows() == nodes + 1 => Some(names),
        _ => None,
    };
    let mut beside = Beside::of(table, names.as_deref(), Values::Numbers)?;
    let mut numbers = Vec::new();
    let width = table.width()?;
    table.read_after(names.is_some(), |row| {
        let columns: Vec<usize> = beside.columns(row.len()).collect();
        let Some(&column) = columns.first().filter(|column| columns.len() == 1 && **column < row.len()) else {
            let expected = "one column, the number of the node's graph";
            return Err(Error::invalid(row.place(), expected, row.len().to_string()));
        };
        numbers.push(row.whole(column).ok_or_else(|| row.invalid(column, "the number of the node's graph"))?);
        beside.take(row)
    })?;
    table.require_rows(numbers.len(), width, nodes)?;
    Ok((numbers, beside))
}

/// The links of `NAME.cites`: the paper that is cited, the one that cites. Papers without words are left out.
fn read_cites(table: &Table, nodes: &Numbering) -> Checked<Edges> {
    let (mut edges, mut strangers) = (Edges::default(), 0);
    table.read(|row| {
        if row.len() < 2 {
            return Err(too_few(row));
        }
        match [1, 0].map(|column| nodes.find(&row.text(column))) {
            [Some(citing), Some(cited)] => edges.links.push([citing, cited]),
            _ => strangers += 1,
        }
        Ok(())
    })?;
    let place = table.path.display();
    if edges.links.is_empty() && strangers > 0 {
        let error = Error::invalid(&table.path, "links between nodes of the other file", "none");
        return Err(error.with_hint("NAME.content and NAME.cites call nodes alike").into());
    }
    edges.told.push(format!("{place}: links lead from the citing paper, the second column, to the cited one"));
    if strangers > 0 {
        edges.told.push(format!("{place}: {strangers} links of papers that the other file lacks are left out"));
    }
    Ok(edges)
}

#[cfg(test)]
mod tests;
