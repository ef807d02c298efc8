// The names of cuSOLVER that libtorch's headers speak of.
#pragma once
typedef struct cusolverDnContext* cusolverDnHandle_t;
enum cusolverStatus_t : int {};
