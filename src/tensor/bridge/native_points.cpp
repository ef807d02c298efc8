// Operations along neighbour graphs by the kernels of native/points.cu.
#include "composed.h"
#include "native.h"

#include <array>
#include <string>

namespace sgas {
namespace {

// Threads of a block of kernels that give each number, or each unit, a thread.
constexpr int threads_of_numbers = 256;

native::Grid a_thread_each(int64_t numbers) {
  return {(numbers + threads_of_numbers - 1) / threads_of_numbers, threads_of_numbers};
}

// Kernels count numbers of a result in 32 bits.
uint32_t counted(int64_t numbers) {
  TORCH_CHECK(numbers < int64_t{1} << 31, "kernels take fewer than 2^31 numbers, not ", numbers);
  return static_cast<uint32_t>(numbers);
}

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
  const uint32_t width = counted(bytes / unit), units = counted(rows.numel() * (bytes / unit));
  const void* const from = table.const_data_ptr();
  const void* const numbers = rows.const_data_ptr();
  void* const to = out.mutable_data_ptr();
  const auto kernel = "sgas_gather_" + std::to_string(unit);
  native::launch(kernel.c_str(), x, a_thread_each(units), {&from, &numbers, &to, &units, &width});
  return out;
}

// As the kernel has them.
constexpr int rows_of_block = 128;
constexpr int transposing = 256;

// Of numbers of rows, (R, k) for R rows of clouds of equal size, and of the same cloud each: the places that name a row,
// (R * k), row after row, and where those of each row begin, (R + 1).
std::array<at::Tensor, 2> transposed(const at::Tensor& rows, int64_t clouds) {
  TORCH_CHECK(rows.dim() == 2 && rows.scalar_type() == at::kLong && rows.is_contiguous() && rows.is_cuda(),
              "numbers of rows are int64 (R, k), side by side, on a GPU");
  TORCH_CHECK(clouds > 0 && rows.size(0) % clouds == 0, rows.size(0), " rows are not those of ", clouds, " clouds");
  counted(rows.numel());
  std::array<at::Tensor, 2> lists{at::empty({rows.numel()}, rows.options()), at::empty({rows.size(0) + 1}, rows.options())};
  if (rows.numel() == 0) {
    lists[1].zero_();
    return lists;
  }
  const int64_t points = rows.size(0) / clouds, ranges = (points + rows_of_block - 1) / rows_of_block;
  const int sizes[4] = {static_cast<int>(clouds), static_cast<int>(points), static_cast<int>(rows.size(1)),
                        static_cast<int>(ranges)};
  const void* const from = rows.const_data_ptr();
  void* const pairs = lists[0].mutable_data_ptr();
  void* const first = lists[1].mutable_data_ptr();
  native::launch("sgas_transpose", rows, {clouds * ranges, transposing},
                 {&from, &pairs, &first, &sizes[0], &sizes[1], &sizes[2], &sizes[3]});
  return lists;
}

const char* sum_kernel(at::ScalarType type) {
  switch (type) {
    case at::kHalf: return "sgas_sum_pairs_fp16";
    case at::kBFloat16: return "sgas_sum_pairs_bf16";
    default: break;
  }
  TORCH_CHECK(type == at::kFloat, "kernels take fp32, fp16 and bf16, not ", type);
  return "sgas_sum_pairs_fp32";
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
  const uint32_t numbers = counted(out.numel()), width = counted(channels);
  const void* const from = values.const_data_ptr();
  const void* const places = pairs.const_data_ptr();
  const void* const begins = first.const_data_ptr();
  void* const to = out.mutable_data_ptr();
  native::launch(sum_kernel(values.scalar_type()), values, a_thread_each(numbers),
                 {&from, &places, &begins, &to, &numbers, &width});
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

// As the kernel has it.
constexpr int64_t most_ranks = 64;
// Of shared memory, all that every GPU has without asking for more.
constexpr int64_t most_shared = 48 << 10;
constexpr int64_t most_candidates = 1024;

struct Ranks {
  int count;
  int at[most_ranks];
};

// How many candidates are sorted for the highest of the wanted ranks: some more than are wanted, so that a bound that
// leaves so many is soon found.
int64_t candidates(int64_t wanted) {
  int64_t capacity = 64;
  while (capacity < wanted + wanted / 4) {
    capacity *= 2;
  }
  return capacity;
}

int64_t shared_bytes(int64_t points, int64_t wanted) {
  return candidates(wanted) * static_cast<int64_t>(sizeof(uint64_t)) + points * static_cast<int64_t>(sizeof(uint32_t));
}

// More threads wait for each other longer than they work.
int threads_of_point(int64_t points) {
  int threads = 32;
  while (threads < 128 && threads * 8 < points) {
    threads *= 2;
  }
  return threads;
}

void nearest(at::Tensor& out, const at::Tensor& product, const at::Tensor& squares, int64_t start,
             const int64_t* ranks, int64_t count) {
  const auto length = product.size(1), points = product.size(2);
  TORCH_CHECK(product.is_contiguous() && squares.is_contiguous() && out.is_contiguous(), "results lie side by side");
  Ranks wanted_ranks{};
  wanted_ranks.count = static_cast<int>(count);
  int64_t wanted = 0;
  for (int64_t rank = 0; rank < count; ++rank) {
    wanted_ranks.at[rank] = static_cast<int>(ranks[rank]);
    wanted = std::max(wanted, ranks[rank] + 1);
  }
  TORCH_CHECK(wanted <= points, "a cloud of ", points, " points has no rank ", wanted - 1);
  const int sizes[5] = {static_cast<int>(length), static_cast<int>(start), static_cast<int>(points),
                        static_cast<int>(wanted), static_cast<int>(candidates(wanted))};
  const void* const of_pairs = product.const_data_ptr();
  const void* const of_points = squares.const_data_ptr();
  void* const to = out.mutable_data_ptr();
  const native::Grid grid{product.size(0) * length, threads_of_point(points), shared_bytes(points, wanted)};
  native::launch("sgas_nearest", product, grid,
                 {&of_pairs, &of_points, &to, &sizes[0], &sizes[1], &sizes[2], &sizes[3], &sizes[4], &wanted_ranks});
}

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

char* sgas_native_sum_pairs(
    at::Tensor** out, const at::Tensor* of_pairs, const at::Tensor* pairs, const at::Tensor* first, int64_t rows) {
  return sgas::guarded([&] {
    const at::NoGradGuard no_grad;
    sgas::give(out, sgas::summed(*of_pairs, *pairs, *first, rows));
  });
}

// 1 where the kernel has room for clouds of so many points and for such ranks.
int sgas_native_selects(int64_t points, int64_t wanted, int64_t ranks) {
  return ranks <= sgas::most_ranks && sgas::candidates(wanted) <= sgas::most_candidates &&
                 sgas::shared_bytes(points, wanted) <= sgas::most_shared
             ? 1
             : 0;
}

// Writes the rows at `ranks` of the points from `start` on into `out`, (clouds * points, ranks).
char* sgas_native_nearest(at::Tensor* out, const at::Tensor* product, const at::Tensor* squares, int64_t start,
                          const int64_t* ranks, int64_t count) {
  return sgas::guarded([&] {
    const at::NoGradGuard no_grad;
    sgas::nearest(*out, *product, *squares, start, ranks, count);
  });
}

}  // extern "C"
