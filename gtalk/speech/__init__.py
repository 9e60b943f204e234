"""Sound -> features at 100 Hz, the same numbers live and offline.

    samples ─▶ frontend (spectrum, pitch, loudness) ─▶ activity ─▶ running normalisation ─┬─▶ mel, pitch, energy
                                                                                          ├─▶ phones
                                                                                          └─▶ ears (visemes)

`gtalk.speech.features` joins them.
"""
