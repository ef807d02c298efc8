// The neighbours of points in feature space by their ranks, exact, a block of rows of distances at a time.
#include "selection.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace sgas {
namespace {

// Rows of distances at a time: enough for a matrix product to be efficient, few enough for the cache.
constexpr int64_t block_rows = 64;
// Up to so many channels the differences themselves are cheaper than a matrix product, and more exact.
constexpr int64_t direct_channels = 8;

struct Search {
  int64_t points;
  int64_t channels;
  std::vector<int64_t> sorted;  // which of the nearest are wanted, ascending
  std::vector<int64_t> order;   // where each of them goes
  int64_t stride;               // of a row of distances

  int64_t k() const { return static_cast<int64_t>(sorted.size()); }
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
    RankSelection selection(search.sorted, search.points);
    std::vector<int64_t> found(search.k());
    for (int64_t row = begin; row < end; ++row) {
      float* own = distances + row * search.stride;
      own[start + row] = -std::numeric_limits<float>::infinity();
      selection.run<Bytes>({own, search.points, search.stride}, found.data());
      for (int64_t j = 0; j < search.k(); ++j) {
        out[(start + row) * search.k() + search.order[j]] = first_row + found[j];
      }
    }
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

Search checked_search(const at::Tensor& x, const std::vector<int64_t>& ranks) {
  TORCH_CHECK(x.dim() == 3 && x.size(0) > 0 && x.size(2) > 0, "expected clouds (B, N, C), found ", x.sizes());
  TORCH_CHECK(x.scalar_type() == at::kFloat, "neighbours are searched in fp32, found ", x.scalar_type());
  TORCH_CHECK(!ranks.empty(), "expected ranks of neighbours, found none");
  std::vector<int64_t> order(ranks.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t one, int64_t other) { return ranks[one] < ranks[other]; });
  std::vector<int64_t> sorted(ranks.size());
  std::transform(order.begin(), order.end(), sorted.begin(), [&](int64_t position) { return ranks[position]; });
  TORCH_CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "expected ranks that differ");
  TORCH_CHECK(sorted.front() >= 0 && sorted.back() < x.size(1), "expected ranks below the ", x.size(1),
              " points, found ", sorted.front(), " to ", sorted.back());
  TORCH_CHECK(x.size(1) <= std::numeric_limits<int32_t>::max(), "too many points: ", x.size(1));
  Search search{x.size(1), x.size(2), std::move(sorted), std::move(order), 0};
  search.stride = RankSelection(search.sorted, search.points).stride();
  return search;
}

at::Tensor nearest(const at::Tensor& x, const std::vector<int64_t>& ranks) {
  const auto search = checked_search(x, ranks);
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
