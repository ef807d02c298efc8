// Composed operations along the links of a graph: sums, sums of the two ends of every link, attention. Links are sorted
// by target, and once more by source for the way back, so that every sum is a reduction over a segment: in one order at
// every run, and without adding to the same place from several threads.
#include "composed.h"

#include <ATen/ops/segment_reduce.h>

namespace sgas {
namespace {

// In the order of `PlainLists` in links.rs; int64 all.
struct Lists {
  at::Tensor incoming;   // (N + 1) where the links into every node begin
  at::Tensor sources;    // (E) by target
  at::Tensor targets;    // (E) by target
  at::Tensor outgoing;   // (N + 1) where the links out of every node begin
  at::Tensor positions;  // (E) by source, the places among those by target
  at::Tensor receivers;  // (E) targets by source
  at::Tensor unreached;  // bool (N, 1), the nodes that no link leads into; undefined where there is none
};

Lists lists_of(const variable_list& saved, size_t first) {
  return {saved[first],     saved[first + 1], saved[first + 2], saved[first + 3],
          saved[first + 4], saved[first + 5], saved[first + 6]};
}

variable_list all(const Lists& lists, variable_list first = {}) {
  first.insert(first.end(), {lists.incoming, lists.sources, lists.targets, lists.outgoing, lists.positions,
                             lists.receivers, lists.unreached});
  return first;
}

// 0 or, of a maximum, -inf for a node without links. The lists are sound by construction, and to look at them would mean
// waiting for the device.
at::Tensor reduced(const at::Tensor& values, const at::Tensor& offsets, const char* how) {
  return at::segment_reduce(values, how, {}, {}, offsets, 0, /*unsafe=*/true);
}

at::Tensor sum(const at::Tensor& values, const at::Tensor& offsets) {
  return reduced(values, offsets, "sum");
}

// The gradient of x_source of every link, from that of the links: by source.
at::Tensor to_sources(const at::Tensor& of_links, const Lists& lists) {
  return sum(of_links.index_select(0, lists.positions), lists.outgoing);
}

// Σ_j x_j over the links into a node, (N, C) → (N, C); with `share`, (N, 1), which is 1 / the links into every node, their
// mean.
struct LinkSum : torch::autograd::Function<LinkSum> {
  static at::Tensor forward(
      AutogradContext* ctx, const at::Tensor& x, const std::optional<at::Tensor>& share, const Lists& lists) {
    ctx->save_for_backward(all(lists, {share.value_or(at::Tensor())}));
    return reduced(x.index_select(0, lists.sources), lists.incoming, share.has_value() ? "mean" : "sum");
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto lists = lists_of(saved, 1);
    const auto grad = saved[0].defined() ? grads[0] * saved[0] : grads[0];
    return {sum(grad.index_select(0, lists.receivers), lists.outgoing), {}, {}};
  }
};

// target_i + source_j of every link: (N, C) each → (E, C).
struct LinkPairs : torch::autograd::Function<LinkPairs> {
  static at::Tensor forward(
      AutogradContext* ctx, const at::Tensor& target, const at::Tensor& source, const Lists& lists) {
    ctx->save_for_backward(all(lists));
    return target.index_select(0, lists.targets) + source.index_select(0, lists.sources);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto lists = lists_of(ctx->get_saved_variables(), 0);
    // Sums of half numbers are made in fp32.
    const auto wide = widen(grads[0]);
    const auto narrow = [&](const at::Tensor& sums) { return as_type(sums, grads[0].scalar_type()); };
    return {narrow(sum(wide, lists.incoming)), narrow(to_sources(wide, lists)), {}};
  }
};

// 0 instead of what nodes without links have.
at::Tensor zeroed(const at::Tensor& of_nodes, const Lists& lists) {
  return lists.unreached.defined() ? of_nodes.masked_fill_(lists.unreached, 0) : of_nodes;
}

// The gradient of the values of the links, (E, C) and `type`, from that of the greatest into each node, (N, C). Equal ones
// share it. (libtorch's own gradient of this reduction was wrong on a CPU, seen in 2.11.)
at::Tensor to_greatest(const at::Tensor& grad, const at::Tensor& values, const at::Tensor& greatest, const Lists& lists) {
  auto are_greatest = at::empty(values.sizes(), grad.options());
  at::eq_out(are_greatest, values, greatest.index_select(0, lists.targets));
  auto equals = sum(are_greatest, lists.incoming);
  if (lists.unreached.defined()) {
    // So that nothing is divided by 0; no link reads it.
    equals.clamp_min_(1);
  }
  return are_greatest * (grad / equals).index_select(0, lists.targets);
}

// The greatest of the values of the links (E, C) into each node, (N, C); 0 for one without.
struct LinkMaximum : torch::autograd::Function<LinkMaximum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& values, const Lists& lists) {
    const auto greatest = zeroed(reduced(values, lists.incoming, "max"), lists);
    ctx->save_for_backward(all(lists, {values, greatest}));
    return greatest;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto of_links = to_greatest(widen(grads[0]), saved[0], saved[1], lists_of(saved, 2));
    return {as_type(of_links, saved[0].scalar_type()), {}};
  }
};

