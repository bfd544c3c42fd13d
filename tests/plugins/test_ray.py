"""An evaluation on a Ray cluster of two nodes ends with the rows of an undisturbed one, whatever dies in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.core.installed import Site

from palaver import Asked, GenerationConfig, Job, Message, ModelInfo, Request, UsageError
from palaver_ray import RayKind
from palaver_ray.place import Place, place_of

COUNT = 240
MODEL = '''
import os, signal
from pathlib import Path
from palaver import Delta, ModelInfo

class Upper:
    def __init__(self, info): self.info = info
    def stream(self, requests, config, cancel):
        for index, request in enumerate(requests):
            text = request.messages[-1].content
            if (folder := os.environ.get("DEATHS")) and text.startswith("death"):
                self.once(Path(folder), text)
            yield Delta(text.upper(), index, "stop", prompt_tokens=1, output_tokens=2)
    def once(self, folder, text):
        """The first who comes here ends the actor that it lives in, or the second node."""
        try:
            (folder / text.split()[0].strip(".")).touch(exist_ok=False)
        except FileExistsError:
            return
        node = text.startswith("death-of-a-node")
        os.kill(int((folder / "second").read_text()) if node else os.getppid(), signal.SIGKILL)
    def close(self): pass

class Backend:
    name, isolated = "upper", True
    def resolve(self, name): return None
    def load(self, info): return Upper(info)

def palaver_backends(): return [Backend()]
def palaver_models(): return [ModelInfo("upper", "upper", tasks=("chat",))]
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("ray")
    variables = {"RAY_AUTH_TOKEN_PATH": str(folder / "token"), "RAY_USAGE_STATS_ENABLED": "0"}
    made = Site(folder / "site", folder / "home", variables)
    made.install("upper", MODEL)
    return made


@pytest.fixture(scope="module")
def address(site: Site) -> Iterator[str]:
    """Of a cluster of two nodes with a home of its own."""
    if find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'palaver[ray]'")
    deaths = site.home.parent / "deaths"
    deaths.mkdir()
    variables = {
        "PYTHONPATH": str(site.folder),
        "PALAVER_HOME": str(site.home.parent / "node"),
        "DEATHS": str(deaths),
    }
    program = Path(__file__).with_name("ray_cluster.py")
    with subprocess.Popen(
        [sys.executable, str(program), str(site.home.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **site.variables, **variables},
    ) as cluster:
        assert cluster.stdout is not None
        told = json.loads(next(line for line in cluster.stdout if line.startswith("{")))
        (deaths / "second").write_text(str(told["second"][0]), "utf-8")
        yield told["address"]
        cluster.communicate(timeout=60)


def rows(site: Site, run: int) -> dict[str, tuple[object, ...]]:
    """What a run has of each example, without times and places."""
    lines = [json.loads(line) for line in site.out("history", "export", f"run:{run}").splitlines()]
    assert len(lines) == COUNT
    return {
        one["inputs"]["text"]: (
            one["status"],
            one["output"],
            [(reference["text"], reference["origin"]) for reference in one["references"]],
            [(score["metric"], score["value"], score["signature"]) for score in one["scores"]],
        )
        for one in lines
    }


@pytest.mark.ray
@pytest.mark.fault
def test_a_killed_worker_and_a_killed_node_lose_and_double_nothing(site: Site, address: str) -> None:
    texts = [f"sentence number {number}" for number in range(COUNT)]
    texts[50], texts[150] = "death-of-a-worker. Really.", "death-of-a-node. Really."
    data = site.home.parent / "texts.jsonl"
    data.write_text("".join(json.dumps({"text": one, "references": one.upper()}) + "\n" for one in texts), "utf-8")
    evaluate = ("eval", "generate", str(data), "-m", "upper", "--metric", "rouge,chrf", "--json", "--no-cache")
    inline = json.loads(site.out(*evaluate, "--on", "inline"))["runs"][0]
    on_ray = json.loads(site.out(*evaluate, "--on", f"ray:{address}?workers=2"))["runs"][0]
    assert {one.name for one in (site.home.parent / "deaths").iterdir()} == {
        "second",
        "death-of-a-worker",
        "death-of-a-node",
    }
    assert on_ray["ended"] == inline["ended"] == {"complete": COUNT}
    assert rows(site, on_ray["id"]) == rows(site, inline["id"])
    assert on_ray["scores"] == inline["scores"]


@pytest.mark.parametrize(
    ("argument", "place"),
    [
        ("", Place()),
        ("10.0.0.1:6379", Place("10.0.0.1:6379")),
        ("auto?workers=8&gpus=1", Place("auto", 8, 1.0, 1.0)),
        ("?cpus=0.5", Place("", None, 0.5)),
    ],
)
def test_an_argument_means_a_place(argument: str, place: Place) -> None:
    assert place_of(argument) == place


@pytest.mark.parametrize("argument", ["auto?workers=0", "auto?workers=1.5", "?cpus=-1", "?gpus=many", "?nodes=2"])
def test_what_means_nothing_is_refused(argument: str) -> None:
    with pytest.raises(UsageError):
        place_of(argument)


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    if find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'palaver[ray]'")
    request = Asked("a", Request((Message("user", "hello"),)))
    executor = RayKind().open("127.0.0.1:9")
    with pytest.raises(UsageError, match="There is no Ray cluster at"):
        list(executor.map(Job(ModelInfo("m", "b"), "", GenerationConfig()), [request], threading.Event()))
    assert list(executor.map(Job(ModelInfo("m", "b"), "", GenerationConfig()), [], threading.Event())) == []
