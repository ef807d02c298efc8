// Composed operations on rows (R, C): brought to length 1, and linear maps of them.
#include "composed.h"

#include <ATen/ops/_addmm_activation.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/threshold_backward.h>

namespace sgas {
namespace {

at::ScalarType type_of(AutogradContext* ctx, const char* name) {
  return static_cast<at::ScalarType>(ctx->saved_data[name].toInt());
}

// Copies of leaves in half precision, made of the flat tensor, (numbers), of which they are views; backward all their
// gradients are widened at once.
struct Copies : torch::autograd::Function<Copies> {
  static variable_list forward(AutogradContext* ctx, at::TensorList leaves, const at::Tensor& flat,
                               const std::vector<int64_t>& offsets, at::ScalarType type) {
    const NoAutocast no_autocast;
    const auto narrow = flat.to(type);
    variable_list copies;
    for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
      const auto range = narrow.narrow(0, offsets[leaf], leaves[leaf].numel());
      copies.push_back(range.view(leaves[leaf].sizes()));
    }
    ctx->set_materialize_grads(false);
    return copies;
  }

  static variable_list backward(AutogradContext*, const variable_list& grads) {
    check_first_order();
    std::vector<at::Tensor> given;
    std::vector<int64_t> lengths;
    for (const auto& grad : grads) {
      if (grad.defined()) {
        given.push_back(grad.reshape({-1}));
        lengths.push_back(grad.numel());
      }
    }
    variable_list wide(grads.size() + 3);
    if (given.empty()) {
      return wide;
    }
    const auto parts = at::cat(given).to(at::kFloat).split_with_sizes(lengths);
    auto part = parts.begin();
    for (size_t leaf = 0; leaf < grads.size(); ++leaf) {
      if (grads[leaf].defined()) {
        wide[leaf] = (part++)->view(grads[leaf].sizes());
      }
    }
    return wide;
  }
};

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
    // 0 where the divisor is not greater than that.
    const auto varying = at::threshold_backward(product, divisor, ctx->saved_data["smallest"].toDouble());
    auto grad_x = at::addcmul(grad, y, varying, -1).div_(divisor);
    return {as_type(grad_x, type_of(ctx, "type")), {}};
  }
};

// Linear maps of the same rows (R, C_in), all to C_out channels, as one product; a ReLU follows the first of them.
struct RowMaps : torch::autograd::Function<RowMaps> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, at::TensorList weights, int64_t rectified) {
    const auto type = product_type(x);
    const NoAutocast no_autocast;
    const auto inputs = x.size(1), outputs = weights[0].size(0), count = static_cast<int64_t>(weights.size());
    const auto maps = as_type(count == 1 ? weights[0] : at::cat(weights), type).view({count, outputs, inputs});
    const auto rows = as_type(x, type);
    at::Tensor mapped;
    if (count == 1 && rectified == 1) {
      mapped = at::_addmm_activation(zeros_of(outputs, rows.options()), rows, maps[0].t()).unsqueeze(0);
    } else {
      mapped = rows.unsqueeze(0).expand({count, -1, -1}).bmm(maps.transpose(1, 2));
      if (rectified > 0) {
        mapped.narrow(0, 0, rectified).relu_();
      }
    }
    ctx->save_for_backward({rows, maps, mapped.narrow(0, 0, rectified)});
    ctx->saved_data["x"] = static_cast<int64_t>(x.scalar_type());
    ctx->saved_data["w"] = static_cast<int64_t>(weights[0].scalar_type());
    return mapped.unbind();
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &rows = saved[0], &maps = saved[1], &activated = saved[2];
    const auto count = maps.size(0), outputs = maps.size(1), inputs = maps.size(2);
    // (R, count, C_out)
    auto joined = count == 1 ? output_grads[0].unsqueeze(1) : at::stack(output_grads, 1);
    if (activated.size(0) == count) {
      joined = at::threshold_backward(joined, activated.transpose(0, 1), 0).contiguous();
    } else if (activated.size(0) > 0) {
      auto through = joined.narrow(1, 0, activated.size(0));
      at::threshold_backward_out(through, through, activated.transpose(0, 1), 0);
    }
    const auto grad = joined.view({-1, count * outputs});
    variable_list grads(1 + count + 1);
    if (ctx->needs_input_grad(0)) {
      grads[0] = as_type(grad.mm(maps.view({count * outputs, inputs})), type_of(ctx, "x"));
    }
    if (ctx->needs_input_grad(1)) {
      const auto of_maps = as_type(grad.t().mm(rows), type_of(ctx, "w")).split(outputs);
      std::copy(of_maps.begin(), of_maps.end(), grads.begin() + 1);
    }
    return grads;
  }
};

