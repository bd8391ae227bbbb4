"""Ray gives what local work gives, in the same order, while nodes come and go."""

import operator
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from starrec.engines import Workers, open_engine
from starrec.engines.ray import RayWorkers
from starrec.errors import ConfigError, RunError

# Functions that a test writes travel by value, so they stand inside the tests.


@pytest.fixture(scope="module")
def cluster():
    """A head and a node beside it, each with one core, on this machine."""
    node = {"num_cpus": 1, "object_store_memory": 96 * 2**20}
    # A dead node is noticed at once where its connections break, else by missed health checks: 5 s, not 20.
    checks = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        head = {**node, "include_dashboard": False, "_system_config": checks}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            cluster.add_node(**node)
            ray.init(cluster.address, log_to_driver=False, logging_level="error")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def two(cluster):
    with open_engine(3, "ray", address=cluster.address) as engine:
        yield engine


def test_results_come_in_order_and_equal_local_work(two):
    assert two.processes == 2
    batches = [2_000_000, *range(40)]
    with Workers(3, 1) as here:
        assert list(two.map(pow, batches)) == list(here.map(pow, batches))
    assert list(two.map(operator.add, [])) == []


def test_a_mistake_in_a_batch_reaches_the_caller_as_it_is_and_the_engine_goes_on(two):
    with pytest.raises(ZeroDivisionError) as caught:
        list(two.map(operator.truediv, [1, 2, 0, 4]))
    assert type(caught.value) is ZeroDivisionError and str(caught.value) == "division by zero"

    def refuse(value, batch):
        raise ConfigError(f"{value} does not go with {batch}")

    with pytest.raises(ConfigError, match=r"\A3 does not go with 8\Z"):
        list(two.map(refuse, [8]))
    assert list(two.map(operator.add, [1, 2])) == [4, 5]


def test_batches_are_taken_as_they_are_needed(two):
    taken = []

    def batches():
        for number in range(40):
            taken.append(number)
            yield number

    results = two.map(operator.add, batches())
    assert next(results) == 3
    # Two in flight for each of two cores; not all forty are made at once.
    assert len(taken) <= 5
    assert list(results) == [3 + number for number in range(1, 40)]


def test_the_value_is_put_once_and_its_arrays_are_mapped_not_copied(cluster):
    @dataclass(frozen=True)
    class Rows:
        ptr: np.ndarray
        items: np.ndarray

        def __getstate__(self):
            pickled.append(1)
            return self.__dict__

    pickled = []
    size = 5_000_000
    rows = Rows(np.arange(11) * (size // 10), np.arange(size, dtype=np.int32))

    def block(rows, number):
        own = rows.items.flags.owndata or rows.items.flags.writeable
        return rows.items[rows.ptr[number] : rows.ptr[number + 1]] * 2, own, os.getpid()

    with open_engine(rows, "ray", address=cluster.address) as engine:
        parts, owned, where = zip(*engine.map(block, range(10)), strict=True)
    assert len(pickled) == 1
    assert np.array_equal(np.concatenate(parts), rows.items * 2)
    assert not any(owned) and os.getpid() not in where


def test_a_node_that_dies_during_a_map_costs_time_and_nothing_else(cluster, tmp_path):
    doomed = cluster.add_node(num_cpus=1, object_store_memory=96 * 2**20)
    value, numbers, name = np.arange(60_000), range(60), doomed.node_id

    def block(value, number):
        node = ray.get_runtime_context().get_node_id()
        (tmp_path / f"{node}-{number}-{time.monotonic_ns()}").touch()
        # What starts on that node is still at work when it dies.
        time.sleep(60 if node == name else 0.1)
        # Too large to travel with the reply: it lies in its node's shared memory until it is fetched.
        return value * number

    def kill():
        while not started(there=True):
            time.sleep(0.01)
        cluster.remove_node(doomed, allow_graceful=False)

    def started(there):
        return {path.name.split("-")[1] for path in tmp_path.iterdir() if (name in path.name) == there}

    killer = threading.Thread(target=kill, daemon=True)
    with open_engine(value, "ray", address=cluster.address) as engine:
        assert engine.processes == 3
        killer.start()
        found = list(engine.map(block, numbers))
    killer.join(10)
    with Workers(value, 1) as here:
        assert all(map(np.array_equal, found, here.map(operator.mul, numbers)))
    assert len(found) == len(numbers)
    assert started(there=True) and started(there=True) <= started(there=False)


def test_a_batch_whose_worker_dies_starts_again_but_not_for_ever(cluster, tmp_path):
    def die(value, times):
        (tmp_path / f"{times}-{time.monotonic_ns()}").touch()
        if len(list(tmp_path.glob(f"{times}-*"))) <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return value + times

    with RayWorkers(3, cluster.address, retries=1) as engine:
        assert list(engine.map(die, [0, 1])) == [3, 4]
        with pytest.raises(RunError, match=r"lost a batch 2 times.*`ray status`"):
            list(engine.map(die, [99]))


def test_an_address_where_nobody_answers_is_an_error(cluster):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"{address}.*ray start --head.*local"):
            open_engine(3, "ray", address=address)


def test_another_cluster_than_the_connected_one_is_refused(cluster):
    with pytest.raises(ConfigError, match="No Ray cluster answers at 'nonsense'"):
        open_engine(3, "ray", address="nonsense")


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "starrec.engines.ray", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'starrec\[ray\]'"):
        open_engine(3, "ray")


def test_a_ray_address_for_local_processes_is_a_mistake():
    with pytest.raises(ConfigError, match="Choose 'ray'"):
        open_engine(3, address="127.0.0.1:6379")
    with open_engine(3, processes=1) as engine:
        assert list(engine.map(operator.add, [1])) == [4]
