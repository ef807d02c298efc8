// The tail of edge_conv by the kernels of native/edges.cu, over the neighbours of points or the links of a graph.
#include "composed.h"
#include "links.h"
#include "native.h"

namespace sgas {
namespace {

// Tensors (C) of a norm with scale and offset, fp32.
struct EdgeNorm {
  at::Tensor scale, offset, running_mean, running_var;
  bool training;
  double momentum, epsilon;
};

// The neighbours of points, int64 (R, k), and the pairs that name a row where a gradient is wanted.
struct NeighbourPairs {
  static constexpr auto prefix = "sgas_edge_";
  static constexpr size_t tensors = 3;
  static constexpr auto mark = at::kByte;
  at::Tensor rows, pairs, first;

  explicit NeighbourPairs(at::ArrayRef<at::Tensor> from) : rows(from[0]), pairs(from[1]), first(from[2]) {}

  uint32_t k() const { return static_cast<uint32_t>(rows.size(1)); }
  variable_list all() const { return {rows, pairs, first}; }
  int64_t count() const { return rows.numel(); }
  auto forward() const { return std::tuple_cat(native::told(rows), native::told(k())); }
  std::tuple<> ends() const { return {}; }
  auto back() const { return std::tuple_cat(native::told(pairs), native::told(first), native::told(k())); }
};

// The links of a graph.
struct LinkPairs {
  static constexpr auto prefix = "sgas_link_edge_";
  static constexpr size_t tensors = link_tensors;
  static constexpr auto mark = at::kInt;
  LinkTensors links;

  explicit LinkPairs(const LinkTensors& of) : links(of) {}
  explicit LinkPairs(at::ArrayRef<at::Tensor> from) : links(links_from(from.vec(), 0)) {}

  variable_list all() const { return links.all(); }
  int64_t count() const { return links.sources.numel(); }
  auto forward() const { return std::tuple_cat(native::told(links.incoming), native::told(links.sources)); }
  auto ends() const { return native::told(links.incoming); }
  auto back() const {
    return std::tuple_cat(native::told(links.outgoing), native::told(links.targets), native::told(links.positions));
  }
};

template <class Pairs>
std::string kernel(const char* name, const at::Tensor& like) {
  return native::typed((std::string(Pairs::prefix) + name).c_str(), like);
}

struct Sizes {
  int points, channels, blocks;
  uint32_t numbers, width;
  double pairs;

  Sizes(const at::Tensor& own, int64_t pair_count)
      : points(static_cast<int>(native::counted(own.size(0)))),
        channels(static_cast<int>(native::counted(own.size(1)))),
        blocks(static_cast<int>((own.size(0) + native::POINTS_OF_BLOCK - 1) / native::POINTS_OF_BLOCK)),
        numbers(native::counted(own.numel())),
        width(static_cast<uint32_t>(channels)),
        pairs(static_cast<double>(native::counted(pair_count))) {}
};

// max_j norm(ReLU(own_i + other_j)), (R, C).
template <class Pairs>
struct EdgeMaximum : torch::autograd::Function<EdgeMaximum<Pairs>> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& own, const at::Tensor& other, const at::Tensor& scale,
                            const at::Tensor& offset, const Pairs& pairs, const EdgeNorm& norm) {
    const auto of_points = own.contiguous(), of_neighbours = other.contiguous();
    const Sizes sizes(of_points, pairs.count());
    const auto fp32 = own.options().dtype(at::kFloat);
    const auto selected = at::empty(own.sizes(), fp32);
    const auto which = at::empty(own.sizes(), own.options().dtype(Pairs::mark));
    const auto sums = at::empty({sizes.blocks, 2, sizes.channels}, fp32), shift = at::empty({sizes.channels}, fp32);
    const auto statistics = at::empty({2, sizes.channels}, fp32);
    const auto out = at::empty_like(of_points);
    const int training = norm.training ? 1 : 0;

    native::launch(kernel<Pairs>("select", own), own, {sizes.blocks, native::SUMMING}, of_points, of_neighbours, pairs.forward(),
                   scale, selected, which, sums, shift, sizes.points, sizes.channels);
    native::launch("sgas_edge_statistics", own, {1, native::FINISHING}, sums, shift, norm.running_mean, norm.running_var,
                   statistics, sizes.blocks, sizes.channels, sizes.pairs, training, norm.momentum, norm.epsilon);
    native::launch(kernel<Pairs>("normalise", own), own, native::a_thread_each(sizes.numbers), selected, statistics, scale,
                   offset, pairs.ends(), out, sizes.numbers, sizes.width);
    auto saved = pairs.all();
    saved.insert(saved.end(), {of_points, of_neighbours, scale, selected, which, statistics});
    ctx->save_for_backward(saved);
    ctx->saved_data["training"] = norm.training;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const Pairs pairs(at::ArrayRef<at::Tensor>(saved).slice(0, Pairs::tensors));
    const auto rest = at::ArrayRef<at::Tensor>(saved).slice(Pairs::tensors);
    const auto &own = rest[0], &other = rest[1], &scale = rest[2], &selected = rest[3], &which = rest[4];
    const auto& statistics = rest[5];
    const Sizes sizes(own, pairs.count());
    const auto grad = grads[0].contiguous();
    const auto fp32 = own.options().dtype(at::kFloat);
    const auto sums = at::empty({sizes.blocks, 2, sizes.channels}, fp32), terms = at::empty({3, sizes.channels}, fp32);
    const auto grad_scale = at::empty({sizes.channels}, fp32), grad_offset = at::empty({sizes.channels}, fp32);
    const int training = ctx->saved_data["training"].toBool() ? 1 : 0;

    native::launch(kernel<Pairs>("gradient_sums", own), own, {sizes.blocks, native::SUMMING}, grad, selected, pairs.ends(), sums,
                   sizes.points, sizes.channels);
    native::launch("sgas_edge_terms", own, {1, native::FINISHING}, sums, statistics, scale, grad_scale, grad_offset, terms,
                   sizes.blocks, sizes.channels, sizes.pairs, training);
    variable_list found{{}, {}, grad_scale, grad_offset, {}, {}};
    if (ctx->needs_input_grad(0)) {
      found[0] = at::empty_like(own);
      native::launch(kernel<Pairs>("own_back", own), own, native::a_thread_each(sizes.numbers), grad, own, other,
                     pairs.forward(), which, terms, found[0], sizes.numbers, sizes.width);
    }
    if (ctx->needs_input_grad(1)) {
      found[1] = at::empty_like(own);
      native::launch(kernel<Pairs>("other_back", own), own, native::a_thread_each(sizes.numbers), grad, own, other, which,
                     terms, pairs.back(), found[1], sizes.numbers, sizes.width);
    }
    return found;
  }
};

