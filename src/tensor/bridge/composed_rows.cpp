// Composed operations on rows (R, C): brought to length 1, and the two maps of an edge convolution.
#include "composed.h"

#include <ATen/ops/cat.h>

namespace sgas {
namespace {

// y = x / max(|x|, smallest). Lengths, and what divides by them, are fp32: in half the reciprocal of a small one is
// infinite, and 0 times that is not a number.
struct UnitLength : torch::autograd::Function<UnitLength> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double smallest) {
    const NoAutocast no_autocast;
    const auto length = at::norm(x, 2, {1}, true, x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    const auto divisor = length.clamp_min(smallest);
    // The quotient of half and fp32 is fp32.
    const auto y = at::div(x, divisor);
    ctx->save_for_backward({y, divisor});
    ctx->saved_data["smallest"] = smallest;
    ctx->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    return as_type(y, x.scalar_type());
  }

  // (dy - y · <y, dy>) / length; a length that was too small is a constant, and the product is left out.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &y = saved[0], &divisor = saved[1];
    const auto grad = as_type(grads[0], y.scalar_type());
    const auto product = (y * grad).sum(1, true);
    const auto varies = divisor.gt(ctx->saved_data["smallest"].toDouble());
    auto grad_x = at::addcmul(grad, y, product * varies, -1).div_(divisor);
    return {as_type(grad_x, static_cast<at::ScalarType>(ctx->saved_data["type"].toInt())), {}};
  }
};

// With W = [U, V], (C_out, 2·C_in), the maps of a pair [x_i, x_j - x_i]: (U - V)·x_i + bias and V·x_j, of every row.
struct EdgeMaps : torch::autograd::Function<EdgeMaps> {
  static variable_list forward(
      AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    const auto type = product_type(x);
    const NoAutocast no_autocast;
    const auto outputs = weight.size(0), inputs = weight.size(1) / 2;
    const auto of_pair = weight.narrow(1, inputs, inputs);
    const auto maps = as_type(at::cat({weight.narrow(1, 0, inputs) - of_pair, of_pair}), type);
    const auto rows = as_type(x, type);
    const auto both = rows.mm(maps.t());
    const auto target = both.narrow(1, 0, outputs), source = both.narrow(1, outputs, outputs);
    ctx->save_for_backward({rows, maps});
    ctx->saved_data["biased"] = bias.has_value();
    ctx->saved_data["x"] = static_cast<int64_t>(x.scalar_type());
    ctx->saved_data["w"] = static_cast<int64_t>(weight.scalar_type());
    return {bias.has_value() ? target + as_type(*bias, type) : target, source};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &rows = saved[0], &maps = saved[1];
    const auto grad = at::cat({grads[0], grads[1]}, 1);
    const auto outputs = grads[0].size(1);
    at::Tensor grad_x, grad_weight, grad_bias;
    if (ctx->needs_input_grad(0)) {
      grad_x = as_type(grad.mm(maps), static_cast<at::ScalarType>(ctx->saved_data["x"].toInt()));
    }
    if (ctx->needs_input_grad(1)) {
      const auto both = as_type(grad.t().mm(rows), static_cast<at::ScalarType>(ctx->saved_data["w"].toInt()));
      const auto own = both.narrow(0, 0, outputs);
      grad_weight = at::cat({own, both.narrow(0, outputs, outputs) - own}, 1);
      if (ctx->saved_data["biased"].toBool()) {
        grad_bias = grads[0].sum(0, false, own.scalar_type());
      }
    }
    return {grad_x, grad_weight, grad_bias};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_composed_unit_length(at::Tensor** out, const at::Tensor* x, double smallest) {
  return sgas::guarded([&] {
    sgas::check_rows(*x);
    sgas::give(out, sgas::UnitLength::apply(*x, smallest));
  });
}

// Gives two tensors; `bias` may be null.
char* sgas_composed_edge_maps(
    at::Tensor** out, const at::Tensor* x, const at::Tensor* weight, const at::Tensor* bias) {
  return sgas::guarded([&] {
    sgas::check_rows(*x);
    TORCH_CHECK(weight->dim() == 2 && weight->size(1) == 2 * x->size(1), "expected weights (C_out, ", 2 * x->size(1),
                "), found ", weight->sizes());
    const auto given = bias != nullptr ? std::optional<at::Tensor>(*bias) : std::nullopt;
    auto both = sgas::EdgeMaps::apply(*x, *weight, given);
    sgas::give(&out[0], std::move(both[0]));
    sgas::give(&out[1], std::move(both[1]));
  });
}

}  // extern "C"
