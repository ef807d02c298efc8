// The neighbours of points in feature space by their ranks, exact, a block of rows of distances at a time.
#include "kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace sgas {
namespace {

// Rows of distances at a time: enough for a matrix product to be efficient, few enough for the cache.
constexpr int64_t block_rows = 64;
// Up to so many channels the differences themselves are cheaper than a matrix product, and more exact.
constexpr int64_t direct_channels = 8;
constexpr float infinity = std::numeric_limits<float>::infinity();

struct Search {
  int64_t points;
  int64_t channels;
  std::vector<int64_t> ranks;   // which of the nearest are wanted, in the order wanted
  std::vector<int64_t> sorted;  // the same, ascending
  int64_t groups;               // of candidates, at least as many as are looked for
  int64_t stride;               // of a row of distances: points, filled up to whole groups

  int64_t k() const { return static_cast<int64_t>(ranks.size()); }
  int64_t wanted() const { return sorted.back() + 1; }
};

// Squared distances of a block of rows to all points, from columns (C, N): sum of (x_i - x_j)².
struct DirectDistances {
  const Search& search;
  const float* columns;
  int64_t start;
  float* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      float* distances = out + row * search.stride;
      int64_t point = 0;
      for (; point + Vector<float, Bytes>::lanes <= search.points; point += Vector<float, Bytes>::lanes) {
        distance<Bytes>(start + row, point, distances);
      }
      for (; point < search.points; ++point) {
        distance<sizeof(float)>(start + row, point, distances);
      }
    }
  }

  template <int Bytes>
  SGAS_INLINE void distance(int64_t own, int64_t point, float* distances) const {
    using V = Vector<float, Bytes>;
    typename V::type sum{};
    for (int64_t channel = 0; channel < search.channels; ++channel) {
      const float* column = columns + channel * search.points;
      const auto difference = V::load(column + point) - column[own];
      sum += difference * difference;
    }
    V::store(distances + point, sum);
  }
};

// The same from inner products: |x_i|² - 2 x_i·x_j + |x_j|².
struct ProductDistances {
  const Search& search;
  const float* squares;
  const float* products;
  int64_t start;
  float* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      const float own = squares[start + row];
      for (int64_t point = 0; point < search.points; ++point) {
        out[row * search.stride + point] = own - 2 * products[row * search.points + point] + squares[point];
      }
    }
  }
};

// The points of a block of rows at the wanted ranks by (distance, index).
struct Selection {
  const Search& search;
  int64_t start;
  int64_t first_row;  // of the cloud among all points
  float* distances;
  int64_t* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    std::vector<float> minima(search.groups), sorted;
    std::vector<uint64_t> candidates;
    for (int64_t row = begin; row < end; ++row) {
      float* own = distances + row * search.stride;
      complete<Bytes>(own);
      own[start + row] = -infinity;
      smallest<Bytes>(own, minima.data());
      sorted = minima;
      const auto last = sorted.begin() + search.wanted() - 1;
      std::nth_element(sorted.begin(), last, sorted.end());
      collect(own, minima, *last, candidates);
      place(candidates.begin(), candidates.begin(), candidates.end(), 0, search.k());
      for (int64_t j = 0; j < search.k(); ++j) {
        const auto point = static_cast<int64_t>(candidates[search.ranks[j]] & 0xffffffffU);
        out[(start + row) * search.k() + j] = first_row + point;
      }
    }
  }

  // Puts the candidates of the sorted ranks `low` to `high` where a whole sort would; all of them lie between `from`
  // and `to`. Where most ranks are wanted, that is a sort.
  using Iterator = std::vector<uint64_t>::iterator;
  void place(Iterator begin, Iterator from, Iterator to, int64_t low, int64_t high) const {
    if (low >= high) {
      return;
    }
    if (to - from <= 2 * (high - low)) {
      std::sort(from, to);
      return;
    }
    const int64_t middle = (low + high) / 2;
    const auto at = begin + search.sorted[middle];
    std::nth_element(from, at, to);
    place(begin, from, at, low, middle);
    place(begin, at + 1, to, middle + 1, high);
  }

  // Neither what is no number nor what only fills up the last groups may come out before a distance.
  template <int Bytes>
  SGAS_INLINE void complete(float* own) const {
    using V = Vector<float, Bytes>;
    std::fill(own + search.points, own + search.stride, infinity);
    for (int64_t point = 0; point < search.stride; point += V::lanes) {
      const auto value = V::load(own + point);
      V::store(own + point, value <= infinity ? value : typename V::type{} + infinity);
    }
  }

  // The smallest distance of every group; group g holds the points g, g + groups, g + 2 groups...
  template <int Bytes>
  SGAS_INLINE void smallest(const float* own, float* minima) const {
    using V = Vector<float, Bytes>;
    for (int64_t group = 0; group < search.groups; group += V::lanes) {
      auto least = V::load(own + group);
      for (int64_t point = group + search.groups; point < search.stride; point += search.groups) {
        const auto value = V::load(own + point);
        least = value < least ? value : least;
      }
      V::store(minima + group, least);
    }
  }

  // All points up to a bound that at least the wanted number keeps to, as numbers that sort by (distance, index).
  void collect(const float* own, const std::vector<float>& minima, float bound,
               std::vector<uint64_t>& candidates) const {
    candidates.clear();
    for (int64_t group = 0; group < search.groups; ++group) {
      if (minima[group] > bound) {
        continue;
      }
      for (int64_t point = group; point < search.points; point += search.groups) {
        if (own[point] <= bound) {
          candidates.push_back(static_cast<uint64_t>(ordered(own[point])) << 32 | static_cast<uint64_t>(point));
        }
      }
    }
  }

  // The bits of a float as a whole number of the same order; the two zeros are one.
  static uint32_t ordered(float value) {
    uint32_t bits;
    value += 0.0F;
    std::memcpy(&bits, &value, sizeof bits);
    return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  }
};

