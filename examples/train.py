"""Make an avatar and watch it come: python examples/train.py me.mp4 me "Ada" "I am Ada and agree to this avatar."""

import sys

import gtalk
from gtalk.fit.events import DoneEvent, StepEvent


def on_event(event: gtalk.TrainEvent) -> None:
    """What a program of your own would draw, log or send."""
    match event:
        case gtalk.Progress(stage=stage, done=done, total=total) if done == total:
            print(f"{stage}: {done} done")
        case gtalk.Note(text=text):
            print(text)
        case StepEvent(step=step, total_steps=total, psnr=psnr) if step % 500 == 0:
            print(f"fit: step {step} of {total}, {psnr:.1f} dB")
        case DoneEvent(metrics=metrics):
            print(f"fit: done, {metrics}")


def main(clip: str, avatar: str, person: str, statement: str) -> None:
    """What is done is kept: the same call goes on where an interrupted one stood."""
    for event in gtalk.train(clip, out=avatar, consent=gtalk.Consent(person, statement)):
        on_event(event)


if __name__ == "__main__":
    main(*sys.argv[1:5])
