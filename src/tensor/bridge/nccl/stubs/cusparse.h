// The names of cuSPARSE that libtorch's headers speak of.
#pragma once
typedef struct cusparseContext* cusparseHandle_t;
enum cusparseStatus_t : int {};
