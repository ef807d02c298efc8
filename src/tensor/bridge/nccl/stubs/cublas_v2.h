// The names of cuBLAS that libtorch's headers speak of.
#pragma once
typedef struct cublasContext* cublasHandle_t;
enum cublasStatus_t : int {};
