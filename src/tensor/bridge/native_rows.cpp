// Rows brought to length 1, and tensors that many read, by the kernels of native/rows.cu.
#include "composed.h"
#include "native.h"

namespace sgas {
namespace {

// act(x) / max(|act(x)|, smallest) of every row, act being a ReLU where the slope is 0; lengths are fp32.
struct NativeUnitLength : torch::autograd::Function<NativeUnitLength> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double slope, double smallest) {
    const auto rows = x.contiguous();
    const auto out = at::empty_like(rows), lengths = at::empty({rows.size(0)}, rows.options().dtype(at::kFloat));
    const auto [count, channels] = sizes(rows);
    native::launch(native::typed("sgas_unit_length", rows), rows, native::a_warp_each(count), rows, out, lengths, count,
                   channels, static_cast<float>(slope), static_cast<float>(smallest));
    ctx->save_for_backward({rows, lengths});
    ctx->saved_data["slope"] = slope;
    ctx->saved_data["smallest"] = smallest;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &rows = saved[0], &lengths = saved[1];
    const auto grad = grads[0].contiguous(), out = at::empty_like(rows);
    const auto [count, channels] = sizes(rows);
    native::launch(native::typed("sgas_unit_length_back", rows), rows, native::a_warp_each(count), grad, rows, lengths, out,
                   count, channels, static_cast<float>(ctx->saved_data["slope"].toDouble()),
                   static_cast<float>(ctx->saved_data["smallest"].toDouble()));
    return {out, {}, {}};
  }

  static std::tuple<uint32_t, uint32_t> sizes(const at::Tensor& rows) {
    native::counted(rows.numel());
    return {native::counted(rows.size(0)), native::counted(rows.size(1))};
  }
};

// Rows (R, C) for many readers, whose gradients are added up at once: one by one they would be read and written again and
// again.
struct Readers : torch::autograd::Function<Readers> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, int64_t count) {
    ctx->set_materialize_grads(false);
    variable_list readers;
    for (int64_t reader = 0; reader < count; ++reader) {
      readers.push_back(x.alias());
    }
    return readers;
  }

  static variable_list backward(AutogradContext*, const variable_list& grads) {
    check_first_order();
    variable_list given;
    for (const auto& grad : grads) {
      if (grad.defined()) {
        // A share of wider rows is read where it lies.
        given.push_back(grad.stride(1) == 1 && grad.stride(0) >= grad.size(1) ? grad : grad.contiguous());
      }
    }
    return {given.size() < 2 ? (given.empty() ? at::Tensor() : given[0]) : sum(given), {}};
  }

  static at::Tensor sum(const variable_list& given) {
    native::Addends addends{{}, {}, static_cast<uint32_t>(given.size())};
    for (size_t addend = 0; addend < given.size(); ++addend) {
      addends.at[addend] = given[addend].const_data_ptr();
      addends.stride[addend] = native::counted(given[addend].stride(0));
    }
    const auto out = at::empty(given[0].sizes(), given[0].options());
    const auto numbers = native::counted(out.numel()), channels = native::counted(out.size(1));
    native::launch(native::typed("sgas_add_up", out), out, native::a_thread_each(numbers), addends, out, numbers, channels);
    return out;
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// Of rows (R, C); `slope` is 0 for a ReLU before, 1 for nothing.
char* sgas_native_unit_length(at::Tensor** out, const at::Tensor* x, double slope, double smallest) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    TORCH_CHECK(x->dim() == 2 && x->is_cuda(), "rows are (R, C) on a GPU");
    sgas::give(out, x->numel() == 0 ? x->clone() : sgas::NativeUnitLength::apply(*x, slope, smallest));
  });
}

// `count` names of x.
char* sgas_native_readers(at::Tensor** out, const at::Tensor* x, int64_t count) {
  return sgas::guarded([&] {
    TORCH_CHECK(x->dim() == 2 && x->is_cuda() && count > 0 && count <= static_cast<int64_t>(sgas::native::MOST_ADDENDS), "1 to ",
                sgas::native::MOST_ADDENDS, " readers of rows (R, C) on a GPU");
    const auto readers = sgas::Readers::apply(*x, count);
    for (int64_t reader = 0; reader < count; ++reader) {
      sgas::give(out + reader, readers[static_cast<size_t>(reader)]);
    }
  });
}

}  // extern "C"
