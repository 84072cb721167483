"""Streams of packets: the vectors of test/vectors/many-packets.json, faults with their places, sources."""

import io
import json
import pickle
import random

import pytest

import latentwire
from latentwire import CodecError
from latentwire.stream import StreamError, read_packets, write_packets


@pytest.fixture
def many(vectors):
    return json.loads((vectors / "many-packets.json").read_text())


@pytest.fixture
def packets(many):
    return [bytes.fromhex(one) for one in many["packets"]]


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_writes_and_reads_the_bytes_of_javascript(codec, many, packets):
    data = bytes.fromhex(many["streams"][0]["hex"])
    assert b"".join(write_packets(packets, codec)) == data
    for size in (1, 7, 100, 5000):
        assert list(read_packets(pieces(data, size), codec)) == packets
        assert list(read_packets(pieces(data, size))) == packets
    assert list(read_packets(io.BytesIO(data), codec)) == packets


def test_finds_packets_behind_damage(codec, many):
    for vector in many["streams"]:
        data = bytes.fromhex(vector["hex"])
        for size in (1, 30, 10_000):
            damages = []
            found = list(read_packets(pieces(data, size), codec, damaged="skip", on_damage=damages.append))
            expected = [data[at + 1 + (n > 127) :][:n] for at, n in vector["frames"]]
            assert found == expected
            assert [[one.offset, one.offset + one.bytes] for one in damages if one.bytes] == vector["lost"]
            whole = vector["isEnded"] and not vector["lost"]
            assert whole == (not damages)


def test_faults_have_their_places(codec, many, packets):
    data = bytes.fromhex(many["streams"][0]["hex"])
    for damaged, code, offset in (
        (b"", "TRUNCATED", 0),
        (data[:-1], "TRUNCATED", len(data) - 1),
        (data + b"\1", "CORRUPTED", len(data) - 1),
        (b"\x80\0" + data, "CORRUPTED", 0),
        (b"\x81\x80\x80\x10", "LIMIT_EXCEEDED", 0),
        (data[:1] + b"x" + data[2:], "NOT_A_PACKET", 0),
    ):
        with pytest.raises(StreamError) as caught:
            list(read_packets([damaged], codec))
        assert (caught.value.code, caught.value.offset) == (code, offset)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.code, again.offset, str(again)) == (code, offset, str(caught.value))


def test_random_damage_gives_nothing_false(codec, packets):
    rng = random.Random(5)
    data = b"".join(write_packets(packets * 3, codec))
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(damaged))
            damaged[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        damages = []
        found = list(read_packets([bytes(damaged)], codec, damaged="skip", on_damage=damages.append))
        assert all(packet in packets for packet in found)
        given = sum(len(packet) + 1 + (len(packet) > 127) for packet in found)
        assert len(damaged) - given - sum(one.bytes for one in damages) in (0, 1)


def test_refusals(codec, packets):
    with pytest.raises(TypeError, match="needs a codec"):
        read_packets([], damaged="skip", on_damage=print)
    with pytest.raises(TypeError, match="belong together"):
        read_packets([], codec, damaged="skip")
    with pytest.raises(ValueError, match="damaged must be"):
        read_packets([], codec, damaged="ignore")
    with pytest.raises(ValueError, match="max_packet_bytes"):
        write_packets([], max_packet_bytes=0)
    with pytest.raises(ValueError, match="packet 0 is empty"):
        list(write_packets([b""]))
    with pytest.raises(CodecError, match="raise max_packet_bytes"):
        list(write_packets([b"1234"], max_packet_bytes=3))
    with pytest.raises(CodecError, match="packet 1 is damaged"):
        list(write_packets([packets[2], packets[2][:-1] + b"\0"], codec))


def test_hostile_streams_end(codec, packets):
    # Each front allows 70,000 bytes, and none of these packets is there.
    front = packets[4][:64]
    assert codec.judge(front, 70_000) is None
    data = (bytes([0xF0, 0xA2, 4]) + front) * 5000
    with pytest.raises(StreamError, match="made to take time") as caught:
        list(read_packets([data], codec, damaged="skip", on_damage=lambda one: None))
    assert caught.value.code == "LIMIT_EXCEEDED"


def test_other_files_are_named(codec, packets):
    """The list is that of bindings/kinds.ts, which test/kinds.test.ts tries out."""
    prior = codec.factorized({"offsets": [-1], "cdfs": [[0, 16384, 49152, 65535, 65536]]})
    stream = b"".join(write_packets(packets, codec))
    bundle = latentwire.write_bundle([{"name": "y", "kind": "factorized", "table": prior.table}])
    for call, data, said in (
        (lambda data: codec.decode(data, prior), stream, "a stream of packets, read by latentwire.stream"),
        (codec.inspect, b"LWS\1" + bytes(40), r"a packet file \(\.lws\), read by latentwire\.packet_file"),
        (latentwire.read_bundle, packets[0], "a packet, read by codec.decode"),
        (codec.table, bundle, r"a table bundle \(\.lwb\), read by latentwire\.bundle"),
        (lambda data: codec.context(data, table=prior.table), bundle, "a table bundle"),
        (lambda data: list(read_packets([data], codec)), bundle, "a table bundle"),
        (lambda data: list(read_packets([data], codec)), packets[0], "a packet, read by"),
        (codec.inspect, b"\x93NUMPY" + bytes(40), "a NumPy array"),
        (codec.inspect, b"PK\3\4" + bytes(40), "a checkpoint or an archive"),
        (codec.inspect, b"\n <!doctype html>", "a page of HTML"),
        (codec.inspect, b"nothing that is known", "the input is no packet"),
    ):
        with pytest.raises(CodecError, match=said):
            call(data)
