// Aggregates and attention along the links of a graph, by the kernels of native/links.cu. Nothing of (links, channels) is
// stored.
#include "composed.h"
#include "links.h"
#include "native.h"

namespace sgas {
namespace {

// Sum, mean, normalised sum and relative maximum, in this order.
constexpr size_t aggregates = 4;
constexpr size_t relative_maximum = 3;

// One tensor for each of the aggregates, undefined where it is not among the wanted ones.
using OfAggregates = std::array<at::Tensor, aggregates>;

auto told(const OfAggregates& tensors) {
  return std::tuple_cat(native::told(tensors[0]), native::told(tensors[1]), native::told(tensors[2]),
                        native::told(tensors[3]));
}

bool is_wanted(int64_t wanted, size_t which) {
  return (wanted >> which & 1) != 0;
}

struct NativeAggregation : torch::autograd::Function<NativeAggregation> {
  // Those that are wanted.
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const LinkTensors& links, int64_t wanted) {
    const auto features = x.contiguous();
    OfAggregates out;
    variable_list given;
    for (size_t which = 0; which < aggregates; ++which) {
      if (is_wanted(wanted, which)) {
        out[which] = at::empty_like(features);
        given.push_back(out[which]);
      }
    }
    const auto which = out[relative_maximum].defined() ? at::empty(x.sizes(), x.options().dtype(at::kInt)) : at::Tensor();
    const uint32_t numbers = native::counted(x.numel()), channels = native::counted(x.size(1));
    native::launch(native::typed("sgas_link_aggregate", x), x, native::a_thread_each(numbers), features, links.incoming,
                   links.sources, links.root, told(out), which, numbers, channels);
    auto saved = links.all();
    saved.push_back(which);
    ctx->save_for_backward(saved);
    ctx->saved_data["wanted"] = wanted;
    return given;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto links = links_from(saved, 0);
    OfAggregates of_aggregates;
    at::Tensor like;
    size_t next = 0;
    for (size_t which = 0; which < aggregates; ++which) {
      if (is_wanted(ctx->saved_data["wanted"].toInt(), which)) {
        const auto& grad = grads[next++];
        if (grad.defined()) {
          like = of_aggregates[which] = grad.contiguous();
        }
      }
    }
    if (!like.defined()) {
      return {{}, {}, {}};
    }
    const auto out = at::empty_like(like);
    const uint32_t numbers = native::counted(like.numel()), channels = native::counted(like.size(1));
    native::launch(native::typed("sgas_link_aggregate_back", like), like, native::a_thread_each(numbers),
                   told(of_aggregates), saved[link_tensors], links.root, links.incoming, links.outgoing, links.targets,
                   links.positions, out, numbers, channels);
    return {out, {}, {}};
  }
};

// Σ_j w_ij·x_j with w_i = softmax_j(LeakyReLU(target_i + source_j)) over the links into a node: (N, C), (N) and (N) in
// fp32.
struct NativeAttention : torch::autograd::Function<NativeAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& target, const at::Tensor& source,
                            const LinkTensors& links, double slope) {
    const auto features = x.contiguous(), of_targets = target.contiguous(), of_sources = source.contiguous();
    const uint32_t numbers = native::counted(x.numel()), channels = native::counted(x.size(1));
    const uint32_t nodes = native::counted(x.size(0));
    const auto weights = at::empty({links.sources.size(0)}, target.options()), own = at::empty_like(of_targets);
    const auto out = at::empty_like(features);
    native::launch("sgas_link_attention_weights", x, native::a_warp_each(nodes), of_targets, of_sources, links.incoming,
                   links.sources, weights, own, nodes, static_cast<float>(slope));
    native::launch(native::typed("sgas_link_weighted_sum", x), x, native::a_thread_each(numbers), features, links.incoming,
                   links.sources, weights, own, out, numbers, channels);
    auto saved = links.all();
    saved.insert(saved.end(), {features, of_targets, of_sources, weights, own});
    ctx->save_for_backward(saved);
    ctx->saved_data["slope"] = slope;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto links = links_from(saved, 0);
    const auto rest = at::ArrayRef<at::Tensor>(saved).slice(link_tensors);
    const auto &x = rest[0], &target = rest[1], &source = rest[2], &weights = rest[3], &own = rest[4];
    const auto grad = grads[0].contiguous();
    const uint32_t numbers = native::counted(x.numel()), channels = native::counted(x.size(1));
    const uint32_t nodes = native::counted(x.size(0));
    variable_list found(5);
    if (ctx->needs_input_grad(0)) {
      found[0] = at::empty_like(grad);
      native::launch(native::typed("sgas_link_weighted_sum_back", grad), grad, native::a_thread_each(numbers), grad,
                     links.outgoing, links.targets, links.positions, weights, own, found[0], numbers, channels);
    }
    if (ctx->needs_input_grad(1) || ctx->needs_input_grad(2)) {
      const auto scores = at::empty_like(weights), own_scores = at::empty_like(own);
      found[1] = at::empty_like(target);
      found[2] = at::empty_like(source);
      native::launch(native::typed("sgas_link_scores_back", grad), grad, native::a_warp_each(nodes), grad, x, target,
                     source, links.incoming, links.sources, weights, own, scores, own_scores, found[1], nodes, channels,
                     static_cast<float>(ctx->saved_data["slope"].toDouble()));
      native::launch("sgas_link_scores_to_sources", grad, native::a_thread_each(nodes), scores, own_scores, links.outgoing,
                     links.positions, found[2], nodes);
    }
    return found;
  }
};

}  // namespace

LinkTensors native_links(const at::Tensor& x, const at::Tensor* const* tensors) {
  const LinkTensors links{*tensors[0], *tensors[1], *tensors[2], *tensors[3], *tensors[4], *tensors[5], *tensors[6]};
  TORCH_CHECK(x.dim() == 2 && x.is_cuda() && x.numel() > 0, "features are rows (N, C) on a GPU");
  TORCH_CHECK(x.size(0) == links.incoming.size(0) - 1, "expected features of ", links.incoming.size(0) - 1,
              " nodes, found ", x.size(0));
  for (const at::Tensor& tensor : links.all()) {
    TORCH_CHECK(tensor.dim() == 1 && tensor.is_contiguous() && tensor.device() == x.device(),
                "lists of links lie side by side, on the device of the features");
  }
  return links;
}

}  // namespace sgas

extern "C" {

// `wanted` has a bit for each of sum, mean, normalised sum and relative maximum; the places of the others stay null.
char* sgas_native_link_aggregate(at::Tensor** out, const at::Tensor* x, const at::Tensor* const* links, int64_t wanted) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    const auto results = sgas::NativeAggregation::apply(*x, sgas::native_links(*x, links), wanted);
    size_t next = 0;
    for (size_t which = 0; which < sgas::aggregates; ++which) {
      if (sgas::is_wanted(wanted, which)) {
        sgas::give(out + which, results[next++]);
      }
    }
  });
}

char* sgas_native_link_attention(at::Tensor** out, const at::Tensor* x, const at::Tensor* target, const at::Tensor* source,
                                 const at::Tensor* const* links, double slope) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    for (const auto* scores : {target, source}) {
      TORCH_CHECK(scores->dim() == 1 && scores->size(0) == x->size(0) && scores->scalar_type() == at::kFloat,
                  "scores are fp32 (N)");
    }
    sgas::give(out, sgas::NativeAttention::apply(*x, *target, *source, sgas::native_links(*x, links), slope));
  });
}

}  // extern "C"
