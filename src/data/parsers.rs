//! Every reader of users' data by what it reads: content in, nothing or an error out. What is read is checked as it is
//! where it becomes a sample, and dropped. The fuzz targets and the test of hostile content call these; the program
//! itself comes to the same readers through files and folders.

pub use super::graphs::parsers::{features, graph_numbers, labels, links, node_list, planetoid, ppi};
pub use super::images::parsers::{archive, cifar, cifar_names, idx, pickled_cifar, picture};
pub use super::points::parsers::{file_list, modelnet_hdf5, parts_table, shape, shape_names, taxonomy};
pub use super::scenes::parsers::{
    class_list, labelled_cloud, s3dis_hdf5, semantic_kitti, shapenet_categories, shapenet_labels, shapenet_list,
};
