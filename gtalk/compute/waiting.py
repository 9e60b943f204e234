"""How threads of OpenMP wait: asleep, not spinning.

torch's CPU kernels run on OpenMP, whose threads spin for milliseconds between two kernels and at the end of each.
Where another program has the core that one of them needs, all others spin until it comes: a fit beside four busy
processes took five times its processor time. Asleep they cost a wake-up of some microseconds instead. The OpenMP
library reads its settings once, when it is loaded, which is when torch is imported: so `import gtalk` sets them,
unless torch was there before or the user has set them.
"""

from __future__ import annotations

import os
import sys

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_passively() -> None:
    """From now on OpenMP libraries that are loaded let their threads sleep while they wait."""
    if "torch" not in sys.modules and not any(name in os.environ for name in SETTINGS):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
