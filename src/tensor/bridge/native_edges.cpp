// The tail of edge_conv by the kernels of native/edges.cu.
#include "composed.h"
#include "native.h"

namespace sgas {
namespace {

// As the kernels have them.
constexpr int64_t summing = 256;
constexpr int64_t points_of_block = 32;
constexpr int64_t finishing = 512;

const void* data_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr() : nullptr;
}

// Tensors (C) of a norm with scale and offset, fp32.
struct EdgeNorm {
  at::Tensor scale, offset, running_mean, running_var;
  bool training;
  double momentum, epsilon;
};

struct Sizes {
  int points, channels, k, blocks;
  uint32_t numbers, width, neighbours;
  double pairs;

  Sizes(const at::Tensor& own, const at::Tensor& rows)
      : points(static_cast<int>(native::counted(own.size(0)))),
        channels(static_cast<int>(native::counted(own.size(1)))),
        k(static_cast<int>(rows.size(1))),
        blocks(static_cast<int>((own.size(0) + points_of_block - 1) / points_of_block)),
        numbers(native::counted(own.numel())),
        width(static_cast<uint32_t>(channels)),
        neighbours(static_cast<uint32_t>(k)),
        pairs(static_cast<double>(rows.numel())) {
    native::counted(rows.numel());
  }
};

// max_j norm(ReLU(own_i + other_j)), (R, C).
struct EdgeMaximum : torch::autograd::Function<EdgeMaximum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& own, const at::Tensor& other, const at::Tensor& scale,
                            const at::Tensor& offset, const at::Tensor& rows, const std::optional<at::Tensor>& pairs,
                            const std::optional<at::Tensor>& first, const EdgeNorm& norm) {
    const auto of_points = own.contiguous(), of_neighbours = other.contiguous();
    const Sizes sizes(of_points, rows);
    const auto fp32 = own.options().dtype(at::kFloat);
    const auto selected = at::empty(own.sizes(), fp32);
    const auto which = at::empty(own.sizes(), own.options().dtype(at::kByte));
    const auto sums = at::empty({sizes.blocks, 2, sizes.channels}, fp32), shift = at::empty({sizes.channels}, fp32);
    const auto statistics = at::empty({2, sizes.channels}, fp32);
    auto out = at::empty_like(of_points);

    const void *const own_data = data_of(of_points), *const other_data = data_of(of_neighbours);
    const void *const row_data = data_of(rows), *const scale_data = data_of(scale), *const offset_data = data_of(offset);
    void *const selected_data = selected.mutable_data_ptr(), *const which_data = which.mutable_data_ptr();
    void *const sum_data = sums.mutable_data_ptr(), *const shift_data = shift.mutable_data_ptr();
    void *const statistics_data = statistics.mutable_data_ptr(), *const out_data = out.mutable_data_ptr();
    void* const mean_data = norm.running_mean.mutable_data_ptr();
    void* const var_data = norm.running_var.mutable_data_ptr();
    const int training = norm.training ? 1 : 0;

    native::launch(native::typed("sgas_edge_select", own).c_str(), own, {sizes.blocks, summing},
                   {&own_data, &other_data, &row_data, &scale_data, &selected_data, &which_data, &sum_data, &shift_data,
                    &sizes.points, &sizes.channels, &sizes.k});
    native::launch("sgas_edge_statistics", own, {1, finishing},
                   {&sum_data, &shift_data, &mean_data, &var_data, &statistics_data, &sizes.blocks, &sizes.channels,
                    &sizes.pairs, &training, &norm.momentum, &norm.epsilon});
    native::launch(native::typed("sgas_edge_normalise", own).c_str(), own, native::a_thread_each(sizes.numbers),
                   {&selected_data, &statistics_data, &scale_data, &offset_data, &out_data, &sizes.numbers,
                    &sizes.width});
    ctx->save_for_backward({of_points, of_neighbours, scale, rows, pairs.value_or(at::Tensor()),
                            first.value_or(at::Tensor()), selected, which, statistics});
    ctx->saved_data["training"] = norm.training;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &own = saved[0], &other = saved[1], &scale = saved[2], &rows = saved[3];
    const Sizes sizes(own, rows);
    const auto grad = grads[0].contiguous();
    const auto fp32 = own.options().dtype(at::kFloat);
    const auto sums = at::empty({sizes.blocks, 2, sizes.channels}, fp32), terms = at::empty({3, sizes.channels}, fp32);
    const auto grad_scale = at::empty({sizes.channels}, fp32), grad_offset = at::empty({sizes.channels}, fp32);

    const void *const grad_data = data_of(grad), *const own_data = data_of(own), *const other_data = data_of(other);
    const void *const scale_data = data_of(scale), *const row_data = data_of(rows), *const pair_data = data_of(saved[4]);
    const void *const first_data = data_of(saved[5]), *const selected_data = data_of(saved[6]);
    const void *const which_data = data_of(saved[7]), *const statistics_data = data_of(saved[8]);
    void *const sum_data = sums.mutable_data_ptr(), *const term_data = terms.mutable_data_ptr();
    void *const grad_scale_data = grad_scale.mutable_data_ptr(), *const grad_offset_data = grad_offset.mutable_data_ptr();
    const int training = ctx->saved_data["training"].toBool() ? 1 : 0;

    native::launch(native::typed("sgas_edge_gradient_sums", own).c_str(), own, {sizes.blocks, summing},
                   {&grad_data, &selected_data, &sum_data, &sizes.points, &sizes.channels});
    native::launch("sgas_edge_terms", own, {1, finishing},
                   {&sum_data, &statistics_data, &scale_data, &grad_scale_data, &grad_offset_data, &term_data,
                    &sizes.blocks, &sizes.channels, &sizes.pairs, &training});
    variable_list found(8);
    found[2] = grad_scale;
    found[3] = grad_offset;
    if (ctx->needs_input_grad(0)) {
      found[0] = at::empty_like(own);
      void* const to = found[0].mutable_data_ptr();
      native::launch(native::typed("sgas_edge_own_back", own).c_str(), own, native::a_thread_each(sizes.numbers),
                     {&grad_data, &own_data, &other_data, &row_data, &which_data, &term_data, &to, &sizes.numbers,
                      &sizes.width, &sizes.neighbours});
    }
    if (ctx->needs_input_grad(1)) {
      found[1] = at::empty_like(own);
      void* const to = found[1].mutable_data_ptr();
      native::launch(native::typed("sgas_edge_other_back", own).c_str(), own, native::a_thread_each(sizes.numbers),
                     {&grad_data, &own_data, &other_data, &which_data, &term_data, &pair_data, &first_data, &to,
                      &sizes.numbers, &sizes.width, &sizes.neighbours});
    }
    return found;
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `norm` points to scale, offset, running mean and running variance, fp32 (C) each; `pairs` and `first` are null where no
// gradient is wanted.
char* sgas_native_edge_maximum(at::Tensor** out, const at::Tensor* own, const at::Tensor* other, const at::Tensor* rows,
                               const at::Tensor* pairs, const at::Tensor* first, const at::Tensor* const* norm,
                               int training, double momentum, double epsilon) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    TORCH_CHECK(own->dim() == 2 && own->is_cuda() && own->numel() > 0, "shares of points are rows (R, C) on a GPU");
    TORCH_CHECK(own->sizes() == other->sizes() && own->scalar_type() == other->scalar_type(), "shares are alike");
    TORCH_CHECK(rows->dim() == 2 && rows->size(0) == own->size(0) && rows->scalar_type() == at::kLong &&
                    rows->is_contiguous() && rows->size(1) > 0 && rows->size(1) <= 255,
                "neighbours are int64 (R, k), side by side, 255 at most");
    for (int part = 0; part < 4; ++part) {
      TORCH_CHECK(norm[part] != nullptr && norm[part]->scalar_type() == at::kFloat && norm[part]->is_contiguous() &&
                      norm[part]->numel() == own->size(1),
                  "a norm's tensors are fp32 (C)");
    }
    const auto maybe = [](const at::Tensor* tensor) {
      return tensor != nullptr ? std::optional<at::Tensor>(*tensor) : std::nullopt;
    };
    const auto of_rows = maybe(pairs), begins = maybe(first);
    const sgas::EdgeNorm given{*norm[0], *norm[1], *norm[2], *norm[3], training != 0, momentum, epsilon};
    sgas::give(out, sgas::EdgeMaximum::apply(*own, *other, *norm[0], *norm[1], *rows, of_rows, begins, given));
  });
}

}  // extern "C"
