"""A reader that is not ours reads the codes."""

import random
import string

import cv2
import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.studio.qr import qr_modules, qr_svg


@pytest.mark.parametrize("length", [1, 17, 18, 32, 33, 53, 54, 78, 79, 106, 107, 134])
def test_every_version_is_read(length: int) -> None:
    token = "".join(random.Random(length).choices(string.ascii_letters + string.digits + "-_", k=134))
    text = ("https://192.168.1.20:8091/?token=" + token)[:length]
    modules = qr_modules(text)
    picture = np.pad(np.where(modules, 0, 255).astype(np.uint8), 4, constant_values=255)
    read = {  # OpenCV's finder misses some sizes of some codes
        cv2.QRCodeDetector().detectAndDecode(cv2.resize(picture, None, fx=n, fy=n, interpolation=cv2.INTER_NEAREST))[0]
        for n in (4, 6, 8)
    }
    assert text in read


def test_a_long_address_is_told_and_a_picture_has_its_margin() -> None:
    with pytest.raises(UserError, match="at most 134 bytes; got 135"):
        qr_modules("x" * 135)
    svg = qr_svg("https://a.example/")
    assert 'viewBox="0 0 33 33"' in svg or 'viewBox="0 0 29 29"' in svg
