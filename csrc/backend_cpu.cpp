// All operators, run by at::parallel_for.
#include "ops/adam.h"
#include "ops/composite.h"
#include "ops/hash_encode.h"
#include "ops/march.h"
#include "ops/mlp.h"
#include "ops/render_rays.h"
#include "ops/splat_adam.h"

TORCH_LIBRARY_IMPL(gtalk, CPU, m) {
  gtalk::register_adam<gtalk::Cpu>(m);
  gtalk::register_composite<gtalk::Cpu>(m);
  gtalk::register_hash_encode<gtalk::Cpu>(m);
  gtalk::register_march<gtalk::Cpu>(m);
  gtalk::register_mlp<gtalk::Cpu>(m);
  gtalk::register_render_rays<gtalk::Cpu>(m);
  gtalk::register_splat_adam<gtalk::Cpu>(m);
}
