// All splat kernels for one instruction set. No include guard: see splat_vec.h.
#include "splat_vec.h"
// after it, since they use its types
#include "splat_deform.h"
#include "splat_project.h"
#include "splat_blend.h"
#include "splat_loss.h"
#include "splat_resolve.h"

static const Kernels kernels = {deform,     deform_half, deform_backward,     adam,       adam_basis,
                                project,    project_backward, blend_tile,     blend_tile_backward,
                                photo_loss, resolve_bytes,    resolve_floats, frame_plate};

#undef GTALK_SPLAT_PARTS
#undef GTALK_INLINE
#undef GTALK_EACH
#undef GTALK_BINARY
#undef GTALK_COMPARE
#undef GTALK_OP
#undef GTALK_MAX
#undef GTALK_MIN
#undef GTALK_SQRT
