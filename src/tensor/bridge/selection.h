// The points at some ranks of a row of distances, without sorting it.
#pragma once

#include "kernels.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace sgas {

// A row's distances end with so much room that whole vectors, and whole groups of points, can be read.
struct Row {
  float* distances;
  int64_t points;
  int64_t stride;  // points, filled up to whole groups
};

// Picks points by the rank of their distance, ascending, the lower number first among equals. Two ways that give the
// same: of few ranks near the front most points can be passed over group by group; of many a bound is guessed from a
// sample, and those below it are counted into bins.
class RankSelection {
 public:
  // `sorted` are ranks, ascending, different from each other, and below `points`.
  RankSelection(const std::vector<int64_t>& sorted, int64_t points) : sorted_(sorted), points_(points) {
    // Twice as many groups as wanted points leave few candidates; a vector holds at most 16 of them.
    groups_ = (std::max<int64_t>(2 * wanted(), 64) + 15) / 16 * 16;
  }

  // Of a row: its points, filled up to whole groups.
  int64_t stride() const { return (points_ + groups_ - 1) / groups_ * groups_; }

  // The points at the ranks, in their order, into `found`. What is no number counts as infinitely far.
  template <int Bytes>
  SGAS_INLINE void run(const Row& row, int64_t* found) {
    complete<Bytes>(row);
    candidates_.clear();
    if (wanted() <= few_wanted) {
      smallest<Bytes>(row);
      collect_of_groups(row);
      place(0, static_cast<int64_t>(candidates_.size()), 0, count());
      for (int64_t j = 0; j < count(); ++j) {
        found[j] = point_of(candidates_[sorted_[j]]);
      }
    } else {
      collect_below(row, guessed_bound(row));
      if (static_cast<int64_t>(candidates_.size()) < wanted()) {
        collect_below(row, infinity);
      }
      pick_from_bins(found);
    }
  }

 private:
  static constexpr float infinity = std::numeric_limits<float>::infinity();
  // Up to here groups are faster (measured on clouds of 1024 and 4096 points).
  static constexpr int64_t few_wanted = 40;
  static constexpr uint32_t bins = 1024;

  // A distance and its point as one number that sorts by (distance, point).
  using Candidate = uint64_t;

  int64_t count() const { return static_cast<int64_t>(sorted_.size()); }
  int64_t wanted() const { return sorted_.back() + 1; }

  static int64_t point_of(Candidate candidate) { return static_cast<int64_t>(candidate & 0xffffffffU); }
  static uint32_t key_of(Candidate candidate) { return static_cast<uint32_t>(candidate >> 32); }

  static Candidate candidate(float distance, int64_t point) {
    return static_cast<Candidate>(ordered(distance)) << 32 | static_cast<Candidate>(point);
  }

  // The bits of a float as a whole number of the same order; the two zeros are one.
  static uint32_t ordered(float value) {
    uint32_t bits;
    value += 0.0F;
    std::memcpy(&bits, &value, sizeof bits);
    return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  }

  // Neither what is no number nor what only fills up the last groups may come out before a distance.
  template <int Bytes>
  static SGAS_INLINE void complete(const Row& row) {
    using V = Vector<float, Bytes>;
    std::fill(row.distances + row.points, row.distances + row.stride, infinity);
    for (int64_t point = 0; point < row.stride; point += V::lanes) {
      const auto value = V::load(row.distances + point);
      V::store(row.distances + point, value <= infinity ? value : typename V::type{} + infinity);
    }
  }

  // The smallest distance of every group; group g holds the points g, g + groups, g + 2 groups...
  template <int Bytes>
  SGAS_INLINE void smallest(const Row& row) {
    using V = Vector<float, Bytes>;
    minima_.resize(groups_);
    for (int64_t group = 0; group < groups_; group += V::lanes) {
      auto least = V::load(row.distances + group);
      for (int64_t point = group + groups_; point < row.stride; point += groups_) {
        const auto value = V::load(row.distances + point);
        least = value < least ? value : least;
      }
      V::store(minima_.data() + group, least);
    }
  }

  // All points up to a bound that at least the wanted number keeps to.
  void collect_of_groups(const Row& row) {
    sample_ = minima_;
    const auto last = sample_.begin() + wanted() - 1;
    std::nth_element(sample_.begin(), last, sample_.end());
    const float bound = *last;
    for (int64_t group = 0; group < groups_; ++group) {
      if (minima_[group] > bound) {
        continue;
      }
      for (int64_t point = group; point < row.points; point += groups_) {
        if (row.distances[point] <= bound) {
          candidates_.push_back(candidate(row.distances[point], point));
        }
      }
    }
  }

  // Puts the candidates of the sorted ranks `low` to `high`, all of which lie between `from` and `to`, where a whole
  // sort would. Where most of them are wanted, that is a sort.
  void place(int64_t from, int64_t to, int64_t low, int64_t high) {
    if (low >= high) {
      return;
    }
    const auto begin = candidates_.begin();
    if (to - from <= 2 * (high - low)) {
      std::sort(begin + from, begin + to);
      return;
    }
    const int64_t middle = (low + high) / 2;
    const int64_t at = sorted_[middle];
    std::nth_element(begin + from, begin + at, begin + to);
    place(from, at, low, middle);
    place(at + 1, to, middle + 1, high);
  }

