// When work is worth a thread. It stands alone, so that another value is tried without compiling all kernels again.
#include "kernels.h"

namespace sgas {

const int64_t grain_operations = 32768;

}  // namespace sgas
