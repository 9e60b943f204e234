"""Predict a motion, change it, save it and draw it: python examples/edit_motion.py me speech.wav out.mp4"""

import sys

import gtalk


def main(avatar: str, speech: str, output: str, height: int | None = None) -> None:
    """Looks to the side, holds the head a little turned, articulates more and blinks half as often."""
    me = gtalk.load(avatar)
    motion = me.predict(speech, seed=1)
    motion = gtalk.edits.Gaze(yaw_rad=0.2)(motion)
    motion = gtalk.edits.Turn(yaw_rad=0.1)(motion)
    motion = me.edit(motion, gtalk.Controls(mouth=1.2, blink_rate=0.5))
    motion.save(f"{output}.motion.npz")
    gtalk.write_video(output, me.render(motion, size=height), fps=motion.fps, audio=speech, avatar=me)
    print(f"{output} and {output}.motion.npz: {len(motion)} frames")


if __name__ == "__main__":
    main(*sys.argv[1:4])
