// libtorch's headers include it, and use none of its names.
