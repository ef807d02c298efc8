// The C side of the bridge: plain functions over libtorch that hand exceptions back as text.
//
// Every function is `extern "C"`, takes tensors as `at::Tensor*` (the `C_tensor*` of torch-sys), gives results
// through pointers, and returns null or the text of an exception, which the caller frees with
// `sgas_free_text`. Its body stands in `sgas::guarded`, so no exception ever crosses into Rust.
#pragma once

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <cstring>

namespace sgas {

// A copy on C's heap, which Rust can give back without knowing C++.
inline char* copy_text(const char* text) noexcept {
  char* copy = strdup(text);
  return copy != nullptr ? copy : strdup("out of memory");
}

// The text of the exception that is being handled; with libtorch's C++ stack where RUST_BACKTRACE asks for one.
char* thrown_text() noexcept;

// Runs `body`; null when it returned, else the text of what it threw. Profilers see it by the name of the function
// that called this.
template <class Body>
char* guarded(Body&& body, const char* caller = __builtin_FUNCTION()) noexcept {
  try {
    at::RecordFunction record(at::RecordScope::FUNCTION);
    if (record.isActive()) {
      record.before(caller);
    }
    body();
    return nullptr;
  } catch (...) {
    return thrown_text();
  }
}

// Notes the type of a tensor that a kernel computes with, where this thread records types (types.cpp).
void note_type(const at::Tensor& tensor);

// Gives a tensor to Rust, which takes it with `Tensor::from_ptr` and frees it.
inline void give(at::Tensor** out, at::Tensor tensor) {
  *out = new at::Tensor(std::move(tensor));
}

// capture.cpp: whether a CUDA graph of this process could not be recorded to its end.
bool a_recording_broke_off();

}  // namespace sgas

extern "C" {
void sgas_free_text(char* text);
}
