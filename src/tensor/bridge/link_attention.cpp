// One head of graph attention (Velickovic et al., 2018) along the links of a graph, every node with exactly one link
// to itself. Of the links only numbers, (E), are stored, no features.
#include "links.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

namespace sgas {
namespace {

// Softmax over the links into a node, and the node itself, of LeakyReLU(t_i + s_j). A stored link from a node to
// itself weighs nothing: the one that it has stands apart.
template <class T>
struct LinkWeights {
  Lists list;
  T slope;
  const T* target;
  const T* source;
  T* weights;  // (E), by target
  T* own;      // (N)

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t node = begin; node < end; ++node) {
      const int64_t first = list.incoming[node];
      const int64_t last = list.incoming[node + 1];
      own[node] = leaky(target[node] + source[node]);
      T greatest = own[node];
      for (int64_t link = first; link < last; ++link) {
        weights[link] = leaky(target[node] + source[list.sources[link]]);
        greatest = std::max(greatest, weights[link]);
      }
      own[node] = std::exp(own[node] - greatest);
      T sum = own[node];
      for (int64_t link = first; link < last; ++link) {
        weights[link] = list.sources[link] == node ? T(0) : std::exp(weights[link] - greatest);
        sum += weights[link];
      }
      own[node] /= sum;
      for (int64_t link = first; link < last; ++link) {
        weights[link] /= sum;
      }
    }
  }

  SGAS_INLINE T leaky(T score) const { return score > 0 ? score : slope * score; }
};

// Σ w x over the links of a node's list and the node itself: along the links into it the output, along those out of it
// the gradient of the features.
template <class T>
struct WeightedSum {
  using Element = T;
  int64_t channels;
  const int32_t* begins;  // where the list of each node begins
  const int32_t* others;  // the node at the other end
  const int32_t* places;  // of the weights; null where they lie in the lists' order
  const T* x;
  const T* weights;
  const T* own;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t node = begin; node < end; ++node) {
      auto total = V::load(x + node * channels + channel) * own[node];
      for (int64_t link = begins[node]; link < begins[node + 1]; ++link) {
        const T weight = weights[places == nullptr ? link : places[link]];
        total += V::load(x + others[link] * channels + channel) * weight;
      }
      V::store(out + node * channels + channel, total);
    }
  }
};

// The gradient of every score t_i + s_j, in place of the products <g_i, h_j> that it is made of; their sums are those
// of the targets' scores.
template <class T>
struct ScoresBackward {
  Lists list;
  int64_t channels;
  T slope;
  const T* grad;
  const T* h;
  const T* target;
  const T* source;
  const T* weights;
  const T* own;
  T* scores;      // (E)
  T* own_scores;  // (N)
  T* grad_target;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t node = begin; node < end; ++node) {
      const int64_t first = list.incoming[node];
      const int64_t last = list.incoming[node + 1];
      const T* row = grad + node * channels;
      own_scores[node] = dot<Bytes>(row, h + node * channels, channels);
      T mean = own[node] * own_scores[node];
      for (int64_t link = first; link < last; ++link) {
        scores[link] = dot<Bytes>(row, h + list.sources[link] * channels, channels);
        mean += weights[link] * scores[link];
      }
      own_scores[node] = own[node] * (own_scores[node] - mean) * slant(node, node);
      T sum = own_scores[node];
      for (int64_t link = first; link < last; ++link) {
        scores[link] = weights[link] * (scores[link] - mean) * slant(node, list.sources[link]);
        sum += scores[link];
      }
      grad_target[node] = sum;
    }
  }

  SGAS_INLINE T slant(int64_t node, int64_t other) const { return target[node] + source[other] > 0 ? T(1) : slope; }
};

// Sums of those over the links out of every node.
template <class T>
struct SourceScores {
  Lists list;
  const T* scores;
  const T* own_scores;
  T* grad_source;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t node = begin; node < end; ++node) {
      T sum = own_scores[node];
      for (int64_t link = list.outgoing[node]; link < list.outgoing[node + 1]; ++link) {
        sum += scores[list.positions[link]];
      }
      grad_source[node] = sum;
    }
  }
};

