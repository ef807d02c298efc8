// The links of graphs as the kernels of links take them: sorted lists by target and by source. Features are rows
// (N, C), one per node. A kernel writes the row of a node in one thread and in the order of its list, forward and
// backward, so that the number of threads changes no bit.
#pragma once

#include "kernels.h"

#include <array>

namespace sgas {

// As Rust passes them: int32, and fp32 per node for the last two.
struct LinkTensors {
  at::Tensor incoming;   // (N + 1), where the list of each target begins
  at::Tensor sources;    // (E), by target
  at::Tensor outgoing;   // (N + 1), where the list of each source begins
  at::Tensor targets;    // (E), by source
  at::Tensor positions;  // (E), the place among `sources` of each of `targets`
  at::Tensor excess;     // (N), links from a node to itself, less one
  at::Tensor root;       // (N), 1 / sqrt(links from others + 1)

  variable_list all() const { return {incoming, sources, outgoing, targets, positions, excess, root}; }
};

constexpr size_t link_tensors = 7;

// Back from what `all` gave, at `first` among the saved tensors.
inline LinkTensors links_from(const variable_list& saved, size_t first) {
  return {saved[first],     saved[first + 1], saved[first + 2], saved[first + 3],
          saved[first + 4], saved[first + 5], saved[first + 6]};
}

// The same as pointers.
struct Lists {
  explicit Lists(const LinkTensors& tensors)
      : incoming(tensors.incoming.const_data_ptr<int32_t>()),
        sources(tensors.sources.const_data_ptr<int32_t>()),
        outgoing(tensors.outgoing.const_data_ptr<int32_t>()),
        targets(tensors.targets.const_data_ptr<int32_t>()),
        positions(tensors.positions.const_data_ptr<int32_t>()),
        nodes(tensors.incoming.size(0) - 1),
        links(tensors.sources.size(0)) {}

  // Operations per node, on average, that a pass over the links takes for so many channels.
  int64_t work(int64_t channels) const { return (links / std::max<int64_t>(1, nodes) + 1) * channels; }

  const int32_t* incoming;
  const int32_t* sources;
  const int32_t* outgoing;
  const int32_t* targets;
  const int32_t* positions;
  int64_t nodes;
  int64_t links;
};

// Features and the links between them; only the sizes are checked, because Rust makes lists of checked links alone.
inline LinkTensors checked_links(const at::Tensor& x, const at::Tensor* const* tensors) {
  const LinkTensors links{*tensors[0], *tensors[1], *tensors[2], *tensors[3], *tensors[4], *tensors[5], *tensors[6]};
  for (const at::Tensor& tensor : links.all()) {
    check_cpu({&tensor});
    TORCH_CHECK(tensor.dim() == 1 && tensor.is_contiguous(), "expected lists of links, found ", tensor.sizes());
  }
  check_cpu({&x});
  check_rows(x);
  TORCH_CHECK(x.size(0) == links.incoming.size(0) - 1, "expected features of ", links.incoming.size(0) - 1,
              " nodes, found ", x.size(0));
  return links;
}

// The same on a GPU.
LinkTensors native_links(const at::Tensor& x, const at::Tensor* const* tensors);

// Whole numbers that lie beside the lanes of a vector of T, compared with one of them.
template <class T, int Bytes>
SGAS_INLINE typename Vector<T, Bytes>::mask equals(const int32_t* from, int32_t value) {
  using V = Vector<T, Bytes>;
  using Whole = Vector<int32_t, V::lanes * 4>;
  return __builtin_convertvector(Whole::load(from), typename V::mask) == V::all(value);
}

}  // namespace sgas
