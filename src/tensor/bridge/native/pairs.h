// The pairs that kernels go over: of a point and one of its neighbours, or of the two ends of a link. A list says which
// rows a row reads, and a list the other way round which pairs read a row; a pair has a place in its list, and a mark by
// which its row knows it again.

// A point's `k` neighbours, in `rows`. Marks count within the point.
struct Neighbours {
  using Mark = u8;
  const i64* rows;
  u32 k;

  __device__ u32 begin(u32 point) const { return point * k; }
  __device__ u32 end(u32 point) const { return point * k + k; }
  __device__ bool is_empty(u32) const { return false; }
  __device__ i64 row(u32 place) const { return rows[place]; }
  __device__ Mark mark(u32 point, u32 place) const { return static_cast<Mark>(place - point * k); }
};

// The pairs (point, neighbour) that name a row: `pairs` from `first` on.
struct NeighboursBack {
  const i64* pairs;
  const i64* first;
  u32 k;

  __device__ i64 begin(u32 row) const { return first[row]; }
  __device__ i64 end(u32 row) const { return first[row + 1]; }
  __device__ u32 pair(i64 place) const { return static_cast<u32>(pairs[place]); }
  __device__ u32 point(u32 pair) const { return pair / k; }
  __device__ u32 mark(u32 pair) const { return pair - pair / k * k; }
};

// The links into a node: their sources, from `incoming` on. Marks are places.
struct Links {
  using Mark = u32;
  const int* incoming;
  const int* sources;

  __device__ u32 begin(u32 node) const { return static_cast<u32>(incoming[node]); }
  __device__ u32 end(u32 node) const { return static_cast<u32>(incoming[node + 1]); }
  __device__ bool is_empty(u32 node) const { return incoming[node] == incoming[node + 1]; }
  __device__ i64 row(u32 place) const { return sources[place]; }
  __device__ Mark mark(u32, u32 place) const { return place; }
};

// The links out of a node: their targets, from `outgoing` on, and their places among the sources.
struct LinksBack {
  const int* outgoing;
  const int* targets;
  const int* positions;

  __device__ i64 begin(u32 node) const { return outgoing[node]; }
  __device__ i64 end(u32 node) const { return outgoing[node + 1]; }
  __device__ u32 pair(i64 place) const { return static_cast<u32>(place); }
  __device__ u32 point(u32 pair) const { return static_cast<u32>(targets[pair]); }
  __device__ u32 mark(u32 pair) const { return static_cast<u32>(positions[pair]); }
};