  // A bound that most likely more than the wanted number keeps to, and few others: three deviations above the rank
  // that the last wanted one has in a sample.
  float guessed_bound(const Row& row) {
    const int64_t step = std::max<int64_t>(1, row.points / 256);
    const int64_t size = row.points / step;
    const double expected = static_cast<double>(wanted()) * static_cast<double>(size) / static_cast<double>(row.points);
    const auto rank = static_cast<int64_t>(expected + 3 * std::sqrt(expected) + 4);
    if (rank >= size) {
      return infinity;
    }
    sample_.resize(size);
    for (int64_t i = 0; i < size; ++i) {
      sample_[i] = row.distances[i * step];
    }
    std::nth_element(sample_.begin(), sample_.begin() + rank, sample_.end());
    return sample_[rank];
  }

  void collect_below(const Row& row, float bound) {
    candidates_.resize(row.points + 1);
    int64_t found = 0;
    // Without a branch: whether a point is near is anybody's guess.
    for (int64_t point = 0; point < row.points; ++point) {
      uint32_t bits;
      std::memcpy(&bits, row.distances + point, sizeof bits);
      candidates_[found] = static_cast<Candidate>(bits) << 32 | static_cast<Candidate>(point);
      found += row.distances[point] <= bound ? 1 : 0;
    }
    candidates_.resize(found);
    for (auto& one : candidates_) {
      float distance;
      const uint32_t bits = key_of(one);
      std::memcpy(&distance, &bits, sizeof distance);
      one = candidate(distance, point_of(one));
    }
  }

  // The bin of a key; bin 0 is below the others, which are of equal width in the bits of a float.
  struct Scale {
    uint32_t least;
    int shift;

    uint32_t bin(uint32_t key) const { return key < least ? 0 : ((key - least) >> shift) + 1; }
  };

  // From the least finite distance to the greatest; the point itself lies at minus infinity, far from all.
  Scale scale() const {
    const uint32_t below = ordered(-infinity);
    uint32_t least = std::numeric_limits<uint32_t>::max(), greatest = 0;
    for (const auto one : candidates_) {
      const uint32_t key = key_of(one);
      least = key == below ? least : std::min(least, key);
      greatest = std::max(greatest, key);
    }
    least = std::min(least, greatest);
    int shift = 0;
    while ((greatest - least) >> shift >= bins - 1) {
      ++shift;
    }
    return {least, shift};
  }

  // Counts all candidates into bins, keeps those of the bins with a wanted rank, and sorts each of these.
  void pick_from_bins(int64_t* found) {
    const Scale scale = this->scale();
    counts_.assign(bins + 1, 0);
    bin_of_.resize(candidates_.size());
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const uint32_t bin = scale.bin(key_of(candidates_[i]));
      bin_of_[i] = static_cast<uint16_t>(bin);
      ++counts_[bin];
    }
    const auto wanted_bins = bins_with_ranks();
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const int32_t place = next_[bin_of_[i]];
      if (place >= 0) {
        kept_[place] = candidates_[i];
        ++next_[bin_of_[i]];
      }
    }
    for (const auto& one : wanted_bins) {
      std::sort(kept_.begin() + one.start, kept_.begin() + one.start + one.size);
      for (int64_t j = one.first_rank; j < one.last_rank; ++j) {
        found[j] = point_of(kept_[one.start + sorted_[j] - one.before]);
      }
    }
  }

  // A bin with wanted ranks: those from `first_rank` to before `last_rank`.
  struct WantedBin {
    int64_t start, size;  // among what is kept
    int64_t before;       // candidates in lower bins
    int64_t first_rank, last_rank;
  };

  // Also makes room for them in `kept_`, and says in `next_` where each begins; -1 for the others.
  const std::vector<WantedBin>& bins_with_ranks() {
    wanted_bins_.clear();
    next_.assign(bins + 1, -1);
    int64_t before = 0, kept = 0, rank = 0;
    for (uint32_t bin = 0; bin <= bins && rank < count(); ++bin) {
      const int64_t size = counts_[bin];
      const int64_t first = rank;
      while (rank < count() && sorted_[rank] < before + size) {
        ++rank;
      }
      if (rank > first) {
        next_[bin] = static_cast<int32_t>(kept);
        wanted_bins_.push_back({kept, size, before, first, rank});
        kept += size;
      }
      before += size;
    }
    kept_.resize(kept);
    return wanted_bins_;
  }

  const std::vector<int64_t>& sorted_;
  int64_t points_;
  int64_t groups_;  // of points, at least as many as are looked for
  std::vector<float> minima_, sample_;
  std::vector<Candidate> candidates_, kept_;
  std::vector<uint16_t> bin_of_;
  std::vector<int32_t> counts_, next_;
  std::vector<WantedBin> wanted_bins_;
};

}  // namespace sgas