// One cloud: what every block of its rows reads.
struct Cloud {
  at::Tensor rows;     // (N, C), centred: distances stay, cancellation does not
  at::Tensor columns;  // (C, N)
  at::Tensor squares;  // (N), only where products are taken

  explicit Cloud(const at::Tensor& x)
      : rows(x - x.mean(0, true)), columns(rows.t().contiguous()) {
    if (x.size(1) > direct_channels) {
      squares = rows.mul(rows).sum(1);
    }
  }
};

void nearest_block(const Search& search, const Cloud& cloud, int64_t start, int64_t first_row, int64_t* out) {
  const int64_t rows = std::min(block_rows, search.points - start);
  std::vector<float> distances(rows * search.stride);
  if (search.channels > direct_channels) {
    const auto products = at::mm(cloud.rows.narrow(0, start, rows), cloud.columns);
    run_widest(ProductDistances{search, cloud.squares.const_data_ptr<float>(), products.const_data_ptr<float>(),
                                start, distances.data()},
               0, rows);
  } else {
    run_widest(DirectDistances{search, cloud.columns.const_data_ptr<float>(), start, distances.data()}, 0, rows);
  }
  run_widest(Selection{search, start, first_row, distances.data(), out}, 0, rows);
}

Search checked_search(const at::Tensor& x, std::vector<int64_t> ranks) {
  TORCH_CHECK(x.dim() == 3 && x.size(0) > 0 && x.size(2) > 0, "expected clouds (B, N, C), found ", x.sizes());
  TORCH_CHECK(x.scalar_type() == at::kFloat, "neighbours are searched in fp32, found ", x.scalar_type());
  TORCH_CHECK(!ranks.empty(), "expected ranks of neighbours, found none");
  auto sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  TORCH_CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "expected ranks that differ");
  TORCH_CHECK(sorted.front() >= 0 && sorted.back() < x.size(1), "expected ranks below the ", x.size(1),
              " points, found ", sorted.front(), " to ", sorted.back());
  TORCH_CHECK(x.size(1) <= std::numeric_limits<int32_t>::max(), "too many points: ", x.size(1));
  Search search{x.size(1), x.size(2), std::move(ranks), std::move(sorted), 0, 0};
  // Twice as many groups as wanted points leave few candidates; a vector holds at most 16 of them.
  search.groups = (std::max<int64_t>(2 * search.wanted(), 64) + 15) / 16 * 16;
  search.stride = (search.points + search.groups - 1) / search.groups * search.groups;
  return search;
}

at::Tensor nearest(const at::Tensor& x, std::vector<int64_t> ranks) {
  const auto search = checked_search(x, std::move(ranks));
  const at::NoGradGuard no_grad;
  auto out = at::empty({x.size(0) * search.points, search.k()}, x.options().dtype(at::kLong));
  std::vector<Cloud> clouds;
  for (int64_t cloud = 0; cloud < x.size(0); ++cloud) {
    clouds.emplace_back(x.detach()[cloud]);
  }
  const int64_t blocks = (search.points + block_rows - 1) / block_rows;
  int64_t* to = out.mutable_data_ptr<int64_t>();
  at::parallel_for(0, x.size(0) * blocks, 1, [&](int64_t begin, int64_t end) {
    // Of each thread: a product that autocast makes bf16 finds other neighbours.
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
    const at::NoGradGuard also_here;
    for (int64_t block = begin; block < end; ++block) {
      const int64_t cloud = block / blocks;
      const int64_t first_row = cloud * search.points;
      nearest_block(search, clouds[cloud], block % blocks * block_rows, first_row, to + first_row * search.k());
    }
  });
  return out;
}

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_nearest(at::Tensor** out, const at::Tensor* x, const int64_t* ranks, int64_t k) {
  return sgas::guarded([&] {
    sgas::check_cpu({x});
    sgas::give(out, sgas::nearest(*x, std::vector<int64_t>(ranks, ranks + k)));
  });
}

}  // extern "C"
