// All operators, run by at::parallel_for.
#include "ops/hash_encode.h"

TORCH_LIBRARY_IMPL(gtalk, CPU, m) {
  gtalk::register_hash_encode<gtalk::Cpu>(m);
}