// With W = [U, V], (C_out, 2·C_in), the shares of both ends in the map of a pair [x_i, x_j - x_i]: (U - V)·x_i and
// V·x_j, of every row. A bias (1, C_out) comes with the second; of one (2, C_out) each has its own. Of a prepared weight,
// [U - V, V], they are its halves' maps. The third output is x, so that the gradients of what reads it there too are added
// within the product.
struct PairMaps : torch::autograd::Function<PairMaps> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                               const std::optional<at::Tensor>& bias, bool prepared) {
    const auto type = product_type(x);
    const NoAutocast no_autocast;
    const auto inputs = x.size(1), outputs = weight.size(0);
    const auto rows = as_type(x, type), narrow = as_type(weight, type);
    // Both halves as they stand in the weight, (2, C_in, C_out).
    const auto halves = narrow.view({outputs, 2, inputs}).permute({1, 2, 0});
    const auto twice = rows.unsqueeze(0).expand({2, -1, -1});
    auto both = bias.has_value() ? at::baddbmm(as_type(*bias, type).unsqueeze(1), twice, halves) : twice.bmm(halves);
    if (!prepared) {
      // A bias of both goes out in the difference.
      both[0].sub_(both[1]);
    }
    ctx->set_materialize_grads(false);
    ctx->save_for_backward({rows, narrow});
    ctx->saved_data["prepared"] = prepared;
    ctx->saved_data["biases"] = bias.has_value() ? bias->size(0) : 0;
    ctx->saved_data["x"] = static_cast<int64_t>(x.scalar_type());
    ctx->saved_data["w"] = static_cast<int64_t>(weight.scalar_type());
    return {both[0], both[1], x};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &rows = saved[0], &weight = saved[1], &passed = grads[2];
    const auto outputs = weight.size(0), inputs = rows.size(1), biases = ctx->saved_data["biases"].toInt();
    TORCH_CHECK(grads[0].defined() && grads[1].defined(), "both maps of pairs are used together");
    const auto second = ctx->saved_data["prepared"].toBool() ? grads[1] : grads[1] - grads[0];
    // Row by row of the halves, which take turns in (2·C_out, C_in).
    const auto grad = at::stack({grads[0], second}, 2).view({-1, 2 * outputs});
    at::Tensor grad_x, grad_weight, grad_bias;
    if (ctx->needs_input_grad(0)) {
      const auto halves = weight.view({2 * outputs, inputs});
      if (passed.defined() && passed.scalar_type() == grad.scalar_type()) {
        grad_x = passed.addmm(grad, halves);
      } else {
        grad_x = as_type(grad.mm(halves), type_of(ctx, "x"));
        grad_x = passed.defined() ? grad_x.add_(passed) : grad_x;
      }
    }
    if (ctx->needs_input_grad(1)) {
      grad_weight = as_type(grad.t().mm(rows), type_of(ctx, "w")).view({outputs, 2 * inputs});
    }
    if (biases == 1 && ctx->needs_input_grad(2)) {
      grad_bias = grads[1].sum(0, true, type_of(ctx, "w"));
    } else if (biases == 2 && ctx->needs_input_grad(2)) {
      grad_bias = grad.sum(0, false, type_of(ctx, "w")).view({outputs, 2}).t();
    }
    return {grad_x, grad_weight, grad_bias, {}};
  }
};

