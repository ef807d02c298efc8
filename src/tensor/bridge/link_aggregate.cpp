// Sums, means and maxima over the links into every node, in one pass over its list, and their gradients in one pass
// over the links out of it. Nothing of size (links, channels) is ever stored.
//
// The links are taken as they are stored for sum and maximum. For the mean and for the symmetric normalisation of
// graph convolutions every node has exactly one link to itself.
#include "links.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <limits>

namespace sgas {
namespace {

// 1 / sqrt(degree) in a type; in fp64 of the whole number that the degree is.
at::Tensor root_in(const at::Tensor& root, at::ScalarType type) {
  return type == at::kDouble ? root.to(type).pow(-2).round().rsqrt() : as_type(root, type);
}

enum Aggregate : size_t { sum, mean, normalised, relative_maximum, aggregates };

template <class T>
struct AggregateForward {
  using Element = T;
  Lists list;
  int64_t channels;
  const T* x;
  const T* excess;
  const T* root;
  // Null where not asked for.
  T* sum;
  T* mean;
  T* normalised;
  T* relative;
  int32_t* best;  // the place of the greatest in its list, the first of equal ones; -1 for an empty list

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t node = begin; node < end; ++node) {
      const int64_t at = node * channels + channel;
      const auto own = V::load(x + at);
      if (sum != nullptr || mean != nullptr) {
        const auto total = plain_sum<Bytes>(node, channel);
        if (sum != nullptr) {
          V::store(sum + at, total);
        }
        if (mean != nullptr) {
          V::store(mean + at, (total - own * excess[node]) * (root[node] * root[node]));
        }
      }
      if (normalised != nullptr) {
        const auto total = weighted_sum<Bytes>(node, channel);
        V::store(normalised + at, (total - own * (excess[node] * root[node])) * root[node]);
      }
      if (relative != nullptr) {
        maximum<Bytes>(node, channel, own);
      }
    }
  }

  template <int Bytes>
  SGAS_INLINE typename Vector<T, Bytes>::type plain_sum(int64_t node, int64_t channel) const {
    using V = Vector<T, Bytes>;
    typename V::type total{};
    for (int64_t link = list.incoming[node]; link < list.incoming[node + 1]; ++link) {
      total += V::load(x + list.sources[link] * channels + channel);
    }
    return total;
  }

  template <int Bytes>
  SGAS_INLINE typename Vector<T, Bytes>::type weighted_sum(int64_t node, int64_t channel) const {
    using V = Vector<T, Bytes>;
    typename V::type total{};
    for (int64_t link = list.incoming[node]; link < list.incoming[node + 1]; ++link) {
      const int64_t source = list.sources[link];
      total += V::load(x + source * channels + channel) * root[source];
    }
    return total;
  }

  // Greatest value less the node's own; not a number wins.
  template <int Bytes>
  SGAS_INLINE void maximum(int64_t node, int64_t channel, const typename Vector<T, Bytes>::type& own) const {
    using V = Vector<T, Bytes>;
    using Whole = Vector<int32_t, V::lanes * 4>;
    constexpr T infinity = std::numeric_limits<T>::infinity();
    const int64_t at = node * channels + channel;
    const int64_t first = list.incoming[node];
    auto found = V::all(-1);
    typename V::type result{};
    if (first < list.incoming[node + 1]) {
      auto greatest = V::load(x + list.sources[first] * channels + channel);
      found = V::all(first);
      auto here = found;
      typename V::type no_number{};
      for (int64_t link = first + 1; link < list.incoming[node + 1]; ++link) {
        const auto value = V::load(x + list.sources[link] * channels + channel);
        here += 1;
        found = value > greatest ? here : found;
        greatest = value > greatest ? value : greatest;
        no_number = value <= infinity ? no_number : value;
      }
      result = greatest + no_number - own;
    }
    V::store(relative + at, result);
    if (best != nullptr) {
      Whole::store(best + at, __builtin_convertvector(found, typename Whole::type));
    }
  }
};

