// Rows that a list names, by the kernels of native/lists.cu.
#include "composed.h"
#include "native.h"

#include <array>
#include <string>

namespace sgas {
namespace {

void check_rows(const at::Tensor& x, const at::Tensor& rows) {
  TORCH_CHECK(x.dim() == 2 && x.is_cuda(), "features are rows (R, C) on a GPU");
  TORCH_CHECK(rows.scalar_type() == at::kLong && rows.is_contiguous() && rows.device() == x.device(),
              "numbers of rows are int64, side by side, on the device of the rows");
}

// x at `rows`, (..., C).
at::Tensor gathered(const at::Tensor& x, const at::Tensor& rows) {
  check_rows(x, rows);
  const auto table = x.contiguous();
  auto shape = rows.sizes().vec();
  shape.push_back(x.size(1));
  auto out = at::empty(shape, x.options());
  const auto bytes = x.size(1) * static_cast<int64_t>(x.element_size());
  if (out.numel() == 0) {
    return out;
  }
  // As wide as rows allow; libtorch's memory is aligned to more than that, but a view may begin anywhere.
  int64_t unit = 16;
  while (bytes % unit != 0 || reinterpret_cast<uintptr_t>(table.const_data_ptr()) % unit != 0) {
    unit /= 2;
  }
  TORCH_CHECK(unit >= 2, "features have two bytes or more each");
  const uint32_t width = native::counted(bytes / unit), units = native::counted(rows.numel() * (bytes / unit));
  native::launch("sgas_gather_" + std::to_string(unit), x, native::a_thread_each(units), table, rows, out, units, width);
  return out;
}

// Of numbers of rows, (R, k) for R rows of clouds of equal size, and of the same cloud each: the places that name a row,
// (R * k), row after row, and where those of each row begin, (R + 1).
std::array<at::Tensor, 2> transposed(const at::Tensor& rows, int64_t clouds) {
  TORCH_CHECK(rows.dim() == 2 && rows.scalar_type() == at::kLong && rows.is_contiguous() && rows.is_cuda(),
              "numbers of rows are int64 (R, k), side by side, on a GPU");
  TORCH_CHECK(clouds > 0 && rows.size(0) % clouds == 0, rows.size(0), " rows are not those of ", clouds, " clouds");
  native::counted(rows.numel());
  std::array<at::Tensor, 2> lists{at::empty({rows.numel()}, rows.options()), at::empty({rows.size(0) + 1}, rows.options())};
  if (rows.numel() == 0) {
    lists[1].zero_();
    return lists;
  }
  const int64_t points = rows.size(0) / clouds, ranges = (points + native::ROWS_OF_BLOCK - 1) / native::ROWS_OF_BLOCK;
  native::launch("sgas_transpose", rows, {clouds * ranges, native::TRANSPOSING}, rows, lists[0], lists[1],
                 static_cast<int>(clouds), static_cast<int>(points), static_cast<int>(rows.size(1)),
                 static_cast<int>(ranges));
  return lists;
}

// The sums of rows of `of_pairs`, (..., C), over the pairs that lead to each of `count` rows, (count, C): `pairs` from
// `first` on, int64 both.
at::Tensor summed(const at::Tensor& of_pairs, const at::Tensor& pairs, const at::Tensor& first, int64_t count) {
  const auto values = of_pairs.contiguous();
  const auto channels = values.size(-1);
  auto out = at::empty({count, channels}, values.options());
  if (out.numel() == 0) {
    return out;
  }
  const uint32_t numbers = native::counted(out.numel()), width = native::counted(channels);
  native::launch(native::typed("sgas_sum_pairs", values), values, native::a_thread_each(numbers), values, pairs, first, out,
                 numbers, width);
  return out;
}

// Rows of a table; their gradient is summed in fp32 and in the order of the pairs.
struct NativeGather : torch::autograd::Function<NativeGather> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& rows, const at::Tensor& pairs,
                            const at::Tensor& first) {
    ctx->save_for_backward({pairs, first});
    ctx->saved_data["rows"] = x.size(0);
    return gathered(x, rows);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    return {summed(grads[0], saved[0], saved[1], ctx->saved_data["rows"].toInt()), {}, {}, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `pairs` and `first` are null where no gradient is wanted.
char* sgas_native_gather(
    at::Tensor** out, const at::Tensor* x, const at::Tensor* rows, const at::Tensor* pairs, const at::Tensor* first) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    if (pairs == nullptr) {
      const at::NoGradGuard no_grad;
      sgas::give(out, sgas::gathered(*x, *rows));
      return;
    }
    sgas::give(out, sgas::NativeGather::apply(*x, *rows, *pairs, *first));
  });
}

char* sgas_native_transposed(at::Tensor** out, const at::Tensor* rows, int64_t clouds) {
  return sgas::guarded([&] {
    const at::NoGradGuard no_grad;
    auto lists = sgas::transposed(*rows, clouds);
    sgas::give(&out[0], std::move(lists[0]));
    sgas::give(&out[1], std::move(lists[1]));
  });
}

}  // extern "C"
