"""What a video says about its making: tags in the container, and a signed C2PA manifest where keys are given."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.marks.identity import Identity
from gtalk.marks.label import Label

SIGNABLE = {".mp4": "video/mp4", ".mov": "video/quicktime"}
_ALGORITHM = "ES256"


def gtalk_version() -> str:
    """Version of the installed package."""
    try:
        return version("gtalk")
    except PackageNotFoundError:
        return "0"


def provenance_tags(identity: Identity, label: Label = "off") -> dict[str, str]:
    """Container metadata. `comment` is the tag that every container keeps.

    Args:
        identity: whose likeness it is.
        label: whether the pictures say in words what they are.
    """
    facts = {
        "avatar": identity.avatar_id, "consent_sha256": identity.consent_sha256,
        "watermark": "on" if identity.watermark else "off", "label": label,
    }  # fmt: skip
    made = f"made with gtalk {gtalk_version()}; synthetic speech animation"
    return {"comment": "; ".join([made, *(f"{name}={value}" for name, value in facts.items())])}


def can_sign(output: Path, cert: Path, key: Path) -> None:
    """Raises UserError when an output of this name could not be signed with these files."""
    if output.suffix.lower() not in SIGNABLE:
        raise UserError(
            f"output {output}",
            expected=f"{' or '.join(SIGNABLE)}, which C2PA can sign",
            got=output.suffix or "a folder",
            remedy="Change the output's name or leave out the signing key.",
        )
    for path in (cert, key):
        if not path.is_file() or b"-----BEGIN" not in path.read_bytes():
            raise UserError(f"signing file {path}", expected="a PEM file", got="none", remedy="Check the path.")
    _c2pa()


def sign(path: Path, cert: Path, key: Path, identity: Identity, title: str) -> None:
    """Put a C2PA manifest into a video file, in place: made by a trained model, of this avatar.

    `path` may be a temporary name; `title` is the output's own. Raises UserError when certificate and key do not sign.
    """
    c2pa = _c2pa()
    media = SIGNABLE[path.suffix.lower()]
    created = {
        "action": "c2pa.created",
        "softwareAgent": {"name": "gtalk", "version": gtalk_version()},
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }
    facts = {"avatar": identity.avatar_id, "consent_sha256": identity.consent_sha256}
    manifest = {
        "claim_generator_info": [{"name": "gtalk", "version": gtalk_version()}],
        "format": media,
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": "org.gtalk.avatar", "data": facts},
        ],
    }
    signed = path.with_name(f"{path.stem}.signed{path.suffix}")
    try:
        info = c2pa.C2paSignerInfo(_ALGORITHM.lower().encode(), cert.read_bytes(), key.read_bytes(), None)
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(manifest)) as builder:
            builder.sign_file(str(path), str(signed), signer)
        signed.replace(path)
    except c2pa.C2paError as error:
        raise UserError("sign_cert, sign_key", expected=f"a certificate chain and key for {_ALGORITHM}", got=str(error),
                        remedy="See the C2PA specification on certificates for signing.") from error  # fmt: skip
    finally:
        signed.unlink(missing_ok=True)


def read_manifest(path: Path) -> dict[str, Any]:
    """The C2PA manifest store of a file with what its validation found. Raises UserError when it has none."""
    c2pa = _c2pa()
    try:
        with c2pa.Reader(str(path)) as reader:
            return json.loads(reader.json())
    except c2pa.C2paError as error:
        raise UserError(
            f"file {path}", expected="a C2PA manifest", got=str(error), remedy="It was not signed."
        ) from error


def _c2pa() -> Any:
    try:
        import c2pa
    except ImportError as error:
        raise UserError("signing", expected="the package c2pa-python", got="none installed",
                        remedy="Run `pip install gtalk[provenance]`.") from error  # fmt: skip
    return c2pa