// The greatest of x_j over the links into a node, less x_i, (N, C) → (N, C); 0 for a node without.
struct RelativeMaximum : torch::autograd::Function<RelativeMaximum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const Lists& lists) {
    const auto values = x.index_select(0, lists.sources);
    const auto greatest = reduced(values, lists.incoming, "max");
    ctx->save_for_backward(all(lists, {values, greatest}));
    return zeroed(greatest - x, lists);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto lists = lists_of(saved, 2);
    const auto grad = lists.unreached.defined() ? grads[0].masked_fill(lists.unreached, 0) : grads[0];
    return {to_sources(to_greatest(grad, saved[0], saved[1], lists), lists) - grad, {}};
  }
};

// Σ_j w_ij·x_j with w_i = softmax_j(LeakyReLU(target_i + source_j)) over the links into a node: (N, C), (N) and (N) in
// fp32.
struct LinkAttention : torch::autograd::Function<LinkAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& target,
                            const at::Tensor& source, const Lists& lists, double slope) {
    const auto scores =
        (target.index_select(0, lists.targets) + source.index_select(0, lists.sources)).unsqueeze(1);
    const auto bent = at::leaky_relu(scores, slope);
    const auto greatest = reduced(bent, lists.incoming, "max").index_select(0, lists.targets);
    const auto powers = (bent - greatest).exp_();
    const auto weights = powers / sum(powers, lists.incoming).index_select(0, lists.targets);
    const auto messages = x.index_select(0, lists.sources);
    ctx->save_for_backward(all(lists, {scores, weights, messages}));
    ctx->saved_data["slope"] = slope;
    return sum(messages * weights, lists.incoming);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto &scores = saved[0], &weights = saved[1], &messages = saved[2];
    const auto lists = lists_of(saved, 3);
    const auto grad = grads[0].index_select(0, lists.targets);
    const auto grad_x = to_sources(grad * weights, lists);
    const auto of_weights = (grad * messages).sum(1, true);
    const auto weighed = of_weights * weights;
    const auto mean = sum(weighed, lists.incoming).index_select(0, lists.targets);
    const auto of_bent = at::addcmul(weighed, weights, mean, -1);
    const auto of_scores = at::leaky_relu_backward(of_bent, scores, ctx->saved_data["slope"].toDouble(), false);
    return {grad_x, sum(of_scores, lists.incoming).squeeze(1), to_sources(of_scores, lists).squeeze(1), {}, {}};
  }
};

Lists checked(const at::Tensor* const* lists) {
  const auto unreached = lists[6] != nullptr ? *lists[6] : at::Tensor();
  return {*lists[0], *lists[1], *lists[2], *lists[3], *lists[4], *lists[5], unreached};
}

}  // namespace
}  // namespace sgas

extern "C" {

// `lists` points to seven tensors, the last of which may be null.
// `share` may be null.
char* sgas_composed_link_sum(
    at::Tensor** out, const at::Tensor* x, const at::Tensor* share, const at::Tensor* const* lists) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    const auto given = share != nullptr ? std::optional<at::Tensor>(*share) : std::nullopt;
    sgas::give(out, sgas::LinkSum::apply(*x, given, sgas::checked(lists)));
  });
}

char* sgas_composed_link_pairs(
    at::Tensor** out, const at::Tensor* target, const at::Tensor* source, const at::Tensor* const* lists) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    sgas::give(out, sgas::LinkPairs::apply(*target, *source, sgas::checked(lists)));
  });
}

char* sgas_composed_link_maximum(at::Tensor** out, const at::Tensor* values, const at::Tensor* const* lists) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    sgas::give(out, sgas::LinkMaximum::apply(*values, sgas::checked(lists)));
  });
}

char* sgas_composed_link_relative_maximum(at::Tensor** out, const at::Tensor* x, const at::Tensor* const* lists) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    sgas::give(out, sgas::RelativeMaximum::apply(*x, sgas::checked(lists)));
  });
}

char* sgas_composed_link_attention(at::Tensor** out, const at::Tensor* x, const at::Tensor* target,
                                   const at::Tensor* source, const at::Tensor* const* lists, double slope) {
  return sgas::guarded([&] {
    const sgas::NoAutocast no_autocast;
    sgas::give(out, sgas::LinkAttention::apply(*x, *target, *source, sgas::checked(lists), slope));
  });
}

}  // extern "C"
