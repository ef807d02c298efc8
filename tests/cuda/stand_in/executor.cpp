// Fibers: each has a stack of its own, and gives way at barriers alone. They are made once, by libc's contexts, and take
// turns by its long jumps, which ask nothing of the kernel of the system.
#include "executor.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include <setjmp.h>
#include <ucontext.h>

namespace executor {

Dimension thread{0}, block{0}, threads{0}, blocks{0};

namespace {

constexpr size_t stack_bytes = size_t{64} << 10;
// Stacks end at different lines of a page, or all would want the same few places of the processor's cache.
constexpr size_t line_bytes = 64, lines_of_page = 64;
constexpr unsigned warp = 32;

enum class State { runs, waits_for_warp, waits_for_block, is_done };

struct Fiber {
  jmp_buf place;
  std::unique_ptr<char[]> stack{new char[stack_bytes + line_bytes * lines_of_page]};
  State state = State::is_done;
  // The line of the barrier that it waits at.
  int line = 0;
  // What it gave to its warp, by turns, so that nobody writes over what another has not read.
  uint32_t given[2] = {0, 0};
  unsigned gifts = 0;
};

// All of them, for ever: the end of the program is not theirs.
auto& fibers = *new std::vector<std::unique_ptr<Fiber>>;
std::vector<char>& memory = *new std::vector<char>;
jmp_buf scheduler;
void (*task)(void*) = nullptr;
void* task_argument = nullptr;
// Whether threads may wait for one another.
bool may_wait = true;

[[noreturn]] void fail(const char* what, int line) {
  std::fprintf(stderr, "the stand-in for CUDA ran a kernel that %s (line %d)\n", what, line);
  std::abort();
}

Fiber& current() {
  return *fibers[thread.x];
}

void give_way() {
  if (_setjmp(current().place) == 0) {
    _longjmp(scheduler, 1);
  }
}

void wait(State state, int line) {
  if (!may_wait) {
    fail("waits, but is listed as one whose threads do not", line);
  }
  current().state = state;
  current().line = line;
  give_way();
}

// One block's task after the other.
void live() {
  while (true) {
    give_way();
    task(task_argument);
    current().state = State::is_done;
  }
}

void resume(unsigned number) {
  thread.x = number;
  if (_setjmp(scheduler) == 0) {
    _longjmp(fibers[number]->place, 1);
  }
}

void make_fibers(unsigned count) {
  while (fibers.size() < count) {
    thread.x = static_cast<unsigned>(fibers.size());
    const size_t shift = fibers.size() % lines_of_page * line_bytes;
    fibers.push_back(std::make_unique<Fiber>());
    ucontext_t begin;
    getcontext(&begin);
    begin.uc_stack.ss_sp = fibers.back()->stack.get() + shift;
    begin.uc_stack.ss_size = stack_bytes;
    begin.uc_link = nullptr;
    makecontext(&begin, live, 0);
    if (_setjmp(scheduler) == 0) {
      setcontext(&begin);
    }
  }
}

// Lets the threads `begin` to `end` go on that wait in `state` at one line, all of them; false where none of them does.
bool released(unsigned begin, unsigned end, State state) {
  const auto waits = [&](unsigned number) { return fibers[number]->state == state; };
  unsigned waiting = end;
  for (unsigned number = begin; number < end; ++number) {
    waiting = waits(number) ? number : waiting;
  }
  if (waiting == end) {
    return false;
  }
  const int line = fibers[waiting]->line;
  for (unsigned number = begin; number < end; ++number) {
    if (fibers[number]->state == State::is_done) {
      fail("ends in some threads where others wait for them", line);
    }
    if (!waits(number) || fibers[number]->line != line) {
      fail("has threads that wait at different barriers", line);
    }
  }
  for (unsigned number = begin; number < end; ++number) {
    fibers[number]->state = State::runs;
  }
  return true;
}

// From one barrier to the next, until all threads are done. A warp goes on where its own threads wait for one another.
void run_block(std::vector<unsigned>& order, std::minstd_rand& random) {
  std::fill(memory.begin(), memory.end(), static_cast<char>(0xff));
  const auto count = static_cast<unsigned>(order.size());
  for (const unsigned number : order) {
    auto& fiber = *fibers[number];
    fiber.state = State::runs;
    fiber.gifts = 0;
  }
  bool goes_on = true;
  while (goes_on) {
    std::shuffle(order.begin(), order.end(), random);
    for (const unsigned number : order) {
      if (fibers[number]->state == State::runs) {
        resume(number);
      }
    }
    goes_on = false;
    for (unsigned begin = 0; begin < count; begin += warp) {
      goes_on = released(begin, std::min(begin + warp, count), State::waits_for_warp) || goes_on;
    }
    goes_on = goes_on || released(0, count, State::waits_for_block);
  }
}

}  // namespace

void* shared_memory() {
  return memory.data();
}

void wait_for_block(int line) {
  wait(State::waits_for_block, line);
}

uint32_t exchange(uint32_t value, int distance, int line) {
  if (!may_wait) {
    fail("exchanges numbers, but is listed as one whose threads do not wait", line);
  }
  auto& own = current();
  const unsigned turn = own.gifts++ % 2;
  own.given[turn] = value;
  const unsigned number = thread.x;
  const unsigned other = number ^ static_cast<unsigned>(distance);
  if (other / warp != number / warp || other >= threads.x) {
    fail("exchanges numbers beyond a warp", line);
  }
  wait(State::waits_for_warp, line);
  return fibers[other]->given[turn];
}

void run(unsigned block_count, unsigned thread_count, size_t shared_bytes, bool waits, void (*body)(void*), void* argument) {
  static std::mutex turn;
  const std::lock_guard<std::mutex> held(turn);
  may_wait = waits;
  if (waits) {
    make_fibers(thread_count);
  }
  task = body;
  task_argument = argument;
  blocks.x = block_count;
  threads.x = thread_count;
  memory.resize(shared_bytes);
  std::minstd_rand random(1);
  std::vector<unsigned> order(thread_count);
  for (unsigned number = 0; number < thread_count; ++number) {
    order[number] = number;
  }
  for (block.x = 0; block.x < block_count; ++block.x) {
    if (waits) {
      run_block(order, random);
      continue;
    }
    std::shuffle(order.begin(), order.end(), random);
    for (const unsigned number : order) {
      thread.x = number;
      body(argument);
    }
  }
}

}  // namespace executor
