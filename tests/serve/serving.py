"""A server with a toy avatar, keys of two clients, and an nginx before it."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gtalk.serve.config import ServeConfig
from gtalk.serve.server import Serving
from tests.support.toys import load_toy_character, write_toy_folder

ADA, BEN = "a-key-of-sixteen-a", "b-key-of-sixteen-b"
JSON = {"content-type": "application/json"}
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIG = Path(__file__).parents[2] / "container" / "nginx.conf"
needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs nginx")


def serving(folder: Path, **options: Any) -> Serving:
    """One that has started."""
    if not (folder / "me").is_dir():
        write_toy_folder(folder / "me", 32)
        (folder / "keys").write_text(f"{ADA} Ada\n# nobody\n{BEN} Ben\n")
    options = {"keys": folder / "keys", "workers": 1, "most_upload_mb": 1, **options}
    made = Serving([folder / "me"], ServeConfig(port=0, jobs=folder / "jobs", **options), load_toy_character)
    made.start()
    return made


def port_of(server: Serving) -> int:
    """Where it listens."""
    return server._host.port


def ask(
    where: Serving | int, method: str, path: str, body: Any = None, key: str = ADA, **headers: str
) -> tuple[int, Any]:
    """(status, content) of a request; `key` may be empty."""
    port = where if isinstance(where, int) else port_of(where)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    data = json.dumps(body).encode() if isinstance(body, dict | list) else body
    connection.request(method, path, data, {**({"authorization": f"Bearer {key}"} if key else {}), **headers})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    is_json = (answer.getheader("content-type") or "").startswith("application/json")
    return answer.status, json.loads(content) if is_json else content


@contextmanager
def nginx_before(server: Serving, folder: Path) -> Iterator[int]:
    """The nginx of compose.yaml before a server. Gives its port."""
    assert NGINX is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = CONFIG.read_text().replace("http://gtalk:8090", f"http://127.0.0.1:{port_of(server)}")
    config = config.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/tmp/", f"{folder}/")
    config = re.sub(r"/dev/(stdout|stderr)", rf"{folder}/\1.log", config)
    (folder / "nginx.conf").write_text(config)
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "stderr.log")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        end_s = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < end_s and process.poll() is None
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)
