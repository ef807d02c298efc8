// The sum that a node of a cell is: of the parts on all its edges, some behind a batch norm, some times a weight.
#include "composed.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/stack.h>

namespace sgas {
namespace {

// A run of parts that stand side by side with their weights in the table.
struct Run {
  int64_t part;
  int64_t place;
  int64_t count;
};

// Where the weights of the parts lie in the flat table; a part without weight, at -1, ends its run.
std::vector<Run> runs_of(const std::vector<int64_t>& places) {
  std::vector<Run> runs;
  for (size_t part = 0; part < places.size(); ++part) {
    const auto place = places[part];
    if (!runs.empty() && place >= 0 && runs.back().place >= 0 && place == runs.back().place + runs.back().count) {
      ++runs.back().count;
    } else {
      runs.push_back({static_cast<int64_t>(part), place, 1});
    }
  }
  return runs;
}

// The weights of the parts, each so many times, (n · times) in fp32: 1 where there is none.
at::Tensor gathered(const at::Tensor& table, const std::vector<int64_t>& places, int64_t times = 1) {
  std::vector<at::Tensor> pieces;
  const auto repeated = table.view({-1, 1}).expand({table.numel(), times});
  for (const auto& run : runs_of(places)) {
    pieces.push_back(run.place < 0 ? at::ones({run.count, times}, table.options())
                                   : repeated.narrow(0, run.place, run.count));
  }
  return at::cat(pieces).view(-1);
}

// Parts as rows of all their numbers, (n, numbers), in the order in which images with their channels last lie.
struct Stack {
  explicit Stack(at::TensorList parts) {
    channels_last = parts[0].dim() == 4 && parts[0].is_contiguous(at::MemoryFormat::ChannelsLast);
    std::vector<at::Tensor> laid;
    for (const auto& part : parts) {
      laid.push_back(channels_last ? part.permute({0, 2, 3, 1}) : part);
    }
    tensor = at::stack(laid);
  }

  bool channels_last;
  at::Tensor tensor;
};

// What `Stack` did to one tensor, and back.
at::Tensor lay(const at::Tensor& x, bool channels_last) {
  return channels_last ? x.permute({0, 2, 3, 1}) : x;
}

at::Tensor unlay(const at::Tensor& x, bool channels_last) {
  return channels_last ? x.permute({0, 3, 1, 2}) : x;
}

// base + Σ_k w_k·x_k; places of the weights as above.
struct WeightedSum : torch::autograd::Function<WeightedSum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& table, at::TensorList parts,
                            const std::optional<at::Tensor>& base, const std::vector<int64_t>& places) {
    const NoAutocast no_autocast;
    const Stack stack(parts);
    const auto weights = gathered(table, places);
    const auto count = static_cast<int64_t>(parts.size());
    const auto narrow = as_type(weights, stack.tensor.scalar_type());
    const auto columns = stack.tensor.view({count, -1}).t();
    const auto sum = base.has_value()
                         ? at::addmv(lay(*base, stack.channels_last).reshape(-1), columns, narrow)
                         : at::mv(columns, narrow);
    ctx->save_for_backward({narrow, table.requires_grad() ? stack.tensor : at::Tensor()});
    ctx->saved_data["places"] = places;
    ctx->saved_data["table"] = table.sizes().vec();
    ctx->saved_data["channels_last"] = stack.channels_last;
    ctx->saved_data["based"] = base.has_value();
    return unlay(sum.view(stack.tensor.sizes().slice(1)), stack.channels_last);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const bool channels_last = ctx->saved_data["channels_last"].toBool();
    const auto grad = lay(output_grads[0], channels_last).contiguous();
    const auto count = saved[0].size(0);
    // After the parts the base.
    variable_list grads(count + 3);
    if (ctx->saved_data["based"].toBool()) {
      grads[count + 1] = output_grads[0];
    }
    bool any = false;
    for (int64_t part = 0; part < count; ++part) {
      any = any || ctx->needs_input_grad(part + 1);
    }
    if (any) {
      std::vector<int64_t> shape(grad.dim() + 1, 1);
      shape[0] = count;
      const auto scaled = grad.unsqueeze(0) * saved[0].view(shape);
      for (int64_t part = 0; part < count; ++part) {
        if (ctx->needs_input_grad(part + 1)) {
          grads[part + 1] = unlay(scaled.select(0, part), channels_last);
        }
      }
    }
    if (ctx->needs_input_grad(0)) {
      const auto sums = (saved[1].view({count, -1}) * grad.view({1, -1})).sum(1, false, at::kFloat);
      grads[0] = scattered(sums, ctx->saved_data["places"].toIntVector(), ctx->saved_data["table"].toIntVector());
    }
    return grads;
  }