// The gradient of a source: what each target of its links got, and what the node itself had of its own aggregates.
template <class T>
struct AggregateBackward {
  using Element = T;
  Lists list;
  int64_t channels;
  const T* excess;
  const T* root;
  // Null where there is no such gradient.
  const T* plain;     // of the sum, and of the mean times root²
  const T* weighted;  // of the normalised sum times root
  const T* mean;
  const T* normalised;
  const T* relative;
  const int32_t* best;
  T* grad_x;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t node = begin; node < end; ++node) {
      const int64_t at = node * channels + channel;
      auto total = own<Bytes>(node, at);
      const int64_t first = list.outgoing[node];
      const int64_t last = list.outgoing[node + 1];
      if (plain != nullptr) {
        for (int64_t link = first; link < last; ++link) {
          total += V::load(plain + list.targets[link] * channels + channel);
        }
      }
      if (weighted != nullptr) {
        typename V::type sum{};
        for (int64_t link = first; link < last; ++link) {
          sum += V::load(weighted + list.targets[link] * channels + channel);
        }
        total += sum * root[node];
      }
      if (relative != nullptr) {
        for (int64_t link = first; link < last; ++link) {
          const int64_t target = list.targets[link] * channels + channel;
          const auto chosen = equals<T, Bytes>(best + target, list.positions[link]);
          total += chosen ? V::load(relative + target) : typename V::type{};
        }
      }
      V::store(grad_x + at, total);
    }
  }

  template <int Bytes>
  SGAS_INLINE typename Vector<T, Bytes>::type own(int64_t node, int64_t at) const {
    using V = Vector<T, Bytes>;
    const T share = excess[node] * root[node] * root[node];
    typename V::type total{};
    if (mean != nullptr) {
      total -= V::load(mean + at) * share;
    }
    if (normalised != nullptr) {
      total -= V::load(normalised + at) * share;
    }
    if (relative != nullptr && list.incoming[node] < list.incoming[node + 1]) {
      total -= V::load(relative + at);
    }
    return total;
  }
};

template <class T>
T* place(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr<T>() : nullptr;
}

struct Aggregation : torch::autograd::Function<Aggregation> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const LinkTensors& links, int64_t wanted,
                               bool keep) {
    std::array<at::Tensor, aggregates> out;
    variable_list given;
    for (size_t which = 0; which < aggregates; ++which) {
      if ((wanted >> which & 1) != 0) {
        out[which] = at::empty_like(x);
        given.push_back(out[which]);
      }
    }
    at::Tensor best;
    if (out[relative_maximum].defined() && keep) {
      best = at::empty(x.sizes(), x.options().dtype(at::kInt));
    }
    const auto excess = as_type(links.excess, x.scalar_type());
    const auto root = root_in(links.root, x.scalar_type());
    by_type(x, [&](auto zero) {
      using T = decltype(zero);
      const AggregateForward<T> kernel{Lists(links), x.size(1), x.const_data_ptr<T>(), excess.const_data_ptr<T>(),
                                       root.const_data_ptr<T>(), place<T>(out[sum]), place<T>(out[mean]),
                                       place<T>(out[normalised]), place<T>(out[relative_maximum]),
                                       place<int32_t>(best)};
      parallel(kernel, kernel.list.nodes, kernel.list.work(kernel.channels));
    });
    auto saved = links.all();
    saved.push_back(best);
    ctx->save_for_backward(saved);
    ctx->saved_data["wanted"] = wanted;
    return given;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto links = links_from(saved, 0);
    const auto& best = saved[link_tensors];
    std::array<at::Tensor, aggregates> grad;
    at::Tensor like;
    size_t next = 0;
    for (size_t which = 0; which < aggregates; ++which) {
      if ((ctx->saved_data["wanted"].toInt() >> which & 1) == 0) {
        continue;
      }
      if (grads[next].defined()) {
        grad[which] = grads[next].contiguous();
        like = grad[which];
      }
      ++next;
    }
    if (!like.defined()) {
      return {{}, {}, {}, {}};
    }
    const auto excess = as_type(links.excess, like.scalar_type());
    const auto root = root_in(links.root, like.scalar_type());
    auto plain = grad[sum];
    if (grad[mean].defined()) {
      const auto share = grad[mean] * (root * root).unsqueeze(1);
      plain = plain.defined() ? plain + share : share;
    }
    const auto weighted = grad[normalised].defined() ? grad[normalised] * root.unsqueeze(1) : at::Tensor();
    auto grad_x = at::empty_like(like);
    by_type(like, [&](auto zero) {
      using T = decltype(zero);
      const AggregateBackward<T> kernel{Lists(links), like.size(1), excess.const_data_ptr<T>(),
                                        root.const_data_ptr<T>(), place<T>(plain), place<T>(weighted),
                                        place<T>(grad[mean]), place<T>(grad[normalised]),
                                        place<T>(grad[relative_maximum]), place<int32_t>(best),
                                        grad_x.template mutable_data_ptr<T>()};
      parallel(kernel, kernel.list.nodes, kernel.list.work(kernel.channels));
    });
    return {grad_x, {}, {}, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `wanted` has a bit for each of sum, mean, normalised sum and relative maximum; the places of the others stay null.
char* sgas_link_aggregate(at::Tensor** out, const at::Tensor* x, const at::Tensor* const* links, int64_t wanted) {
  return sgas::guarded([&] {
    const auto checked = sgas::checked_links(*x, links);
    const auto results = sgas::Aggregation::apply(sgas::widen(*x), checked, wanted, sgas::tracked({x}));
    size_t next = 0;
    for (size_t which = 0; which < sgas::aggregates; ++which) {
      if ((wanted >> which & 1) != 0) {
        sgas::give(out + which, sgas::as_type(results[next++], x->scalar_type()));
      }
    }
  });
}

}  // extern "C"
