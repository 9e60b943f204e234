"""How threads of OpenMP wait: asleep, not spinning.

torch's CPU kernels run on OpenMP, whose threads spin for milliseconds between two kernels and at the end of each.
Where another program has the core that one of them needs, all others spin until it comes: a fit beside four busy
processes took five times its processor time. Asleep they cost a wake-up of some microseconds instead, a fifth of the
time of training that consists of small kernels; so they look a few thousand times first, which takes as long as a
wake-up does. The OpenMP library reads its settings once, when it is loaded, which is when torch is imported: so
`import gtalk` sets them, unless torch was there before or the user has set them.
"""

from __future__ import annotations

import os
import sys

LOOKS = 3000
"""How often a thread looks whether it may go on before it sleeps."""
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_passively() -> None:
    """OpenMP libraries that are loaded from now on let threads sleep that wait for more than microseconds."""
    if "torch" not in sys.modules and not any(name in os.environ for name in SETTINGS):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ["GOMP_SPINCOUNT"] = str(LOOKS)  # of GNU's library, which torch brings; it comes before the policy
