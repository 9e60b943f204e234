// All operators, run as CUDA kernels.
#include "ops/hash_encode.h"

TORCH_LIBRARY_IMPL(gtalk, CUDA, m) {
  gtalk::register_hash_encode<gtalk::Cuda>(m);
}