  // The gradient of a table, of which these are the parts' weights.
  static at::Tensor scattered(
      const at::Tensor& sums, const std::vector<int64_t>& places, const std::vector<int64_t>& table) {
    const auto numel = c10::multiply_integers(table);
    auto grad = at::zeros(table, sums.options());
    std::vector<at::Tensor> pieces;
    const auto nothing = grad.view(-1);
    int64_t at = 0;
    for (const auto& run : runs_of(places)) {
      if (run.place < 0) {
        continue;
      }
      pieces.push_back(nothing.narrow(0, 0, run.place - at));
      pieces.push_back(sums.narrow(0, run.part, run.count));
      at = run.place + run.count;
    }
    pieces.push_back(nothing.narrow(0, 0, numel - at));
    return at::cat(pieces).view(table);
  }
};

// The tensors (C) as one, (n · C), which shares their memory: they are moved into it where they do not lie so yet.
at::Tensor side_by_side(at::TensorList tensors) {
  const auto channels = tensors[0].numel();
  const auto first = tensors[0].storage_offset();
  bool is_joined = true;
  for (size_t index = 0; index < tensors.size(); ++index) {
    is_joined = is_joined && tensors[index].is_alias_of(tensors[0]) &&
                tensors[index].storage_offset() == first + static_cast<int64_t>(index) * channels;
  }
  if (is_joined) {
    return tensors[0].as_strided({static_cast<int64_t>(tensors.size()) * channels}, {1});
  }
  const auto joined = at::cat(tensors);
  for (size_t index = 0; index < tensors.size(); ++index) {
    tensors[index].set_data(joined.narrow(0, static_cast<int64_t>(index) * channels, channels));
  }
  return joined;
}

// Σ_k w_k·norm(x_k) of norms without scale and shift, all in training or none: one batch norm over the channels of all
// parts side by side, whose scale is the parts' weights. `statistics` are the running mean and variance of every norm.
struct NormedSum : torch::autograd::Function<NormedSum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& table, at::TensorList parts,
                            at::TensorList means, at::TensorList variances, const std::vector<int64_t>& places,
                            bool training, double momentum, double epsilon) {
    const NoAutocast no_autocast;
    const auto count = static_cast<int64_t>(parts.size());
    const auto channels = parts[0].size(1);
    const auto x = at::cat(parts, 1);
    const auto scale = gathered(table, places, channels);
    const auto mean = side_by_side(means), variance = side_by_side(variances);
    const auto shift = zeros_of(count * channels, scale.options());
    auto [y, saved_mean, saved_scale] =
        at::native_batch_norm(x, scale, shift, mean, variance, training, momentum, epsilon);
    ctx->save_for_backward({x, scale, mean, variance, saved_mean, saved_scale});
    ctx->saved_data["places"] = places;
    ctx->saved_data["table"] = table.sizes().vec();
    ctx->saved_data["training"] = training;
    ctx->saved_data["epsilon"] = epsilon;
    return summed(y, count);
  }

  // Of count·C channels those that stand at the same place of their part: (B, count·C, ...) → (B, C, ...).
  static at::Tensor summed(const at::Tensor& y, int64_t count) {
    const auto channels = y.size(1) / count;
    if (y.dim() == 4 && y.is_contiguous(at::MemoryFormat::ChannelsLast)) {
      const auto pixels = y.permute({0, 2, 3, 1});
      return pixels.view({y.size(0), y.size(2), y.size(3), count, channels}).sum(3).permute({0, 3, 1, 2});
    }
    return y.unflatten(1, {count, channels}).sum(1);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto& x = saved[0];
    const auto places = ctx->saved_data["places"].toIntVector();
    const auto count = static_cast<int64_t>(places.size());
    const auto channels = x.size(1) / count;
    std::vector<at::Tensor> same(count, output_grads[0]);
    const auto grad = at::cat(same, 1);
    const bool weigh = ctx->needs_input_grad(0);
    const auto [grad_x, grad_scale, grad_shift] = at::native_batch_norm_backward(
        grad, x, saved[1], saved[2], saved[3], saved[4], saved[5], ctx->saved_data["training"].toBool(),
        ctx->saved_data["epsilon"].toDouble(), {true, weigh, false});
    // The lists of means and of variances are inputs too.
    variable_list grads(1 + 3 * count + 4);
    for (int64_t part = 0; part < count; ++part) {
      grads[part + 1] = grad_x.narrow(1, part * channels, channels);
    }
    if (weigh) {
      const auto sums = grad_scale.view({count, channels}).sum(1);
      grads[0] = WeightedSum::scattered(sums, places, ctx->saved_data["table"].toIntVector());
    }
    return grads;
  }
};

