"""Load an avatar and let it say a sound file: python examples/dub.py me speech.wav dub.mp4"""

import sys

import gtalk


def main(avatar: str, speech: str, output: str, height: int | None = None) -> None:
    """Writes `output`, at the avatar's own size or `height` pixels high."""
    me = gtalk.load(avatar)
    motion = me.predict(speech, seed=1)
    gtalk.write_video(output, me.render(motion, size=height), fps=me.fps, audio=speech, avatar=me)
    print(f"{output}: {motion.duration_s:.2f} s of {me.person}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
