// Where a thread's time goes: calls and own seconds of every operator, forward and backward apart.
#include "bridge.h"

#include <chrono>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

namespace {

using Clock = std::chrono::steady_clock;

// A call that has not ended.
struct Frame : at::ObserverContext {
  Frame* outer;
  Clock::time_point start;
  Clock::duration inner{};
  bool backward;
};

struct Total {
  int64_t calls = 0;
  Clock::duration own{};
};

struct Profile {
  std::map<std::pair<std::string, bool>, Total> totals;
  Frame* innermost = nullptr;
  at::CallbackHandle callback = 0;
};

thread_local std::unique_ptr<Profile> profile;

// The engine's own frame around a node also adds up the gradients that meet there.
bool is_backward(const at::RecordFunction& function) {
  static const char engine[] = "autograd::engine::";
  return function.scope() == at::RecordScope::BACKWARD_FUNCTION ||
         std::strncmp(function.name(), engine, sizeof engine - 1) == 0;
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  if (!profile) {
    return nullptr;
  }
  auto frame = std::make_unique<Frame>();
  frame->outer = profile->innermost;
  frame->backward = is_backward(function) || (frame->outer != nullptr && frame->outer->backward);
  profile->innermost = frame.get();
  frame->start = Clock::now();
  return frame;
}

void leave(const at::RecordFunction& function, at::ObserverContext* context) {
  auto* frame = static_cast<Frame*>(context);
  if (!profile || frame == nullptr) {
    return;
  }
  const auto spent = Clock::now() - frame->start;
  auto& total = profile->totals[{function.name(), frame->backward}];
  ++total.calls;
  total.own += spent - frame->inner;
  profile->innermost = frame->outer;
  if (frame->outer != nullptr) {
    frame->outer->inner += spent;
  }
}

}  // namespace

extern "C" {

char* sgas_profile_start() {
  return sgas::guarded([] {
    TORCH_CHECK(!profile, "this thread is profiled already");
    auto fresh = std::make_unique<Profile>();
    fresh->callback = at::addThreadLocalCallback(
        at::RecordFunctionCallback(enter, leave)
            .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
    profile = std::move(fresh);
  });
}

// A line per operator: 1 in backward passes and else 0, calls, own nanoseconds, name.
char* sgas_profile_stop(char** out) {
  std::unique_ptr<Profile> found;
  return sgas::guarded([&] {
    TORCH_CHECK(profile, "this thread is not profiled");
    found = std::move(profile);
    at::removeCallback(found->callback);
    std::ostringstream text;
    for (const auto& [key, total] : found->totals) {
      const auto own = std::chrono::duration_cast<std::chrono::nanoseconds>(total.own);
      text << key.second << ' ' << total.calls << ' ' << own.count() << ' ' << key.first << '\n';
    }
    *out = sgas::copy_text(text.str().c_str());
  });
}

}  // extern "C"
