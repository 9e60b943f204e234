// All operators, run as CUDA kernels.
#include "ops/adam.h"
#include "ops/composite.h"
#include "ops/hash_encode.h"
#include "ops/march.h"
#include "ops/mlp.h"
#include "ops/render_rays.h"
#include "ops/splat_adam.h"

TORCH_LIBRARY_IMPL(gtalk, CUDA, m) {
  gtalk::register_adam<gtalk::Cuda>(m);
  gtalk::register_composite<gtalk::Cuda>(m);
  gtalk::register_hash_encode<gtalk::Cuda>(m);
  gtalk::register_march<gtalk::Cuda>(m);
  gtalk::register_mlp<gtalk::Cuda>(m);
  gtalk::register_render_rays<gtalk::Cuda>(m);
  gtalk::register_splat_adam<gtalk::Cuda>(m);
}
