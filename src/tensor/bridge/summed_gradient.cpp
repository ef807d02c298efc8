// The gradient of a step that several processes share, summed in parts while the backward pass computes the rest.
#include "group.h"

#include <torch/csrc/autograd/autograd.h>

namespace sgas {
namespace {

// Neighbouring weights whose gradients are summed at once.
struct Bucket {
  at::Tensor part;
  // Weights whose gradient is still to come.
  int64_t left = 0;
  c10::intrusive_ptr<c10d::Work> work;
};

// A flat gradient as it grows. A backward pass comes to the last weights first, and so do buckets.
class Growing {
 public:
  Growing(Group& group, std::vector<at::Tensor> leaves, at::IntArrayRef offsets, int64_t length, int64_t least_bytes,
          const at::Tensor& loss)
      : group_(group), leaves_(std::move(leaves)), offsets_(offsets.vec()), bucket_of_(leaves_.size()) {
    // Behind the gradient the loss, which goes with the first bucket.
    flat_ = at::zeros({length + 1}, leaves_.front().options().requires_grad(false));
    flat_.slice(0, length).copy_(loss);
    int64_t end = length + 1;
    int64_t weights = 0;
    for (auto leaf = static_cast<int64_t>(leaves_.size()) - 1; leaf >= 0; --leaf) {
      bucket_of_[leaf] = buckets_.size();
      ++weights;
      const int64_t begin = leaf == 0 ? 0 : offsets_[leaf];
      if (leaf == 0 || (end - begin) * flat_.element_size() >= least_bytes) {
        buckets_.push_back({flat_.slice(0, begin, end), weights, {}});
        end = begin;
        weights = 0;
      }
    }
  }

  // Whoever ends the pass early still waits for nothing: the sums hold their tensors.
  at::Tensor run(const at::Tensor& loss) {
    std::vector<unsigned> hooks;
    for (size_t leaf = 0; leaf < leaves_.size(); ++leaf) {
      hooks.push_back(leaves_[leaf].register_hook([this, leaf](const at::Tensor& gradient) { take(leaf, gradient); }));
    }
    const auto remove = [&] {
      for (size_t leaf = 0; leaf < leaves_.size(); ++leaf) {
        leaves_[leaf].remove_hook(hooks[leaf]);
      }
    };
    try {
      torch::autograd::grad({loss}, leaves_, {}, std::nullopt, false, /*allow_unused=*/true);
    } catch (...) {
      remove();
      throw;
    }
    remove();
    // Those of which a weight has no gradient.
    for (auto& bucket : buckets_) {
      bucket.left = 0;
    }
    begin_what_is_whole();
    for (const auto& bucket : buckets_) {
      end_sum(group_, bucket.work, bucket.part);
    }
    return flat_;
  }

 private:
  void take(size_t leaf, const at::Tensor& gradient) {
    flat_.slice(0, offsets_[leaf], offsets_[leaf] + gradient.numel()).copy_(gradient.reshape({-1}));
    --buckets_[bucket_of_[leaf]].left;
    begin_what_is_whole();
  }

  // In the order of the buckets, which is the same in every process.
  void begin_what_is_whole() {
    for (; next_ < buckets_.size() && buckets_[next_].left == 0; ++next_) {
      buckets_[next_].work = begin_sum(group_, buckets_[next_].part);
    }
  }

  Group& group_;
  std::vector<at::Tensor> leaves_;
  std::vector<int64_t> offsets_;
  std::vector<size_t> bucket_of_;
  std::vector<Bucket> buckets_;
  at::Tensor flat_;
  size_t next_ = 0;
};

}  // namespace
}  // namespace sgas

extern "C" {

// Whether a sum of this tensor goes on while the program does.
int sgas_group_sums_beside(const sgas::Group* group, const at::Tensor* tensor) {
  return group->sums_beside(*tensor) ? 1 : 0;
}

// The gradient of `scaled` for the leaves, each at its offset in a flat tensor of `length` numbers, and behind it `loss`;
// all of it summed over all processes, in buckets of at least so many bytes.
char* sgas_group_gradient(at::Tensor** out, sgas::Group* group, const at::Tensor* scaled, const at::Tensor* loss,
                          const at::Tensor* const* leaves, const int64_t* offsets, int64_t count, int64_t length,
                          int64_t least_bytes) {
  return sgas::guarded([&] {
    std::vector<at::Tensor> weights;
    for (int64_t leaf = 0; leaf < count; ++leaf) {
      weights.push_back(*leaves[leaf]);
    }
    const at::IntArrayRef places(offsets, static_cast<size_t>(count));
    sgas::Growing growing(*group, std::move(weights), places, length, least_bytes, *loss);
    sgas::give(out, growing.run(*scaled));
  });
}

}  // extern "C"
