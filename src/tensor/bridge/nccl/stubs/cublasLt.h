// The name of cuBLASLt that libtorch's headers speak of.
#pragma once
typedef struct cublasLtContext* cublasLtHandle_t;
