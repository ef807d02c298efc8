// The tail of edge_conv along the links of a graph: ReLU, batch norm over all links, maximum over the links into each
// node. No link is stored: forward keeps the selected activation per node and channel and where it was found, backward
// computes the links again, once by target and once by source.
#include "links.h"
#include "norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace sgas {
namespace {

// Links whose sums in T are flushed into double precision.
constexpr int64_t flush_links = 256;

// r = ReLU(a_i + b_j) over the links into the nodes of a chunk: the value that batch norm will make the greatest (the
// greatest r where the weight is positive, the smallest where it is negative, else the first), and the shifted sums.
template <class T, bool Training>
struct LinkEdgeForward {
  using Element = T;
  Lists list;
  int64_t channels;
  const T* a;
  const T* b;
  const T* sign;
  const T* shift;
  T* selected;
  int32_t* best;  // null where no gradient is asked for
  Sums* sums;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    using Whole = Vector<int32_t, V::lanes * 4>;
    const auto direction = V::load(sign + channel);
    const auto offset = V::load(shift + channel);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      typename V::type sum{}, squares{};
      int64_t pending = 0;
      for (int64_t node = chunk * chunk_rows; node < std::min(list.nodes, (chunk + 1) * chunk_rows); ++node) {
        const int64_t at = node * channels + channel;
        const auto own = V::load(a + at);
        const int64_t first = list.incoming[node];
        const int64_t last = list.incoming[node + 1];
        typename V::type chosen{};
        auto found = V::all(-1);
        if (first < last) {
          chosen = V::relu(own + V::load(b + list.sources[first] * channels + channel));
          found = V::all(first);
        }
        auto here = V::all(first);
        for (int64_t link = first; link < last; ++link) {
          const auto value = V::relu(own + V::load(b + list.sources[link] * channels + channel));
          auto better = direction * value > direction * chosen;
          if constexpr (!Training) {
            // What is not a number stays; in training the sums hand it on.
            better |= value != value;
          }
          found = better ? here : found;
          chosen = better ? value : chosen;
          here += 1;
          if constexpr (Training) {
            sum += value - offset;
            squares += (value - offset) * (value - offset);
            if (++pending == flush_links) {
              V::flush(sums->at(chunk, 0) + channel, sum);
              V::flush(sums->at(chunk, 1) + channel, squares);
              pending = 0;
            }
          }
        }
        V::store(selected + at, chosen);
        if (best != nullptr) {
          Whole::store(best + at, __builtin_convertvector(found, typename Whole::type));
        }
      }
      if constexpr (Training) {
        V::flush(sums->at(chunk, 0) + channel, sum);
        V::flush(sums->at(chunk, 1) + channel, squares);
      }
    }
  }
};

// The gradient of a pair with r > 0: factor · dy where it is the selected one, − constant − slope · r.
template <class T>
struct LinkEdgeGradient {
  Lists list;
  int64_t channels;
  const T* grad;
  const T* a;
  const T* b;
  const int32_t* best;
  const T* factor;
  const T* constant;
  const T* slope;

  // Of the link at `position` into `target`, whose r before ReLU is `value`.
  template <int Bytes>
  SGAS_INLINE typename Vector<T, Bytes>::type link(int64_t target, int32_t position, int64_t channel,
                                                   const typename Vector<T, Bytes>::type& value) const {
    using V = Vector<T, Bytes>;
    const int64_t at = target * channels + channel;
    const auto dy = V::load(grad + at) * V::load(factor + channel);
    const auto chosen = equals<T, Bytes>(best + at, position) ? dy : typename V::type{};
    const auto pair = chosen - V::load(constant + channel) - value * V::load(slope + channel);
    return value > T(0) ? pair : typename V::type{};
  }
};

// Summed over the links into each node.
template <class T>
struct TargetBackward : LinkEdgeGradient<T> {
  using Element = T;
  T* grad_a;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t node = begin; node < end; ++node) {
      const auto own = V::load(this->a + node * this->channels + channel);
      typename V::type sum{};
      for (int64_t link = this->list.incoming[node]; link < this->list.incoming[node + 1]; ++link) {
        const auto value = own + V::load(this->b + this->list.sources[link] * this->channels + channel);
        sum += this->template link<Bytes>(node, static_cast<int32_t>(link), channel, value);
      }
      V::store(grad_a + node * this->channels + channel, sum);
    }
  }
};

// Summed over the links out of each node.
template <class T>
struct SourceBackward : LinkEdgeGradient<T> {
  using Element = T;
  T* grad_b;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t node = begin; node < end; ++node) {
      const auto own = V::load(this->b + node * this->channels + channel);
      typename V::type sum{};
      for (int64_t link = this->list.outgoing[node]; link < this->list.outgoing[node + 1]; ++link) {
        const int64_t target = this->list.targets[link];
        const auto value = own + V::load(this->a + target * this->channels + channel);
        sum += this->template link<Bytes>(target, this->list.positions[link], channel, value);
      }
      V::store(grad_b + node * this->channels + channel, sum);
    }
  }
};

