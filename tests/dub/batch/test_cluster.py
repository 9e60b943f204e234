"""A Ray cluster of two nodes on this machine: the same images, whatever becomes of a node."""

import json
import os
import time
from pathlib import Path

import pytest

from gtalk.dub.batch.run import run_batch
from gtalk.media.audio import write_wav
from gtalk.progress import Progress
from gtalk.types import AudioTrack
from tests.dub.batch.test_run import ROOT, images, make_jobs
from tests.support.toys import load_toy_character, speech_like

ray = pytest.importorskip("ray", reason="needs the optional package ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def cluster(monkeypatch):
    """One processor on each of two nodes; this process drives from the first."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    memory = {"object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **memory})
    cluster.second = cluster.add_node(num_cpus=1, **memory)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def jobs_with_a_long_one(folder: Path) -> Path:
    """Four short jobs, and one that is split into parts."""
    folder.mkdir()
    path = make_jobs(folder, 4, 1.0)
    write_wav(folder / "long.wav", AudioTrack(speech_like(9.0, seed=9)))
    path.write_text(path.read_text() + "\n" + json.dumps({"avatar": "me", "audio": "long.wav", "output": "out/long"}))
    return path


def test_a_node_that_is_lost_in_the_middle_costs_time_and_nothing_else(tmp_path, cluster):
    run_batch(jobs_with_a_long_one(tmp_path / "one"), "local", 1, split_s=0.0, load=load_toy_character)
    lost: list[Progress] = []

    def lose_a_node(progress: Progress) -> None:
        if progress.done >= 2 and not lost:
            lost.append(progress)
            cluster.remove_node(cluster.second, allow_graceful=False)

    path = jobs_with_a_long_one(tmp_path / "two")
    result = run_batch(path, "ray", None, True, lose_a_node, split_s=2.0, load=load_toy_character)
    assert lost and lost[0].done < 5, "lost too late to test anything"
    for _ in range(60):  # the cluster notices after a while
        if sum(node["Alive"] for node in ray.nodes()) == 1:
            break
        time.sleep(0.5)
    assert sum(node["Alive"] for node in ray.nodes()) == 1
    assert [job.state for job in result.jobs] == ["done"] * 5, result.table()
    assert images(tmp_path / "two/out") == images(tmp_path / "one/out")
