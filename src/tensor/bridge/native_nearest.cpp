// The nearest points, by the kernel of native/nearest.cu.
#include "native.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace sgas {
namespace {

// Of shared memory, all that every GPU has without asking for more.
constexpr int64_t most_shared = 48 << 10;
constexpr int64_t most_candidates = 1024;

// How many candidates are sorted for the highest of the wanted ranks: some more than are wanted, so that a bound that
// leaves so many is soon found.
int64_t candidates(int64_t wanted) {
  int64_t capacity = 64;
  while (capacity < wanted + wanted / 4) {
    capacity *= 2;
  }
  return capacity;
}

int64_t shared_bytes(int64_t points, int64_t wanted) {
  return candidates(wanted) * static_cast<int64_t>(sizeof(uint64_t)) + points * static_cast<int64_t>(sizeof(uint32_t));
}

// More threads wait for each other longer than they work.
int threads_of_point(int64_t points) {
  int threads = 32;
  while (threads < 128 && threads * 8 < points) {
    threads *= 2;
  }
  return threads;
}

void nearest(at::Tensor& out, const at::Tensor& product, const at::Tensor& squares, int64_t start,
             const int64_t* ranks, int64_t count) {
  const auto length = product.size(1), points = product.size(2);
  TORCH_CHECK(product.is_contiguous() && squares.is_contiguous() && out.is_contiguous(), "results lie side by side");
  native::Ranks wanted_ranks{};
  wanted_ranks.count = static_cast<int>(count);
  int64_t wanted = 0;
  for (int64_t rank = 0; rank < count; ++rank) {
    wanted_ranks.at[rank] = static_cast<int>(ranks[rank]);
    wanted = std::max(wanted, ranks[rank] + 1);
  }
  TORCH_CHECK(wanted <= points, "a cloud of ", points, " points has no rank ", wanted - 1);
  const native::Grid grid{product.size(0) * length, threads_of_point(points), shared_bytes(points, wanted)};
  native::launch("sgas_nearest", product, grid, product, squares, out, static_cast<int>(length), static_cast<int>(start),
                 static_cast<int>(points), static_cast<int>(wanted), static_cast<int>(candidates(wanted)), wanted_ranks);
}

}  // namespace
}  // namespace sgas

extern "C" {

// 1 where the kernel has room for clouds of so many points and for such ranks.
int sgas_native_selects(int64_t points, int64_t wanted, int64_t ranks) {
  return ranks <= sgas::native::MOST_RANKS && sgas::candidates(wanted) <= sgas::most_candidates &&
                 sgas::shared_bytes(points, wanted) <= sgas::most_shared
             ? 1
             : 0;
}

// Writes the rows at `ranks` of the points from `start` on into `out`, (clouds * points, ranks).
char* sgas_native_nearest(at::Tensor* out, const at::Tensor* product, const at::Tensor* squares, int64_t start,
                          const int64_t* ranks, int64_t count) {
  return sgas::guarded([&] {
    const at::NoGradGuard no_grad;
    sgas::note_type(*product);
    sgas::note_type(*squares);
    sgas::nearest(*out, *product, *squares, start, ranks, count);
  });
}

}  // extern "C"