struct LinkAttention : torch::autograd::Function<LinkAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& h, const at::Tensor& target,
                            const at::Tensor& source, const LinkTensors& links, double slope) {
    const Lists list(links);
    auto weights = at::empty({list.links}, h.options());
    auto own = at::empty({list.nodes}, h.options());
    auto out = at::empty_like(h);
    by_type(h, [&](auto zero) {
      using T = decltype(zero);
      const LinkWeights<T> scores{list, static_cast<T>(slope), target.const_data_ptr<T>(), source.const_data_ptr<T>(),
                                  weights.mutable_data_ptr<T>(), own.mutable_data_ptr<T>()};
      // An exponential is worth about ten other operations.
      parallel(scores, list.nodes, list.work(10));
      const WeightedSum<T> sums{h.size(1), list.incoming, list.sources, nullptr, h.const_data_ptr<T>(),
                                weights.const_data_ptr<T>(), own.const_data_ptr<T>(),
                                out.template mutable_data_ptr<T>()};
      parallel(sums, list.nodes, list.work(sums.channels));
    });
    auto saved = links.all();
    saved.insert(saved.end(), {h, target, source, weights, own});
    ctx->save_for_backward(saved);
    ctx->saved_data["slope"] = slope;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto links = links_from(saved, 0);
    const Lists list(links);
    const auto *h = &saved[link_tensors], *target = h + 1, *source = h + 2, *weights = h + 3, *own = h + 4;
    const auto grad = grads[0].contiguous();
    at::Tensor grad_h, grad_target, grad_source;
    by_type(grad, [&](auto zero) {
      using T = decltype(zero);
      const int64_t channels = grad.size(1);
      if (ctx->needs_input_grad(0)) {
        grad_h = at::empty_like(grad);
        const WeightedSum<T> kernel{channels, list.outgoing, list.targets, list.positions, grad.const_data_ptr<T>(),
                                    weights->const_data_ptr<T>(), own->const_data_ptr<T>(),
                                    grad_h.template mutable_data_ptr<T>()};
        parallel(kernel, list.nodes, list.work(channels));
      }
      if (ctx->needs_input_grad(1) || ctx->needs_input_grad(2)) {
        auto scores = at::empty_like(*weights);
        auto own_scores = at::empty_like(*own);
        grad_target = at::empty_like(*target);
        grad_source = at::empty_like(*source);
        const ScoresBackward<T> kernel{list, channels, static_cast<T>(ctx->saved_data["slope"].toDouble()),
                                       grad.const_data_ptr<T>(), h->const_data_ptr<T>(), target->const_data_ptr<T>(),
                                       source->const_data_ptr<T>(), weights->const_data_ptr<T>(),
                                       own->const_data_ptr<T>(), scores.template mutable_data_ptr<T>(),
                                       own_scores.template mutable_data_ptr<T>(),
                                       grad_target.template mutable_data_ptr<T>()};
        parallel(kernel, list.nodes, list.work(channels));
        const SourceScores<T> sums{list, scores.template const_data_ptr<T>(), own_scores.template const_data_ptr<T>(),
                                   grad_source.template mutable_data_ptr<T>()};
        parallel(sums, list.nodes, list.work(1));
      }
    });
    return {grad_h, grad_target, grad_source, {}, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_link_attention(at::Tensor** out, const at::Tensor* h, const at::Tensor* target, const at::Tensor* source,
                          const at::Tensor* const* links, double slope) {
  return sgas::guarded([&] {
    const auto checked = sgas::checked_links(*h, links);
    sgas::check_channels(*target, h->size(0), "target scores");
    sgas::check_channels(*source, h->size(0), "source scores");
    const auto wide = sgas::widen(*h);
    const auto wide_target = target->to(wide.scalar_type()).contiguous();
    const auto wide_source = source->to(wide.scalar_type()).contiguous();
    const auto result = sgas::LinkAttention::apply(wide, wide_target, wide_source, checked, slope);
    sgas::give(out, sgas::as_type(result, h->scalar_type()));
  });
}

}  // extern "C"
