// Sums and maxima over neighbours, by the kernels of native/neighbours.cu. Nothing of (points · k, channels) is stored.
#include "composed.h"
#include "native.h"

namespace sgas {
namespace {

using Maybe = std::optional<at::Tensor>;

// What a point's neighbours are, int64 (R, k), and the pairs that name each row, where a gradient is wanted.
struct Lists {
  at::Tensor rows, pairs, first;
};

// Of rows (R, C), by which kernels count.
struct Sizes {
  uint32_t numbers, channels, k;

  Sizes(const at::Tensor& x, const at::Tensor& rows)
      : numbers(native::counted(x.numel())),
        channels(native::counted(x.size(1))),
        k(native::counted(rows.size(1))) {
    native::counted(rows.numel());
  }
};

void check(const at::Tensor& x, const at::Tensor& rows) {
  TORCH_CHECK(x.dim() == 2 && x.is_cuda(), "features are rows (R, C) on a GPU");
  TORCH_CHECK(rows.dim() == 2 && rows.size(0) == x.size(0) && rows.size(1) > 0 && rows.scalar_type() == at::kLong &&
                  rows.is_contiguous() && rows.device() == x.device(),
              "neighbours are int64 (R, k), side by side, on the device of the rows");
}

at::Tensor sum(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& rows, float factor) {
  const Sizes sizes(x, rows);
  auto out = at::empty_like(x);
  native::launch(native::typed("sgas_neighbour_sum", x), x, native::a_thread_each(sizes.numbers), x, rows, weights, out,
                 sizes.numbers, sizes.channels, sizes.k, factor);
  return out;
}

at::Tensor sum_back(const at::Tensor& grad, const at::Tensor& weights, const Lists& lists, float factor) {
  const Sizes sizes(grad, lists.rows);
  auto out = at::empty_like(grad);
  native::launch(native::typed("sgas_neighbour_sum_back", grad), grad, native::a_thread_each(sizes.numbers), grad, weights,
                 lists.pairs, lists.first, out, sizes.numbers, sizes.channels, sizes.k, factor);
  return out;
}

// <grad_i, x_j> of every pair, fp32 (R, k).
at::Tensor products(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& rows) {
  const Sizes sizes(grad, rows);
  auto out = at::empty(rows.sizes(), grad.options().dtype(at::kFloat));
  const auto pair_count = native::counted(rows.numel());
  native::launch(native::typed("sgas_neighbour_products", grad), grad, native::a_warp_each(pair_count), grad, x, rows, out,
                 pair_count, sizes.channels, sizes.k);
  return out;
}

// Σ_j w_ij·x_j · factor; weights are fp32 (R, k), or 1 where they are undefined.
struct NeighbourSum : torch::autograd::Function<NeighbourSum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const Maybe& weights, const at::Tensor& rows,
                            const Maybe& pairs, const Maybe& first, double factor) {
    const auto features = x.contiguous();
    const auto own_weights = weights.has_value() ? weights->contiguous() : at::Tensor();
    ctx->save_for_backward({weights.has_value() ? features : at::Tensor(), own_weights, rows, pairs.value_or(at::Tensor()),
                            first.value_or(at::Tensor())});
    ctx->saved_data["factor"] = factor;
    return sum(features, own_weights, rows, static_cast<float>(factor));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weights = saved[1];
    const Lists lists{saved[2], saved[3], saved[4]};
    const auto grad = grads[0].contiguous();
    variable_list found(6);
    if (ctx->needs_input_grad(0)) {
      found[0] = sum_back(grad, weights, lists, static_cast<float>(ctx->saved_data["factor"].toDouble()));
    }
    if (weights.defined() && ctx->needs_input_grad(1)) {
      found[1] = products(grad, x, lists.rows);
    }
    return found;
  }
};

// max_j x_j; the gradient goes to the first of equal ones.
struct NeighbourMaximum : torch::autograd::Function<NeighbourMaximum> {
  static at::Tensor forward(
      AutogradContext* ctx, const at::Tensor& x, const at::Tensor& rows, const Maybe& pairs, const Maybe& first) {
    const auto features = x.contiguous();
    const Sizes sizes(features, rows);
    TORCH_CHECK(sizes.k <= 255, "a place among neighbours has a byte");
    auto out = at::empty_like(features);
    const auto which = at::empty(features.sizes(), features.options().dtype(at::kByte));
    native::launch(native::typed("sgas_neighbour_maximum", x), x, native::a_thread_each(sizes.numbers), features, rows, out,
                   which, sizes.numbers, sizes.channels, sizes.k);
    ctx->save_for_backward({which, rows, pairs.value_or(at::Tensor()), first.value_or(at::Tensor())});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto grad = grads[0].contiguous();
    const Sizes sizes(grad, saved[1]);
    auto out = at::empty_like(grad);
    const auto &which = saved[0], &pairs = saved[2], &first = saved[3];
    native::launch(native::typed("sgas_neighbour_maximum_back", grad), grad, native::a_thread_each(sizes.numbers), grad,
                   which, pairs, first, out, sizes.numbers, sizes.channels, sizes.k);
    return {out, {}, {}, {}};
  }
};

Maybe maybe(const at::Tensor* tensor) {
  return tensor != nullptr ? Maybe(*tensor) : std::nullopt;
}

}  // namespace
}  // namespace sgas

extern "C" {

// `weights` may be null; `pairs` and `first` are where no gradient is wanted.
char* sgas_native_neighbour_sum(at::Tensor** out, const at::Tensor* x, const at::Tensor* weights, const at::Tensor* rows,
                                const at::Tensor* pairs, const at::Tensor* first, double factor) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    sgas::check(*x, *rows);
    if (x->numel() == 0) {
      sgas::give(out, x->clone());
      return;
    }
    const auto given = sgas::maybe(weights), of_rows = sgas::maybe(pairs), begins = sgas::maybe(first);
    sgas::give(out, sgas::NeighbourSum::apply(*x, given, *rows, of_rows, begins, factor));
  });
}

char* sgas_native_neighbour_maximum(
    at::Tensor** out, const at::Tensor* x, const at::Tensor* rows, const at::Tensor* pairs, const at::Tensor* first) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    sgas::check(*x, *rows);
    if (x->numel() == 0) {
      sgas::give(out, x->clone());
      return;
    }
    sgas::give(out, sgas::NeighbourMaximum::apply(*x, *rows, sgas::maybe(pairs), sgas::maybe(first)));
  });
}

}  // extern "C"
