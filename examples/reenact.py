"""Drive an avatar by another person's video: python examples/reenact.py me other.mp4 out.mp4"""

import sys

import gtalk


def main(avatar: str, video: str, output: str, height: int | None = None) -> None:
    """The face of `video` is tracked, brought to the avatar's face and drawn. `video` may be a .motion.npz too."""
    me = gtalk.load(avatar)
    other = gtalk.Motion.load(video) if video.endswith(".npz") else gtalk.track(video)
    motion = me.reenact(other)
    gtalk.write_video(output, me.render(motion, size=height), fps=me.fps, avatar=me)
    print(f"{output}: {len(motion)} frames, {int(other.valid.sum())} of {len(other)} showed a face")


if __name__ == "__main__":
    main(*sys.argv[1:4])
