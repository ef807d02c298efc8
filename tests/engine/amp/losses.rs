//! What half precision loses.
