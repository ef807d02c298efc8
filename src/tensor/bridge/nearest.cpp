// The neighbours of points in feature space by their ranks, exact, a block of rows of distances at a time.
#include "selection.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace sgas {
namespace {

// Rows of distances at a time: enough to share a panel of points, few enough for the cache.
constexpr int64_t block_rows = 32;
// Up to so many channels the differences themselves are cheaper than a matrix product, and more exact.
constexpr int64_t direct_channels = 8;
// Points of a panel: whole vectors of any width, two at a time.
constexpr int64_t panel_points = 32;

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

// The same from inner products: |x_i|² - 2 x_i·x_j + |x_j|². Points that are compared lie in panels, so that a panel
// stays in the first cache while all rows of the block meet it.
struct ProductDistances {
  const Search& search;
  const float* squares;
  const float* rows;
  const float* panels;  // (panels, C, panel_points)
  int64_t start;
  float* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    constexpr int64_t step = 2 * Vector<float, Bytes>::lanes;
    constexpr int tile = Bytes == 64 ? 8 : 4;
    for (int64_t first = 0; first < search.points; first += panel_points) {
      for (int64_t within = 0; within < panel_points; within += step) {
        int64_t row = begin;
        for (; row + tile <= end; row += tile) {
          distances<Bytes, tile>(row, first, within);
        }
        for (; row < end; ++row) {
          distances<Bytes, 1>(row, first, within);
        }
      }
    }
  }

  // Of some rows to two vectors of points. A row of distances has room for whole panels.
  template <int Bytes, int Rows>
  SGAS_INLINE void distances(int64_t row, int64_t first, int64_t within) const {
    using V = Vector<float, Bytes>;
    typename V::type sums[Rows][2] = {};
    const float* panel = panels + first * search.channels + within;
    const float* own = rows + (start + row) * search.channels;
    for (int64_t channel = 0; channel < search.channels; ++channel) {
      const auto left = V::load(panel + channel * panel_points);
      const auto right = V::load(panel + channel * panel_points + V::lanes);
      for (int one = 0; one < Rows; ++one) {
        const float value = own[one * search.channels + channel];
        sums[one][0] += value * left;
        sums[one][1] += value * right;
      }
    }
    for (int one = 0; one < Rows; ++one) {
      float* to = out + (row + one) * search.stride + first + within;
      const float square = squares[start + row + one];
      for (int vector = 0; vector < 2; ++vector) {
        const auto other = V::load(squares + first + within + vector * V::lanes);
        V::store(to + vector * V::lanes, square - 2 * sums[one][vector] + other);
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
      selection.run<Bytes>({own, search.points, selection.stride()}, found.data());
      for (int64_t j = 0; j < search.k(); ++j) {
        out[(start + row) * search.k() + search.order[j]] = first_row + found[j];
      }
    }
  }
};

// One cloud: what every block of its rows reads.
struct Cloud {
  at::Tensor rows;              // (N, C), centred: distances stay, cancellation does not
  at::Tensor columns;           // (C, N), where differences are taken
  std::vector<float> panels;    // where products are taken; zeros fill up the last
  std::vector<float> squares;   // (N), filled up likewise

  explicit Cloud(const at::Tensor& x) : rows((x - x.mean(0, true)).contiguous()) {
    if (x.size(1) <= direct_channels) {
      columns = rows.t().contiguous();
      return;
    }
    const int64_t points = x.size(0), channels = x.size(1);
    const int64_t filled = (points + panel_points - 1) / panel_points * panel_points;
    panels.resize(filled * channels);
    squares.resize(filled);
    const auto sums = rows.mul(rows).sum(1);
    std::copy_n(sums.const_data_ptr<float>(), points, squares.begin());
    const float* from = rows.const_data_ptr<float>();
    for (int64_t point = 0; point < points; ++point) {
      float* to = panels.data() + point / panel_points * panel_points * channels + point % panel_points;
      for (int64_t channel = 0; channel < channels; ++channel) {
        to[channel * panel_points] = from[point * channels + channel];
      }
    }
  }
};

void nearest_block(const Search& search, const Cloud& cloud, int64_t start, int64_t first_row, int64_t* out) {
  const int64_t rows = std::min(block_rows, search.points - start);
  float* distances = scratch<Search, float>(rows * search.stride);
  if (search.channels > direct_channels) {
    run_widest(ProductDistances{search, cloud.squares.data(), cloud.rows.const_data_ptr<float>(), cloud.panels.data(),
                                start, distances},
               0, rows);
  } else {
    run_widest(DirectDistances{search, cloud.columns.const_data_ptr<float>(), start, distances}, 0, rows);
  }
  run_widest(Selection{search, start, first_row, distances, out}, 0, rows);
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
  // Whole groups, and whole panels.
  const int64_t panels = (search.points + panel_points - 1) / panel_points * panel_points;
  search.stride = std::max(RankSelection(search.sorted, search.points).stride(), panels);
  return search;
}

at::Tensor nearest(const at::Tensor& x, const std::vector<int64_t>& ranks) {
  const auto search = checked_search(x, ranks);
  note_type(x);
  const at::NoGradGuard no_grad;
  auto out = at::empty({x.size(0) * search.points, search.k()}, x.options().dtype(at::kLong));
  std::vector<Cloud> clouds;
  for (int64_t cloud = 0; cloud < x.size(0); ++cloud) {
    clouds.emplace_back(x.detach()[cloud]);
  }
  const int64_t blocks = (search.points + block_rows - 1) / block_rows;
  int64_t* to = out.mutable_data_ptr<int64_t>();
  over_threads(x.size(0) * blocks, 1, [&](int64_t begin, int64_t end) {
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
