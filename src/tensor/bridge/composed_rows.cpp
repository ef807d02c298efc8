// Composed operations on rows (R, C): brought to length 1, and several linear maps as one product.
#include "composed.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/threshold_backward.h>

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
    const auto product = y.unsqueeze(1).bmm(grad.unsqueeze(2)).squeeze(2);
    // 0 where the divisor is not greater than that.
    const auto varying = at::threshold_backward(product, divisor, ctx->saved_data["smallest"].toDouble());
    auto grad_x = at::addcmul(grad, y, varying, -1).div_(divisor);
    return {as_type(grad_x, static_cast<at::ScalarType>(ctx->saved_data["type"].toInt())), {}};
  }
};

// Linear maps of the same rows (R, C_in), all to C_out channels, as one product: first those that a ReLU follows, then
// those that nothing follows, then those of pairs [x_i, x_j - x_i], whose weight [U, V], (C_out, 2·C_in), gives two maps,
// (U - V)·x and V·x. Of n pairs the first maps come before the second ones.
struct RowMaps : torch::autograd::Function<RowMaps> {
  static variable_list forward(
      AutogradContext* ctx, const at::Tensor& x, at::TensorList weights, int64_t rectified, int64_t pairs) {
    const auto type = product_type(x);
    const NoAutocast no_autocast;
    const auto inputs = x.size(1), outputs = weights[0].size(0);
    const auto singles = static_cast<int64_t>(weights.size()) - pairs;
    std::vector<at::Tensor> pieces(weights.begin(), weights.begin() + singles);
    for (const auto half : {0, 1}) {
      for (const auto& weight : weights.slice(singles)) {
        pieces.push_back(weight.narrow(1, half * inputs, inputs));
      }
    }
    const auto count = static_cast<int64_t>(pieces.size());
    auto joined = at::cat(pieces).view({count, outputs, inputs});
    if (pairs > 0) {
      joined.narrow(0, singles, pairs).sub_(joined.narrow(0, singles + pairs, pairs));
    }
    const auto maps = as_type(joined, type);
    const auto rows = as_type(x, type);
    const auto mapped = rows.unsqueeze(0).expand({count, -1, -1}).bmm(maps.transpose(1, 2));
    at::Tensor activated;
    if (rectified > 0) {
      activated = mapped.narrow(0, 0, rectified).relu_();
    }
    ctx->save_for_backward({rows, maps, activated});
    ctx->saved_data["pairs"] = pairs;
    ctx->saved_data["x"] = static_cast<int64_t>(x.scalar_type());
    ctx->saved_data["w"] = static_cast<int64_t>(weights[0].scalar_type());
    return mapped.unbind();
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &rows = saved[0], &maps = saved[1], &activated = saved[2];
    const auto count = maps.size(0), outputs = maps.size(1), inputs = maps.size(2);
    const auto pairs = ctx->saved_data["pairs"].toInt(), singles = count - 2 * pairs;
    // (R, maps, C_out)
    const auto joined = at::stack(output_grads, 1);
    if (activated.defined()) {
      auto through = joined.narrow(1, 0, activated.size(0));
      at::threshold_backward_out(through, through, activated.transpose(0, 1), 0);
    }
    const auto grad = joined.view({-1, count * outputs});
    variable_list grads(1 + singles + pairs + 2);
    if (ctx->needs_input_grad(0)) {
      grads[0] = as_type(grad.mm(maps.view({count * outputs, inputs})),
                         static_cast<at::ScalarType>(ctx->saved_data["x"].toInt()));
    }
    if (ctx->needs_input_grad(1)) {
      const auto of_maps = as_type(grad.t().mm(rows), static_cast<at::ScalarType>(ctx->saved_data["w"].toInt()))
                               .view({count, outputs, inputs});
      for (int64_t map = 0; map < singles; ++map) {
        grads[1 + map] = of_maps.select(0, map);
      }
      if (pairs > 0) {
        of_maps.narrow(0, singles + pairs, pairs).sub_(of_maps.narrow(0, singles, pairs));
      }
      for (int64_t pair = singles; pair < singles + pairs; ++pair) {
        grads[1 + pair] = at::cat({of_maps.select(0, pair), of_maps.select(0, pair + pairs)}, 1);
      }
    }
    return grads;
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

// `weights` points to `count` tensors, of which the last `pairs` have twice the inputs; gives `count + pairs` tensors.
char* sgas_composed_row_maps(at::Tensor** out, const at::Tensor* x, const at::Tensor* const* weights, int64_t count,
                             int64_t rectified, int64_t pairs) {
  return sgas::guarded([&] {
    sgas::check_rows(*x);
    std::vector<at::Tensor> list;
    for (int64_t index = 0; index < count; ++index) {
      const auto& weight = *weights[index];
      const auto inputs = x->size(1) * (index < count - pairs ? 1 : 2);
      TORCH_CHECK(weight.dim() == 2 && weight.size(1) == inputs && weight.size(0) == weights[0]->size(0),
                  "expected weights (", weights[0]->size(0), ", ", inputs, "), found ", weight.sizes());
      list.push_back(weight);
    }
    const auto maps = sgas::RowMaps::apply(*x, at::TensorList(list), rectified, pairs);
    for (size_t map = 0; map < maps.size(); ++map) {
      sgas::give(&out[map], at::Tensor(maps[map]));
    }
  });
}

}  // extern "C"
