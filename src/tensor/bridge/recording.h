// What records of calls share. A record belongs to the thread that began it and to every thread that works for it:
// autograd computes the backward passes of a GPU on a thread of its own, and gives it the state of the thread that
// asked, in which libtorch keeps the record and the callbacks that fill it.
#pragma once

#include "bridge.h"

#include <c10/util/ThreadLocalDebugInfo.h>

#include <memory>
#include <mutex>
#include <utility>

namespace sgas {

// A record of one kind; `place` is where libtorch keeps it, another for each kind.
template <class Contents, c10::DebugInfoKind place>
struct Record : c10::DebugInfoBase {
  std::mutex lock;
  Contents contents;
  at::CallbackHandle callback = 0;

  // The one that this thread works for; null where there is none.
  static Record* current() { return static_cast<Record*>(c10::ThreadLocalDebugInfo::get(place)); }

  static void start(at::RecordFunctionCallback callback) {
    TORCH_CHECK(current() == nullptr, "this thread records already");
    const auto record = std::make_shared<Record>();
    c10::ThreadLocalDebugInfo::_push(place, record);
    record->callback =
        at::addThreadLocalCallback(callback.scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  }

  static Contents stop() {
    Record* record = current();
    TORCH_CHECK(record != nullptr, "this thread does not record");
    at::removeCallback(record->callback);
    const auto kept = c10::ThreadLocalDebugInfo::_pop(place);
    const std::lock_guard guard(record->lock);
    return std::move(record->contents);
  }
};

// True where autograd calls; its own frame around a node also adds up the gradients that meet there.
inline bool is_backward(const at::RecordFunction& function) {
  static const char engine[] = "autograd::engine::";
  return function.scope() == at::RecordScope::BACKWARD_FUNCTION ||
         std::strncmp(function.name(), engine, sizeof engine - 1) == 0;
}

}  // namespace sgas
