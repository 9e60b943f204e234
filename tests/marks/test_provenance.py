"""C2PA: a signed dub says what it is, and a changed one is found out."""

import datetime
from pathlib import Path

import pytest

from gtalk.dub.config import DubConfig
from gtalk.dub.render import check_dub, render_dub
from gtalk.errors import UserError
from gtalk.marks.provenance import read_manifest
from gtalk.media.audio import write_wav
from gtalk.types import AudioTrack
from tests.support.toys import speech_like, toy_character

pytest.importorskip("c2pa", reason="needs the optional package c2pa-python")
x509 = pytest.importorskip("cryptography.x509", reason="makes the test's certificates")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate chain and key as C2PA wants them: an authority, and a signer that is none."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text):
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "gtalk tests"),
                x509.NameAttribute(NameOID.COMMON_NAME, text),
            ]
        )

    def certificate(subject, issuer, public, signing, authority):
        usage = {"key_cert_sign": authority, "crl_sign": authority} | dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(not authority, **usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        )  # fmt: skip
        if not authority:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        return builder.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    folder = tmp_path_factory.mktemp("keys")
    chain = certificate("signer", "root", leaf.public_key(), root, False) + certificate(
        "root", "root", root.public_key(), root, True
    )
    (folder / "cert.pem").write_bytes(chain)
    plain = serialization.NoEncryption()
    pem = leaf.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    write_wav(path, AudioTrack(speech_like(0.4)))
    return path


def signed(sound: Path, output: Path, keys: tuple[Path, Path], **options) -> Path:
    config = DubConfig(sign_cert=keys[0], sign_key=keys[1], **options)
    check_dub(sound, output, config)
    return render_dub(toy_character(64), sound, output, config).output


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_signed_dub_names_its_maker_and_its_source_type(tmp_path, sound, keys, name):
    store = read_manifest(signed(sound, tmp_path / name, keys))
    manifest = store["manifests"][store["active_manifest"]]
    assert manifest["title"] == name and manifest["claim_generator_info"][0]["name"] == "gtalk"
    assertions = {a["label"]: a["data"] for a in manifest["assertions"]}
    action = next(data for label, data in assertions.items() if label.startswith("c2pa.actions"))["actions"][0]
    assert action["action"] == "c2pa.created" and action["digitalSourceType"].endswith("trainedAlgorithmicMedia")
    assert assertions["org.gtalk.avatar"]["avatar"] == "0123456789abcdef"
    codes = {status["code"] for status in store.get("validation_status", [])}
    assert codes <= {"signingCredential.untrusted"}, "whole, though no one vouches for the test's authority"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_changed_image_is_found_out(tmp_path, sound, keys):
    path = signed(sound, tmp_path / "a.mp4", keys)
    content = bytearray(path.read_bytes())
    position = content.rindex(b"mdat") + 2000
    content[position] ^= 0xFF
    path.write_bytes(content)
    codes = {status["code"] for status in read_manifest(path).get("validation_status", [])}
    assert any("mismatch" in code for code in codes)


def test_what_cannot_be_signed_is_said_before_the_work(tmp_path, sound, keys):
    with pytest.raises(UserError, match="C2PA can sign"):
        signed(sound, tmp_path / "a.webm", keys)
    with pytest.raises(UserError, match="PEM"):
        signed(sound, tmp_path / "a.mp4", (keys[0], tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UserError, match="certificate chain"):
        signed(sound, tmp_path / "b.mp4", (keys[0], tmp_path / "bad.pem"))
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pem"]
    unsigned = render_dub(toy_character(32), sound, tmp_path / "c.mp4", DubConfig()).output
    with pytest.raises(UserError, match="manifest"):
        read_manifest(unsigned)
