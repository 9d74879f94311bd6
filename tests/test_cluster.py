"""A Dask scheduler and its workers, in processes of their own: every job comes out exactly once."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lipgan_cli.engine import cluster as module
from lipgan_cli.engine import prepare as preparing
from lipgan_cli.engine.cluster import check_scheduler, work_on
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.workers import Failed

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
if not hasattr(signal, "SIGKILL"):
    pytest.skip("there are no signals to die by", allow_module_level=True)

JOBS = '''
"""Jobs that workers can import. Each is (a folder, its number), and notes there who begins it."""
import os, signal, time

def begun(job):
    folder, number = job
    with open(folder / str(number), "a") as file:
        file.write(f"{os.getpid()}\\n")
    return len((folder / str(number)).read_text().splitlines())

def hang_once(job):
    """Job 0 goes on for ever the first time."""
    first = begun(job) == 1
    while job[1] == 0 and first:
        time.sleep(0.02)
    time.sleep(0.05)
    return os.getpid()

def poison(job):
    """Job 1 ends whoever does it."""
    begun(job)
    if job[1] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return job[1]

def wait(job):
    begun(job)
    while not (job[0] / "go").exists():
        time.sleep(0.02)
    return job[1]
'''


class Dask:
    """A scheduler at a free port and workers, that end with the test's process group."""

    def __init__(self, folder: Path, allowed_failures: int = 3) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        (folder / "cluster_jobs.py").write_text(JOBS)
        settings = {
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
            "LIPGAN_HOME": str(folder / "home"),
        }
        self.environment = {**os.environ, **settings, "PYTHONPATH": str(folder)}
        self.log = (folder / "log").open("wb")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.run("scheduler", "--host", "127.0.0.1", "--port", "0")

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        process = subprocess.Popen(
            [*command, "--scheduler-file", str(self.file)],
            cwd=self.folder,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run_workers(self, *arguments: str) -> None:
        self.run("worker", "--nthreads", "1", "--memory-limit", "0", *arguments)

    @property
    def address(self) -> str:
        def read() -> str | None:
            return self.file.is_file() and json.loads(self.file.read_text() or "{}").get("address")

        return wait_for(read)

    def close(self) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.log.close()


def wait_for(tell: Callable[[], Any]) -> Any:
    """Return what is told as soon as it is anything."""
    end = time.monotonic() + 60
    while not (told := tell()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return told


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A scheduler that forgives a job the death of one worker, and two workers that come again."""
    dask = Dask(tmp_path_factory.mktemp("dask"), allowed_failures=1)
    dask.run_workers("--nworkers", "2")
    yield dask
    dask.close()


@pytest.fixture
def jobs(dask: Dask, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The functions above."""
    monkeypatch.syspath_prepend(str(dask.folder))
    import cluster_jobs

    yield cluster_jobs
    del sys.modules["cluster_jobs"]


def begun(folder: Path) -> dict[int, list[int]]:
    """The processes that began each job."""
    files = [path for path in folder.iterdir() if path.name.isdigit()]
    return {int(path.name): [int(line) for line in path.read_text().split()] for path in files}


def test_every_job_comes_once_though_a_worker_is_killed_in_the_middle(
    dask: Dask, jobs: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes = []
    killed = None
    for job, outcome in work_on(
        dask.address, jobs.hang_once, [(tmp_path, number) for number in range(12)], tmp_path
    ):
        outcomes.append((job, outcome))
        if killed is None:
            killed = wait_for(lambda: begun(tmp_path).get(0))[0]
            os.kill(killed, signal.SIGKILL)
    assert sorted(number for (_, number), _ in outcomes) == list(range(12))
    by = {number: outcome for (_, number), outcome in outcomes}
    assert by[0] != killed
    who = begun(tmp_path)
    assert {number: pids[-1] for number, pids in who.items()} == by
    assert who[0] == [killed, by[0]]
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.glob(".*"))


def test_a_deadly_job_fails_alone(dask: Dask, jobs: ModuleType, tmp_path: Path) -> None:
    """Those that waited at the workers that it ended are done, and it is not tried for ever."""
    outcomes = list(work_on(dask.address, jobs.poison, [(tmp_path, n) for n in range(6)]))
    assert sorted(number for (_, number), _ in outcomes) == list(range(6))
    by = {number: outcome for (_, number), outcome in outcomes}
    poisoned = by.pop(1)
    assert by == {number: number for number in by}
    assert isinstance(poisoned, Failed)
    assert poisoned.reason.startswith("the workers that did it have died, the last of them at tcp:")
    assert len(begun(tmp_path)[1]) == 4  # twice among others, twice with nothing beside it


def test_few_jobs_are_out_at_a_time(dask: Dask) -> None:
    asked = 0

    def ask() -> Iterator[float]:
        nonlocal asked
        for asked in range(1, 51):
            yield float(asked)

    with closing(work_on(dask.address, math.sqrt, ask())) as outcomes:
        for done, (job, outcome) in enumerate(outcomes, 1):
            assert outcome == math.sqrt(job)
            assert asked - done < 4  # two for each worker, less the one that is done
    assert done == 50


def test_no_jobs_need_no_scheduler() -> None:
    assert list(work_on("tcp://127.0.0.1:1", math.sqrt, [])) == []


def test_an_exception_is_an_outcome(dask: Dask) -> None:
    outcomes = dict(work_on(dask.address, math.sqrt, [4.0, -1.0, 9.0]))
    assert (outcomes[4.0], outcomes[9.0]) == (2, 3)
    refused = outcomes[-1.0]
    assert isinstance(refused, Failed)
    assert refused.reason.startswith("ValueError: ")


def test_what_cannot_be_sent_back_is_an_outcome_of_one_line(dask: Dask) -> None:
    ((_, outcome),) = work_on(dask.address, logging.StreamHandler, [None])
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("TypeError: ")
    assert "\n" not in outcome.reason


def test_ctrl_c_takes_back_what_waits_and_leaves_the_cluster(
    dask: Dask, jobs: ModuleType, tmp_path: Path
) -> None:
    def interrupt() -> None:
        wait_for(lambda: len(begun(tmp_path)) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(work_on(dask.address, jobs.wait, [(tmp_path, number) for number in range(9)]))
    thread.join()
    (tmp_path / "go").touch()
    assert dict(work_on(dask.address, math.sqrt, [4.0, 9.0, 16.0])) == {4: 2, 9: 3, 16: 4}
    assert len(begun(tmp_path)) == 2


def test_a_worker_does_one_job_at_a_time() -> None:
    at_work, most = 0, 0

    def do(job: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.01)
        at_work -= 1
        return job

    errand = module._Errand(do, ())
    threads = [threading.Thread(target=errand, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_files_that_a_worker_does_not_see_end_the_run(dask: Dask, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    with pytest.raises(InputError, match=r"a worker on .+ does not see .+corpus$"):
        list(work_on(dask.address, math.sqrt, [4.0], tmp_path, [corpus]))
    corpus.mkdir()
    assert list(work_on(dask.address, math.sqrt, [4.0], tmp_path, [corpus])) == [(4, 2)]
    assert list(tmp_path.iterdir()) == [corpus]


def test_an_output_folder_of_another_machine_ends_the_run(
    dask: Dask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one of the same name, but without the mark: as if `touch` had written elsewhere."""
    monkeypatch.setattr(Path, "touch", lambda path: None)
    with pytest.raises(InputError, match="does not see the output folder") as raised:
        list(work_on(dask.address, math.sqrt, [4.0], tmp_path))
    assert "same path" in raised.value.hint


def test_another_version_on_a_worker_ends_the_run(
    dask: Dask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import versions

    monkeypatch.setattr(versions, "_version_cached", lambda package: "99.0")
    with pytest.raises(InputError, match=r"has lipgan \d.*, this is 99\.0$"):
        list(work_on(dask.address, math.sqrt, [4.0]))


def test_a_worker_that_joins_later_is_used_and_a_scheduler_that_ends_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    dask = Dask(tmp_path)
    try:
        check_scheduler(dask.address)
        with monkeypatch.context() as patch:
            patch.setattr(module, "PATIENCE_SECONDS", 0.5)
            patch.setattr(module, "POLL_SECONDS", 0.2)
            with pytest.raises(InputError, match=f"{dask.address} has no workers") as raised:
                list(work_on(dask.address, math.sqrt, [4.0]))
            assert f"dask worker {dask.address} --nthreads 1" in raised.value.hint
        jobs = iter([4.0, *[9.0] * 100_000])
        with closing(work_on(dask.address, math.sqrt, jobs)) as outcomes:
            dask.run_workers("--no-nanny")
            assert next(outcomes) == (4, 2)
            dask.scheduler.kill()
            with pytest.raises(LipganError, match=f"{dask.address} was lost") as lost:
                list(outcomes)
        assert lost.value.exit_code == 1
        assert next(jobs) == 9.0
    finally:
        dask.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://host:1", "127.0.0.1", ""])
def test_a_scheduler_that_does_not_answer(
    address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match=f"no scheduler answers at {address}") as raised:
        check_scheduler(address)
    assert "tcp://host:8786" in raised.value.hint
    assert capfd.readouterr() == ("", "")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="a cluster cannot be used") as raised:
        check_scheduler("tcp://127.0.0.1:1")
    assert raised.value.hint == "pip install 'lipgan-cli[cluster]'"


def test_what_the_library_logs_is_kept_off_stderr_while_it_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With its own settings, in a process where nobody else logs."""
    from dask.config import config
    from distributed.config import initialize_logging

    monkeypatch.setattr(logging.root, "handlers", [])
    loggers = [logging.getLogger(name) for name in module._LOGGERS]
    for logger in loggers:
        for name in ("handlers", "level", "propagate"):
            monkeypatch.setattr(logger, name, getattr(logger, name))
        logger.handlers = []
    initialize_logging(config)
    with closing(logging.FileHandler(tmp_path / "log")) as file:
        logging.getLogger("distributed").addHandler(file)

        def complain() -> None:
            for name in ("distributed.client", "distributed.core", "tornado.application"):
                logging.getLogger(name).error("oh no")

        with module._silenced():
            complain()
        assert capsys.readouterr().err == ""
        assert (tmp_path / "log").read_text() == "oh no\n"
        complain()
    assert capsys.readouterr().err.count("oh no") == 3


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_dataset_of_a_cluster_is_that_of_one_machine(
    dask: Dask,
    lipgan: Callable[..., Any],
    film_head: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = tmp_path / "in" / "s1"
    corpus.mkdir(parents=True)
    film_head(corpus / "a [ü].mp4", 1, empty=(0.2, 0.4))
    film_head(corpus / "b.mp4", 1.5, seed=2)
    (corpus / "c.mp4").write_text("this is no video\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preparing, "_offsets", lambda *arguments: [])  # is the same for both
    ran = lipgan("prep", "in", "-o", "cluster", "--scheduler", dask.address, "--json")
    assert ran.code == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["prepared"], len(told["left_out"])) == (2, 1)
    assert told["dataset"] == str(tmp_path / "cluster")
    monkeypatch.setattr(
        preparing, "work", lambda do, jobs, processes: ((job, do(job)) for job in jobs)
    )
    assert lipgan("prep", "in", "-o", "local").code == 0
    made = files(tmp_path / "cluster")
    assert made == files(tmp_path / "local")
    assert {"clips/s1/a [ü]/clip.json", "clips/s1/b/mel.npz", "subsets/full.txt"} <= made.keys()


def test_the_films_of_a_campaign_come_once_though_a_worker_is_killed_in_the_middle(
    dask: Dask, tmp_path: Path
) -> None:
    import torch

    from lipgan_cli.engine.campaign import CampaignOptions, campaign
    from lipgan_cli.engine.gan.generator import Generator
    from lipgan_cli.engine.gan.packing import save_packed
    from lipgan_cli.engine.media.demo import write_portrait
    from lipgan_cli.engine.sync import SyncOptions

    torch.manual_seed(10)
    save_packed(Generator(4).state_dict(), tmp_path / "small.safetensors", {})
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000))
    names = [f"m{number}" for number in range(6)]
    table = tmp_path / "table.csv"
    table.write_text("id,audio\n" + "".join(f"{name},speech.wav\n" for name in names))
    film = SyncOptions(
        write_portrait(tmp_path / "face.png"),
        table,
        tmp_path / "out",
        weights=tmp_path / "small.safetensors",
        sheet=tmp_path / "out" / "sheet.jpg",
    )
    killed: list[int] = []

    def kill_once(step: str, done: float, total: float | None) -> None:
        if step == "speaking" and done == 1 and not killed:
            killed.extend(worker_pids(dask)[:1])
            os.kill(killed[0], signal.SIGKILL)

    made = campaign(CampaignOptions(film, scheduler=dask.address), kill_once)
    assert killed
    assert (made.rows, made.made, made.failed) == (6, 6, 0)
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert sorted(entry["id"] for entry in entries) == names
    for entry in entries:
        film_file = tmp_path / "out" / entry["output"]
        assert (entry["status"], entry["frames"]) == ("done", 25)
        assert film_file.stat().st_size == entry["bytes"]
    again = campaign(CampaignOptions(film, scheduler=dask.address))
    assert (again.made, again.kept) == (0, 6)


def worker_pids(dask: Dask) -> list[int]:
    """The processes of the workers that are there."""
    with distributed.Client(dask.address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_prep_looks_for_the_scheduler_before_it_reads_the_corpus(
    lipgan: Callable[..., Any], tmp_path: Path
) -> None:
    ran = lipgan("prep", tmp_path / "missing", "--scheduler", "nonsense://host")
    assert ran.code == 2
    assert ran.stderr.startswith("error: no scheduler answers at nonsense://host\n")