// `norm` points to scale, offset, running mean and running variance, fp32 (C) each.
template <class Pairs>
at::Tensor edge_maximum(const at::Tensor& own, const at::Tensor& other, const Pairs& pairs, const at::Tensor* const* norm,
                        int training, double momentum, double epsilon) {
  TORCH_CHECK(own.dim() == 2 && own.is_cuda() && own.numel() > 0, "shares of points are rows (R, C) on a GPU");
  TORCH_CHECK(own.sizes() == other.sizes() && own.scalar_type() == other.scalar_type(), "shares are alike");
  for (int part = 0; part < 4; ++part) {
    TORCH_CHECK(norm[part] != nullptr && norm[part]->scalar_type() == at::kFloat && norm[part]->is_contiguous() &&
                    norm[part]->numel() == own.size(1),
                "a norm's tensors are fp32 (C)");
  }
  const EdgeNorm given{*norm[0], *norm[1], *norm[2], *norm[3], training != 0, momentum, epsilon};
  return EdgeMaximum<Pairs>::apply(own, other, given.scale, given.offset, pairs, given);
}

}  // namespace
}  // namespace sgas

extern "C" {

// `pairs` and `first` are null where no gradient is wanted.
char* sgas_native_edge_maximum(at::Tensor** out, const at::Tensor* own, const at::Tensor* other, const at::Tensor* rows,
                               const at::Tensor* pairs, const at::Tensor* first, const at::Tensor* const* norm,
                               int training, double momentum, double epsilon) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    TORCH_CHECK(rows->dim() == 2 && rows->size(0) == own->size(0) && rows->scalar_type() == at::kLong &&
                    rows->is_contiguous() && rows->size(1) > 0 && rows->size(1) <= 255,
                "neighbours are int64 (R, k), side by side, 255 at most");
    const auto of = [](const at::Tensor* tensor) { return tensor != nullptr ? *tensor : at::Tensor(); };
    const sgas::NeighbourPairs given({*rows, of(pairs), of(first)});
    sgas::give(out, sgas::edge_maximum(*own, *other, given, norm, training, momentum, epsilon));
  });
}

// `links` points to the tensors of `LinkTensors`; there is a link at least.
char* sgas_native_link_edge_maximum(at::Tensor** out, const at::Tensor* own, const at::Tensor* other,
                                    const at::Tensor* const* links, const at::Tensor* const* norm, int training,
                                    double momentum, double epsilon) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    const sgas::LinkPairs given(sgas::native_links(*own, links));
    TORCH_CHECK(given.count() > 0, "a graph without links has no edges");
    sgas::give(out, sgas::edge_maximum(*own, *other, given, norm, training, momentum, epsilon));
  });
}

}  // extern "C"
