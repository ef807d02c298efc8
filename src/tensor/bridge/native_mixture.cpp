// The sum that a node of a supernet is, by the kernels of native/mixture.cu: of the parts on all its edges, some behind a
// (leaky) ReLU and a batch norm, each times a weight. Two passes over the parts each way; no norm's output is stored.
#include "composed.h"
#include "native.h"

namespace sgas {
namespace {

struct Sizes : native::MixedSizes {
  Sizes(const at::Tensor& part, size_t count) {
    parts = static_cast<uint32_t>(count);
    channels = native::counted(part.size(1));
    inner = part.dim() == 4 && part.is_contiguous() ? native::counted(part.size(2) * part.size(3)) : 1;
    outer = native::counted(part.numel()) / (channels * inner);
    chunks = static_cast<uint32_t>((int64_t{outer} * inner + native::NUMBERS_OF_CHUNK - 1) / native::NUMBERS_OF_CHUNK);
    native::counted(static_cast<int64_t>(count) * 3 * channels);
  }

  // A block for every chunk of every group of channels of every part.
  native::Grid chunked() const {
    const int64_t width = inner == 1 ? std::min<int64_t>(channels, native::MIXING) : 1;
    return {(channels + width - 1) / width * chunks * parts, native::MIXING};
  }
};

// Rows, or images in one of libtorch's two layouts, whose numbers lie side by side.
at::MemoryFormat format_of(const at::Tensor& part) {
  const bool is_last = part.dim() == 4 && !part.is_contiguous() && part.is_contiguous(at::MemoryFormat::ChannelsLast);
  return is_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

// Of every part the place of its weight, the slope of what stands before its norm, and whether it has a norm.
struct Kinds {
  std::vector<int64_t> places, normed;
  std::vector<double> slopes;
};

native::MixedParts given_parts(at::TensorList parts, const Kinds& kinds) {
  native::MixedParts given{};
  for (size_t part = 0; part < parts.size(); ++part) {
    given.at[part] = parts[part].const_data_ptr();
    given.place[part] = static_cast<int>(kinds.places[part]);
    given.slope[part] = static_cast<float>(kinds.slopes[part]);
  }
  return given;
}

// The running mean and variance of every part with a norm in turn; the parts whose norms have scale and shift; and how norms
// work.
struct Settings {
  Kinds kinds;
  variable_list statistics;
  std::vector<int64_t> affine;
  int training;
  double momentum, epsilon;

  native::MixedNorms norms() const {
    native::MixedNorms given{};
    auto next = statistics.begin();
    for (size_t part = 0; part < kinds.normed.size(); ++part) {
      if (kinds.normed[part] != 0) {
        given.mean[part] = (next++)->mutable_data_ptr<float>();
        given.variance[part] = (next++)->mutable_data_ptr<float>();
      }
    }
    return given;
  }
};

struct MixedSum : torch::autograd::Function<MixedSum> {
  // `affine` holds scale and shift of every norm that has them, in turn.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& table, at::TensorList given, at::TensorList affine,
                            const Settings& settings) {
    const auto format = format_of(given[0]);
    variable_list parts;
    for (const auto& part : given) {
      parts.push_back(part.contiguous(format));
    }
    const auto& first = parts[0];
    const Sizes sizes(first, parts.size());
    const auto weights = table.contiguous();
    const auto fp32 = first.options().dtype(at::kFloat);
    const auto moments = at::empty({sizes.parts, sizes.chunks, 2, sizes.channels}, fp32);
    const auto found = at::empty({sizes.parts, 4, sizes.channels}, fp32);
    const auto out = at::empty_like(first);
    const auto of_parts = given_parts(parts, settings.kinds);
    const auto norms = settings.norms();
    native::MixedAffine of_norms{};
    for (size_t norm = 0; norm < settings.affine.size(); ++norm) {
      of_norms.scale[settings.affine[norm]] = affine[2 * norm].const_data_ptr<float>();
      of_norms.shift[settings.affine[norm]] = affine[2 * norm + 1].const_data_ptr<float>();
    }
    if (settings.training != 0) {
      native::launch(native::typed("sgas_mixed_moments", first), first, sizes.chunked(), of_parts, norms, sizes, moments);
    }
    native::launch(native::typed("sgas_mixed_statistics", first), first,
                   native::a_thread_each(int64_t{sizes.parts} * sizes.channels), of_parts, norms, of_norms, sizes, moments,
                   found, settings.training, settings.momentum, settings.epsilon);
    const uint32_t numbers = native::counted(first.numel());
    native::launch(native::typed("sgas_mixed_sum", first), first, native::a_thread_each(numbers), of_parts, sizes, weights,
                   found, out, numbers);
    parts.insert(parts.end(), {weights, found});
    ctx->save_for_backward(parts);
    ctx->saved_data["places"] = settings.kinds.places;
    ctx->saved_data["normed"] = settings.kinds.normed;
    ctx->saved_data["slopes"] = settings.kinds.slopes;
    ctx->saved_data["affine"] = settings.affine;
    ctx->saved_data["training"] = settings.training != 0;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const Kinds kinds{ctx->saved_data["places"].toIntVector(), ctx->saved_data["normed"].toIntVector(),
                      ctx->saved_data["slopes"].toDoubleVector()};
    const auto affine = ctx->saved_data["affine"].toIntVector();
    const auto count = kinds.places.size();
    const auto parts = at::TensorList(saved).slice(0, count);
    const auto &first = saved[0], &weights = saved[count], &found = saved[count + 1];
    const auto grad = grads[0].contiguous(format_of(first));
    const Sizes sizes(first, count);
    const auto sums = at::empty({sizes.parts, sizes.chunks, 2, sizes.channels}, found.options());
    const auto terms = at::empty({sizes.parts, 3, sizes.channels}, found.options());
    const auto of_parts = given_parts(parts, kinds);
    // Which parts have norms: the kernel only asks whether there is one.
    native::MixedNorms norms{};
    for (size_t part = 0; part < count; ++part) {
      norms.mean[part] = kinds.normed[part] != 0 ? found.mutable_data_ptr<float>() : nullptr;
    }
    variable_list out(1 + count + 2 * affine.size() + 1);
    if (ctx->needs_input_grad(0)) {
      out[0] = at::zeros_like(weights);
    }
    native::MixedGradients gradients{};
    for (size_t part = 0; part < count; ++part) {
      if (ctx->needs_input_grad(part + 1)) {
        out[part + 1] = at::empty_like(first);
        gradients.to[part] = out[part + 1].mutable_data_ptr();
      }
    }
    native::MixedAffineGradients of_affine{};
    const auto affine_gradients = at::empty({static_cast<int64_t>(2 * affine.size()), sizes.channels}, found.options());
    for (size_t place = 0; place < 2 * affine.size(); ++place) {
      if (ctx->needs_input_grad(1 + count + place)) {
        auto& gradient = out[1 + count + place];
        gradient = affine_gradients[static_cast<int64_t>(place)];
        (place % 2 == 0 ? of_affine.scale : of_affine.shift)[affine[place / 2]] = gradient.mutable_data_ptr<float>();
      }
    }
    native::launch(native::typed("sgas_mixed_gradient_sums", first), first, sizes.chunked(), grad, of_parts, sizes, found,
                   sums);
    native::launch("sgas_mixed_terms", first, {static_cast<int64_t>(count), native::MIXING}, of_parts, norms, of_affine, sizes,
                   sums, found, weights, terms, out[0], ctx->saved_data["training"].toBool() ? 1 : 0);
    const uint32_t numbers = native::counted(first.numel());
    native::launch(native::typed("sgas_mixed_back", first), first, native::a_thread_each(numbers), grad, of_parts, gradients,
                   sizes, terms, numbers);
    return out;
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `parts` points to `count` tensors (R, C) or (B, C, H, W), `places` to as many places of weights in the flat `table`, -1
// for none, `slopes` to what numbers of each below zero are multiplied by; `norms` to scale, shift, running mean and running
// variance of every part, null where there is none of them.
char* sgas_native_mixed_sum(at::Tensor** out, const at::Tensor* table, const at::Tensor* const* parts,
                            const at::Tensor* const* norms, const int64_t* places, const double* slopes, int64_t count,
                            int training, double momentum, double epsilon) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    TORCH_CHECK(count > 0 && count <= static_cast<int64_t>(sgas::native::MOST_PARTS), "a sum has 1 to ", sgas::native::MOST_PARTS, " parts");
    TORCH_CHECK(table->scalar_type() == at::kFloat && table->is_cuda(), "weights are fp32 on a GPU");
    sgas::variable_list given, affine;
    sgas::Settings settings{{{places, places + count}, {}, {slopes, slopes + count}}, {}, {}, training, momentum, epsilon};
    for (int64_t part = 0; part < count; ++part) {
      given.push_back(*parts[part]);
      TORCH_CHECK(given.back().sizes() == given[0].sizes() && given.back().scalar_type() == given[0].scalar_type() &&
                      given.back().device() == table->device() && (given[0].dim() == 2 || given[0].dim() == 4),
                  "parts are rows or images, all alike, on the device of the weights");
      TORCH_CHECK(places[part] >= -1 && places[part] < table->numel(), "a place in the table of weights");
      const auto* const* norm = norms + 4 * part;
      TORCH_CHECK((norm[0] == nullptr) == (norm[1] == nullptr) && (norm[2] == nullptr) == (norm[3] == nullptr) &&
                      (norm[0] == nullptr || norm[2] != nullptr),
                  "a norm has both running statistics, and scale and shift or neither");
      for (int64_t which = 0; which < 4; ++which) {
        if (norm[which] != nullptr) {
          TORCH_CHECK(norm[which]->scalar_type() == at::kFloat && norm[which]->is_contiguous() &&
                          norm[which]->numel() == given[0].size(1),
                      "a norm's tensors are fp32 (C)");
          (which < 2 ? affine : settings.statistics).push_back(*norm[which]);
        }
      }
      settings.kinds.normed.push_back(norm[2] != nullptr ? 1 : 0);
      if (norm[0] != nullptr) {
        settings.affine.push_back(part);
      }
    }
    sgas::give(out, sgas::MixedSum::apply(*table, at::TensorList(given), at::TensorList(affine), settings));
  });
}

}  // extern "C"
