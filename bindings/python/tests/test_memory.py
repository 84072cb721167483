"""Memory, threads, and both ways of calling."""

import gc
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import latentwire
from latentwire import proof
from latentwire.codec import Codec
from latentwire.memory import Memory
from latentwire.module import Instance, compiled
from latentwire.proof import CONTEXT_RIGHT, RIGHT, context_results_of, results_of


@pytest.mark.parametrize("build", ["simd", "scalar"])
@pytest.mark.parametrize("direct", [True, False])
def test_both_ways_of_calling_compute_rightly(build, direct):
    codec = Codec(Memory(lambda: Instance(compiled(build), direct), build))
    assert results_of(codec) == RIGHT
    assert context_results_of(codec) == CONTEXT_RIGHT


def test_a_build_that_computes_wrongly_is_refused(monkeypatch, table):
    monkeypatch.setattr(proof, "RIGHT", 1)
    monkeypatch.setattr(latentwire, "_trusted", set())
    with pytest.raises(latentwire.CodecError) as found:
        latentwire.create()
    assert found.value.code == "BUILD_MISSING"
    monkeypatch.undo()
    monkeypatch.setattr(proof, "CONTEXT_RIGHT", 1)
    monkeypatch.setattr(latentwire.codec, "_proven", set())
    with pytest.raises(latentwire.CodecError) as found:
        latentwire.create().context(proof.proof_parameters(), table=table)
    assert found.value.code == "BUILD_MISSING"


def test_the_fast_calls_work_with_this_wasmtime():
    from latentwire.module import _DirectCalls

    assert _DirectCalls.works()


def test_another_thread_is_refused(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    found = []

    def run():
        for call in (lambda: codec.decode(packet, prior), lambda: codec.inspect(packet), lambda: codec.writer()):
            try:
                call()
            except RuntimeError as error:
                found.append(str(error))
        own = latentwire.create()
        found.append(own.decode(packet, own.factorized(table)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(found) == 4 and all("another thread" in message for message in found[:3])
    assert np.array_equal(found[3], codec.decode(packet, prior))


def test_threads_with_a_codec_each(table, latent):
    packets = []

    def run(seed):
        codec = latentwire.create()
        prior = codec.factorized(table)
        own = np.roll(latent, seed)
        for _ in range(200):
            packet = codec.encode(own, prior)
            assert np.array_equal(codec.decode(packet, prior), codec.dequantize(codec.quantize(own, prior), prior))
        packets.append((seed, packet))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codec = latentwire.create()
    prior = codec.factorized(table)
    assert len(packets) == 4
    for seed, packet in packets:
        assert packet == codec.encode(np.roll(latent, seed), prior)


def test_memory_grows_and_is_given_back(codec, table):
    prior = codec.factorized(table)
    large = np.zeros((1, 4, 1500, 1500), np.int8)
    writer = codec.writer()
    writer.write(large[:, :, :9, :9], prior)
    codec.encode(large, prior)
    grown = codec._memory.size
    codec.trim()
    assert codec._memory.size < grown
    # What was open before goes on.
    packet = writer.finish()
    with codec.reader(packet) as reader:
        assert not reader.read(prior, dtype="int8").any()
        reader.finish()


def test_abandoned_readers_and_writers_are_freed(table, latent):
    codec = latentwire.create()
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    sizes = []
    for _ in range(300):
        codec.reader(packet).read(prior)
        writer = codec.writer()
        writer.write(np.tile(latent, 10), prior)
        writer.sequence()
        del writer
        gc.collect(0)
        sizes.append(codec._memory.size)
    assert sizes[-1] == sizes[20]


def test_a_hostile_packet_takes_no_memory(codec, table, latent):
    prior = codec.factorized(table)
    before = codec._memory.size
    junk = codec.encode(latent, prior)[:8] + bytes(60_000_000)
    with pytest.raises(latentwire.CodecError):
        codec.decode(junk, prior)
    with pytest.raises(latentwire.CodecError):
        codec.reader(junk)
    codec.inspect(codec.encode(latent, prior))
    assert codec._memory.size <= before + (1 << 20)


def test_a_codec_is_not_pickled(codec):
    with pytest.raises(TypeError, match="in each process"):
        pickle.dumps(codec)


def test_versions():
    import importlib.metadata

    assert latentwire.__version__ == importlib.metadata.version("latentwire")
    assert latentwire.create().build == "simd"
    with pytest.raises(TypeError, match="build must be"):
        latentwire.create("javascript")


def test_a_module_of_another_release_is_refused(monkeypatch):
    from latentwire import abi

    monkeypatch.setattr(abi, "ABI_VERSION", abi.ABI_VERSION + 1)
    with pytest.raises(TypeError, match="ABI version"):
        Instance(compiled("simd"))


def test_numpy_and_wasmtime_are_all_that_is_imported():
    program = (
        "import sys, latentwire, latentwire.families; print([m for m in ('torch', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"
