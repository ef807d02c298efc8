// What kernels are started with: sizes of blocks, and what is handed over in structs. The kernels' source begins with it, and
// the program's side of them (native_*.cpp) includes it.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// lists.cu: the rows whose pairs a block of `sgas_transpose` finds, and its threads.
constexpr int ROWS_OF_BLOCK = 128;
constexpr int TRANSPOSING = 256;

// edges.cu: threads of a block that sums over points, the points that it sums over, and threads of a block that finishes
// sums.
constexpr int SUMMING = 256;
constexpr int POINTS_OF_BLOCK = 32;
constexpr int FINISHING = 512;

// nearest.cu: the wanted ranks.
constexpr int MOST_RANKS = 64;

struct Ranks {
  int count;
  int at[MOST_RANKS];
};

// mixture.cu: threads of a block that sums, numbers of a channel that it sums at most, and parts of a sum.
constexpr int MIXING = 128;
constexpr int NUMBERS_OF_CHUNK = 4096;
constexpr int MOST_PARTS = 64;

// Where the parts lie, the places of their weights in the table, -1 for a weight of 1, and what numbers below zero are
// multiplied by first: 0 for a ReLU, 1 where nothing stands before norm and weight.
struct MixedParts {
  const void* at[MOST_PARTS];
  int place[MOST_PARTS];
  float slope[MOST_PARTS];
};

// Running statistics of the parts' norms, null where there is no norm.
struct MixedNorms {
  float* mean[MOST_PARTS];
  float* variance[MOST_PARTS];
};

// Scale and shift of the norms, null where a norm has none.
struct MixedAffine {
  const float* scale[MOST_PARTS];
  const float* shift[MOST_PARTS];
};

// Where the gradients of the parts go, null where none is wanted.
struct MixedGradients {
  void* to[MOST_PARTS];
};

// Where those of scales and shifts go.
struct MixedAffineGradients {
  float* scale[MOST_PARTS];
  float* shift[MOST_PARTS];
};

// Of a part (outer, C, inner), and into how many chunks the numbers of a channel are shared.
struct MixedSizes {
  u32 parts, outer, channels, inner, chunks;
};

// rows.cu: what is added up at once, where it lies, and how far its rows lie from each other.
constexpr int MOST_ADDENDS = 64;

struct Addends {
  const void* at[MOST_ADDENDS];
  u32 stride[MOST_ADDENDS];
  u32 count;
};

// optimizers.cu: threads of a block that sums, and numbers that it sums at most.
constexpr int MEASURING = 256;
constexpr int NUMBERS_OF_BLOCK = 4096;

struct AdamNumbers {
  float rate, beta1, beta2, epsilon, decay, correction1, correction2;
};