template <class T>
at::Tensor selected_links(const at::Tensor& a, const at::Tensor& b, const Norm& norm, const Lists& list,
                          const at::Tensor& best, std::vector<double>& shift, Sums& sums) {
  const int64_t channels = a.size(1);
  const auto weights = per_channel(norm.weight);
  std::vector<T> sign(channels), offsets(channels);
  for (int64_t channel = 0; channel < channels; ++channel) {
    sign[channel] = static_cast<T>((weights[channel] > 0) - (weights[channel] < 0));
    offsets[channel] = std::max(a.const_data_ptr<T>()[channel] + b.const_data_ptr<T>()[channel], T(0));
    shift[channel] = static_cast<double>(offsets[channel]);
  }
  auto out = at::empty_like(a);
  const T* left = a.const_data_ptr<T>();
  const T* right = b.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  int32_t* places = best.defined() ? best.mutable_data_ptr<int32_t>() : nullptr;
  const int64_t chunks = (list.nodes + chunk_rows - 1) / chunk_rows;
  const int64_t work = chunk_rows * list.work(channels);
  if (norm.training) {
    parallel(LinkEdgeForward<T, true>{list, channels, left, right, sign.data(), offsets.data(), to, places, &sums},
             chunks, work);
  } else {
    parallel(LinkEdgeForward<T, false>{list, channels, left, right, sign.data(), offsets.data(), to, places, &sums},
             chunks, work);
  }
  return out;
}

// 1 for a node with links into it, else 0: (N, 1).
at::Tensor reached(const LinkTensors& links, const at::Tensor& like) {
  return links.incoming.diff().ne(0).to(like.scalar_type()).unsqueeze(1);
}

struct LinkEdgeMaxNorm : torch::autograd::Function<LinkEdgeMaxNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& a, const at::Tensor& b, const at::Tensor& weight,
                            const at::Tensor&, const LinkTensors& links, const Norm& norm, bool keep) {
    const Lists list(links);
    Sums sums((list.nodes + chunk_rows - 1) / chunk_rows, a.size(1));
    std::vector<double> shift(a.size(1));
    at::Tensor selected, best;
    if (keep) {
      best = at::empty(a.sizes(), a.options().dtype(at::kInt));
    }
    by_type(a, [&](auto zero) { selected = selected_links<decltype(zero)>(a, b, norm, list, best, shift, sums); });
    const auto found = statistics(norm, shift, norm.training ? &sums : nullptr, list.links);
    auto saved = links.all();
    saved.insert(saved.end(), {a, b, weight, selected, best, per_channel(found.mean), per_channel(found.scale)});
    ctx->save_for_backward(saved);
    ctx->saved_data["training"] = norm.training;
    return normalised(selected, norm, found) * reached(links, a);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto links = links_from(saved, 0);
    const auto *a = &saved[link_tensors], *b = a + 1, *weight = a + 2, *selected = a + 3, *best = a + 4;
    const auto grad = (grads[0] * reached(links, grads[0])).contiguous();
    const Lists list(links);
    const auto found =
        gradients(grad, *selected, *weight, a[5], a[6], ctx->saved_data["training"].toBool(), list.links);
    at::Tensor grad_a, grad_b;
    if (!best->defined()) {
      return {{}, {}, found.weight, found.bias, {}, {}, {}};
    }
    by_type(*a, [&](auto zero) {
      using T = decltype(zero);
      const auto factor = narrow<T>(found.factor);
      const auto constant = narrow<T>(found.constant);
      const auto slope = narrow<T>(found.slope);
      const LinkEdgeGradient<T> shared{list, a->size(1), grad.const_data_ptr<T>(), a->const_data_ptr<T>(),
                                       b->const_data_ptr<T>(), best->const_data_ptr<int32_t>(), factor.data(),
                                       constant.data(), slope.data()};
      if (ctx->needs_input_grad(0)) {
        grad_a = at::empty_like(*a);
        parallel(TargetBackward<T>{shared, grad_a.template mutable_data_ptr<T>()}, list.nodes,
                 list.work(shared.channels));
      }
      if (ctx->needs_input_grad(1)) {
        grad_b = at::empty_like(*b);
        parallel(SourceBackward<T>{shared, grad_b.template mutable_data_ptr<T>()}, list.nodes,
                 list.work(shared.channels));
      }
    });
    return {grad_a, grad_b, found.weight, found.bias, {}, {}, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_link_edge_max_norm(at::Tensor** out, const at::Tensor* a, const at::Tensor* b,
                              const at::Tensor* const* links, const at::Tensor* const* norm, int training,
                              double momentum, double epsilon) {
  return sgas::guarded([&] {
    const auto checked = sgas::checked_links(*a, links);
    sgas::check_cpu({b});
    TORCH_CHECK(a->sizes() == b->sizes() && a->scalar_type() == b->scalar_type(), "expected a and b alike, found ",
                a->scalar_type(), " ", a->sizes(), " and ", b->scalar_type(), " ", b->sizes());
    TORCH_CHECK(training == 0 || checked.sources.size(0) > 1, "batch norm over links needs two of them, found ",
                checked.sources.size(0));
    const auto all = sgas::checked_norm(norm, a->size(1), training, momentum, epsilon);
    const auto result =
        sgas::LinkEdgeMaxNorm::apply(sgas::widen(*a), sgas::widen(*b), *norm[0], *norm[1], checked, all,
                                     sgas::tracked({a, b}));
    sgas::give(out, sgas::as_type(result, a->scalar_type()));
  });
}

}  // extern "C"