// Of n weights [U, V], (C_out, 2·C_in), as many prepared ones, [U - V, V], then of as many biases (C_out) as many of their
// own, (2, C_out), of which the first is 0; all in the type of products. Prepared at once they take few operators.
struct PreparedPairs : torch::autograd::Function<PreparedPairs> {
  static variable_list forward(
      AutogradContext* ctx, at::TensorList weights, at::TensorList biases, at::ScalarType type) {
    const NoAutocast no_autocast;
    const auto count = static_cast<int64_t>(weights.size());
    const auto maps = at::stack(weights);
    const auto halves = maps.view({count, maps.size(1), 2, maps.size(2) / 2});
    halves.select(2, 0).sub_(halves.select(2, 1));
    auto prepared = as_type(maps, type).unbind();
    const auto own = at::stack(biases);
    for (auto& bias : as_type(at::stack({at::zeros_like(own), own}, 1), type).unbind()) {
      prepared.push_back(std::move(bias));
    }
    ctx->saved_data["w"] = static_cast<int64_t>(weights[0].scalar_type());
    return prepared;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto count = output_grads.size() / 2;
    const at::TensorList grads(output_grads);
    const auto of_maps = as_type(at::stack(grads.slice(0, count)), type_of(ctx, "w"));
    const auto halves = of_maps.view({of_maps.size(0), of_maps.size(1), 2, of_maps.size(2) / 2});
    halves.select(2, 1).sub_(halves.select(2, 0));
    auto given = of_maps.unbind();
    for (auto& grad : as_type(at::stack(grads.slice(count)).select(1, 1), type_of(ctx, "w")).unbind()) {
      given.push_back(std::move(grad));
    }
    given.emplace_back();
    return given;
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `leaves` and `offsets` point to `count` each; gives as many tensors, fp16 or, with 1, bf16.
char* sgas_composed_copies(at::Tensor** out, const at::Tensor* flat, const at::Tensor* const* leaves,
                           const int64_t* offsets, int64_t count, int half) {
  return sgas::guarded([&] {
    std::vector<at::Tensor> list;
    for (int64_t leaf = 0; leaf < count; ++leaf) {
      list.push_back(*leaves[leaf]);
    }
    const auto copies =
        sgas::Copies::apply(at::TensorList(list), *flat, std::vector<int64_t>(offsets, offsets + count),
                            half != 0 ? at::kBFloat16 : at::kHalf);
    for (size_t copy = 0; copy < copies.size(); ++copy) {
      sgas::give(&out[copy], at::Tensor(copies[copy]));
    }
  });
}

char* sgas_composed_unit_length(at::Tensor** out, const at::Tensor* x, double smallest) {
  return sgas::guarded([&] {
    sgas::check_rows(*x);
    sgas::give(out, sgas::UnitLength::apply(*x, smallest));
  });
}

// `weights` points to `count` tensors; gives as many.
char* sgas_composed_row_maps(
    at::Tensor** out, const at::Tensor* x, const at::Tensor* const* weights, int64_t count, int64_t rectified) {
  return sgas::guarded([&] {
    sgas::check_rows(*x);
    std::vector<at::Tensor> list;
    for (int64_t index = 0; index < count; ++index) {
      const auto& weight = *weights[index];
      TORCH_CHECK(weight.dim() == 2 && weight.size(1) == x->size(1) && weight.size(0) == weights[0]->size(0),
                  "expected weights (", weights[0]->size(0), ", ", x->size(1), "), found ", weight.sizes());
      list.push_back(weight);
    }
    const auto maps = sgas::RowMaps::apply(*x, at::TensorList(list), rectified);
    for (size_t map = 0; map < maps.size(); ++map) {
      sgas::give(&out[map], at::Tensor(maps[map]));
    }
  });
}

// Gives three tensors; `bias` may be null.
char* sgas_composed_pair_maps(
    at::Tensor** out, const at::Tensor* x, const at::Tensor* weight, const at::Tensor* bias, int prepared) {
  return sgas::guarded([&] {
    sgas::check_rows(*x);
    TORCH_CHECK(weight->dim() == 2 && weight->size(1) == 2 * x->size(1), "expected weights (C_out, ", 2 * x->size(1),
                "), found ", weight->sizes());
    auto given = std::optional<at::Tensor>();
    if (bias != nullptr) {
      given = bias->dim() == 1 ? bias->unsqueeze(0) : *bias;
    }
    const auto maps = sgas::PairMaps::apply(*x, *weight, given, prepared != 0);
    for (size_t map = 0; map < maps.size(); ++map) {
      sgas::give(&out[map], at::Tensor(maps[map]));
    }
  });
}

// `weights` and `biases` point to `count` tensors each, of one shape and of products on the device of `x`; gives
// 2 · `count` tensors.
char* sgas_composed_prepared_pairs(at::Tensor** out, const at::Tensor* x, const at::Tensor* const* weights,
                                   const at::Tensor* const* biases, int64_t count) {
  return sgas::guarded([&] {
    std::vector<at::Tensor> maps, shifts;
    for (int64_t index = 0; index < count; ++index) {
      maps.push_back(*weights[index]);
      shifts.push_back(*biases[index]);
    }
    const auto prepared =
        sgas::PreparedPairs::apply(at::TensorList(maps), at::TensorList(shifts), sgas::product_type(*x));
    for (size_t place = 0; place < prepared.size(); ++place) {
      sgas::give(&out[place], at::Tensor(prepared[place]));
    }
  });
}

}  // extern "C"
