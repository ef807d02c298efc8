// Where time goes: calls and own seconds of every operator, forward and backward apart.
#include "recording.h"

#include <chrono>
#include <map>
#include <sstream>
#include <string>

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

using Totals = std::map<std::pair<std::string, bool>, Total>;
using Profile = sgas::Record<Totals, c10::DebugInfoKind::TEST_INFO>;

// Of the calls on this thread.
thread_local Frame* innermost = nullptr;

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  auto frame = std::make_unique<Frame>();
  frame->outer = innermost;
  frame->backward = sgas::is_backward(function) || (frame->outer != nullptr && frame->outer->backward);
  innermost = frame.get();
  frame->start = Clock::now();
  return frame;
}

void leave(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto end = Clock::now();
  auto* frame = static_cast<Frame*>(context);
  const auto spent = end - frame->start;
  innermost = frame->outer;
  if (frame->outer != nullptr) {
    frame->outer->inner += spent;
  }
  // The call that ends a record ends after it.
  if (Profile* profile = Profile::current(); profile != nullptr) {
    const std::lock_guard guard(profile->lock);
    auto& total = profile->contents[{function.name(), frame->backward}];
    ++total.calls;
    total.own += spent - frame->inner;
  }
}

}  // namespace

extern "C" {

char* sgas_profile_start() {
  return sgas::guarded([] { Profile::start(at::RecordFunctionCallback(enter, leave)); });
}

// A line per operator: 1 in backward passes and else 0, calls, own nanoseconds, name.
char* sgas_profile_stop(char** out) {
  return sgas::guarded([&] {
    std::ostringstream text;
    for (const auto& [key, total] : Profile::stop()) {
      const auto own = std::chrono::duration_cast<std::chrono::nanoseconds>(total.own);
      text << key.second << ' ' << total.calls << ' ' << own.count() << ' ' << key.first << '\n';
    }
    *out = sgas::copy_text(text.str().c_str());
  });
}

}  // extern "C"