// Σ_k x_k, of which the last ones are each zeroed and scaled unit by unit: `masks`, (n, units), has a factor for each of
// them and each unit, a part of the first dimension.
struct MaskedSum : torch::autograd::Function<MaskedSum> {
  static at::Tensor forward(
      AutogradContext* ctx, at::TensorList parts, const at::Tensor& masks, int64_t units) {
    const NoAutocast no_autocast;
    const auto masked = masks.size(0), plain = static_cast<int64_t>(parts.size()) - masked;
    const bool channels_last = parts[0].dim() == 4 && parts[0].is_contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor sum;
    for (int64_t part = 0; part < plain; ++part) {
      const auto apart = by_unit(lay(parts[part], channels_last), units);
      sum = sum.defined() ? sum + apart : apart;
    }
    const auto factors = as_type(masks, parts[0].scalar_type());
    for (int64_t part = 0; part < masked; ++part) {
      const auto apart = by_unit(lay(parts[plain + part], channels_last), units);
      const auto factor = factors[part].view(ones_behind(units, apart.dim()));
      sum = sum.defined() ? at::addcmul(sum, apart, factor) : apart * factor;
    }
    ctx->save_for_backward({factors});
    ctx->saved_data["plain"] = plain;
    ctx->saved_data["channels_last"] = channels_last;
    return unlay(sum.view(lay(parts[0], channels_last).sizes()), channels_last);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto factors = ctx->get_saved_variables()[0];
    const auto masked = factors.size(0), units = factors.size(1), plain = ctx->saved_data["plain"].toInt();
    const bool channels_last = ctx->saved_data["channels_last"].toBool();
    const auto grad = lay(output_grads[0], channels_last);
    const auto apart = by_unit(grad, units);
    auto shape = ones_behind(units, apart.dim());
    shape.insert(shape.begin(), masked);
    const auto scaled = (apart.unsqueeze(0) * factors.view(shape)).view(shape_of(masked, grad));
    variable_list grads(plain + masked + 2);
    std::fill_n(grads.begin(), plain, output_grads[0]);
    for (int64_t part = 0; part < masked; ++part) {
      grads[plain + part] = unlay(scaled[part], channels_last);
    }
    return grads;
  }

  // What belongs to a unit side by side behind it: as it is where a unit is one row or image.
  static at::Tensor by_unit(const at::Tensor& x, int64_t units) {
    return x.size(0) == units ? x : x.unflatten(0, {units, -1});
  }

  static std::vector<int64_t> ones_behind(int64_t units, int64_t dimensions) {
    std::vector<int64_t> shape(dimensions, 1);
    shape[0] = units;
    return shape;
  }

  static std::vector<int64_t> shape_of(int64_t count, const at::Tensor& x) {
    auto shape = x.sizes().vec();
    shape.insert(shape.begin(), count);
    return shape;
  }
};

std::vector<at::Tensor> listed(const at::Tensor* const* tensors, int64_t count) {
  std::vector<at::Tensor> list;
  for (int64_t index = 0; index < count; ++index) {
    list.push_back(*tensors[index]);
  }
  return list;
}

void check_parts(const std::vector<at::Tensor>& parts) {
  TORCH_CHECK(!parts.empty(), "expected at least one tensor to sum");
  for (const auto& part : parts) {
    TORCH_CHECK(part.sizes() == parts[0].sizes() && part.scalar_type() == parts[0].scalar_type(),
                "expected all tensors as ", parts[0].scalar_type(), " ", parts[0].sizes(), ", found ",
                part.scalar_type(), " ", part.sizes());
  }
}

}  // namespace
}  // namespace sgas

extern "C" {

// `parts` points to `count` tensors, `places` to as many places of weights in `table`; `base` may be null.
char* sgas_composed_weighted_sum(at::Tensor** out, const at::Tensor* table, const at::Tensor* const* parts,
                                 const at::Tensor* base, const int64_t* places, int64_t count) {
  return sgas::guarded([&] {
    auto list = sgas::listed(parts, count);
    const auto given = base != nullptr ? std::optional<at::Tensor>(*base) : std::nullopt;
    if (given.has_value()) {
      list.push_back(*given);
    }
    sgas::check_parts(list);
    list.resize(count);
    sgas::give(out, sgas::WeightedSum::apply(*table, at::TensorList(list), given,
                                             std::vector<int64_t>(places, places + count)));
  });
}

// `parts` points to `count` tensors, of which as many as `masks` has rows are masked, the last ones.
char* sgas_composed_masked_sum(
    at::Tensor** out, const at::Tensor* const* parts, const at::Tensor* masks, int64_t count) {
  return sgas::guarded([&] {
    const auto list = sgas::listed(parts, count);
    sgas::check_parts(list);
    TORCH_CHECK(masks->dim() == 2 && masks->size(0) <= count && list[0].size(0) % masks->size(1) == 0,
                "expected masks of at most ", count, " tensors ", list[0].sizes(), ", found ", masks->sizes());
    sgas::give(out, sgas::MaskedSum::apply(at::TensorList(list), *masks, masks->size(1)));
  });
}

// `statistics` points to `count` running means, then as many running variances.
char* sgas_composed_normed_sum(at::Tensor** out, const at::Tensor* table, const at::Tensor* const* parts,
                               const at::Tensor* const* statistics, const int64_t* places, int64_t count,
                               int training, double momentum, double epsilon) {
  return sgas::guarded([&] {
    const auto list = sgas::listed(parts, count);
    sgas::check_parts(list);
    const auto means = sgas::listed(statistics, count), variances = sgas::listed(statistics + count, count);
    sgas::give(out, sgas::NormedSum::apply(*table, at::TensorList(list), at::TensorList(means),
                                           at::TensorList(variances), std::vector<int64_t>(places, places + count),
                                           training != 0, momentum, epsilon));
  });
}

}  // extern "C"
