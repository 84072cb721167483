"""Packet files: the vectors of test/vectors/many-packets.json, faults with their places, indexes that lie, writing."""

import io
import json
import struct
import threading

import numpy as np
import pytest

from latentwire import CodecError
from latentwire.latentwire_bundle import xxh32
from latentwire.packet_file import FileRecord, StreamError, create_packet_file, open_packet_file
from latentwire.packet_record import format_index, format_record


@pytest.fixture
def many(vectors):
    return json.loads((vectors / "many-packets.json").read_text())


@pytest.fixture
def records(many):
    packets = [bytes.fromhex(one) for one in many["packets"]]
    return [FileRecord(i, name, packet) for i, (name, packet) in enumerate(zip(many["names"], packets))]


@pytest.fixture
def data(many):
    return bytes.fromhex(many["files"][0]["hex"])


def written(records, **options):
    file = io.BytesIO()
    with create_packet_file(file, **options) as writer:
        for _, name, packet in records:
            writer.add(packet, name)
    return file.getvalue()


def test_writes_and_reads_the_bytes_of_javascript(tmp_path, data, records):
    assert written(records) == data
    path = tmp_path / "packets.lws"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), np.frombuffer(data, np.uint8), io.BytesIO(data)):
        with open_packet_file(source) as file:
            assert (file.state, len(file), list(file.names)) == ("indexed", len(records), [one.name for one in records])
            assert list(file) == records
            for number, name, _ in records:
                assert file[number] == records[number] and number in file
                assert not name or (file[name] == records[number] and name in file)
            assert "nothing" not in file and "" not in file and -1 not in file and True not in file
            assert np.int64(2) in file and file[np.int64(2)] == records[2]
            offset, length = file.place_of(1)
            assert data[offset : offset + length] == format_record(1, b"", records[1].packet)
            with pytest.raises(KeyError, match="no record 'nothing'"):
                file["nothing"]
            for number in (-1, len(records)):
                with pytest.raises(IndexError):
                    file[number]
    file = open_packet_file(path)
    file.close()
    with pytest.raises(ValueError):
        file[0]


def test_reads_what_the_vectors_say(many, records):
    """Damaged files, and what the reference reads of them."""
    for vector in many["files"]:
        damaged, damages = bytes.fromhex(vector["hex"]), []
        try:
            file = open_packet_file(damaged, damaged="skip", on_damage=damages.append)
            found = list(file)
        except CodecError:
            assert vector["state"] == "refused"
            continue
        assert all(one == records[one.number] for one in found)
        if vector["state"] == "refused":
            assert damages
        else:
            assert [file.state, [one.number for one in found]] == [vector["state"], vector["numbers"]]


def test_every_cut_is_found(data, records):
    marked = open_packet_file(data).end
    for length in range(1, len(data)):
        damages = []
        file = open_packet_file(data[:length], damaged="skip", on_damage=damages.append)
        complete = length > marked
        assert file.state == ("scanned" if complete else "torn") and bool(damages) != complete
        found = list(file)
        assert found == records[: len(found)] and (not complete or len(found) == len(records))
        if not complete:
            with pytest.raises(StreamError) as caught:
                open_packet_file(data[:length])
            assert caught.value.code == "TRUNCATED"
    with pytest.raises(CodecError) as caught:
        open_packet_file(b"")
    assert caught.value.code == "NOT_A_PACKET"


def test_a_damaged_record_is_named(data, records):
    offset, length = open_packet_file(data).place_of(2)
    damaged = bytearray(data)
    damaged[offset + 20] ^= 4
    file = open_packet_file(damaged)
    for call in (lambda: file[2], lambda: list(file)):
        with pytest.raises(StreamError, match=r"record 2 \(folder/ä\.npy\) is damaged") as caught:
            call()
        assert (caught.value.code, caught.value.offset) == ("CORRUPTED", offset)
    assert file[3] == records[3]
    for index in (True, False):
        damages = []
        file = open_packet_file(damaged, damaged="skip", on_damage=damages.append, index=index)
        assert [one.number for one in file] == [0, 1, 3, 4]
        assert [(one.offset, one.bytes, one.code) for one in damages] == [(offset, length, "CORRUPTED")]
        assert file.state == ("indexed" if index else "damaged") and file[4] == records[4]
    # A whole record taken out is missed by its number.
    without, damages = data[:offset] + data[offset + length :], []
    with pytest.raises(CodecError, match="the index contradicts the file"):
        open_packet_file(without)
    file = open_packet_file(without, damaged="skip", on_damage=damages.append, index=False)
    assert file.state == "damaged" and 2 not in file and file[3] == records[3]
    assert "record 2 is missing" in damages[0].message


def test_an_index_that_lies_gives_no_wrong_packet(data, records):
    end = open_packet_file(data).end
    lengths = [len(format_record(*one._replace(name=one.name.encode()))) for one in records]
    lengths = [length - 1 - (length > 128) for length in lengths]
    names = [one.name for one in records]

    def lying(lengths, names):
        return data[: end + 1] + format_index(lengths, names)

    assert lying(lengths, names) == data
    for wrong in (
        lying(lengths[1:], names[1:]),
        lying([lengths[0] + 1, *lengths[1:]], names),
        lying(lengths, [names[0], names[0], *names[2:]]),
    ):
        with pytest.raises(CodecError) as caught:
            open_packet_file(wrong)
        assert caught.value.code == "CORRUPTED" and "index=False" in str(caught.value)
        assert list(open_packet_file(wrong, index=False)) == records
    exchanged = open_packet_file(lying(lengths, [names[2], names[1], names[0], *names[3:]]))
    for key in (0, 2, names[0], names[2]):
        with pytest.raises(StreamError, match="is not the one that the index names"):
            exchanged[key]
    # More records than the file has room for are not even counted.
    huge = data[:-16] + struct.pack("<II", len(data) - end - 17, 2**31)
    with pytest.raises(StreamError, match="the file is torn"):
        open_packet_file(huge + struct.pack("<I", xxh32(huge[end + 1 :])) + b"LWSI")


def test_refusals(tmp_path, data):
    for wrong, code in (
        (b"something else", "NOT_A_PACKET"),
        (b"LWS\2" + data[4:], "UNSUPPORTED_VERSION"),
    ):
        with pytest.raises(CodecError) as caught:
            open_packet_file(wrong)
        assert caught.value.code == code
    with pytest.raises(CodecError, match="raise max_index_bytes"):
        open_packet_file(data, max_index_bytes=20)
    large = written([FileRecord(0, "", bytes(3000))])
    with pytest.raises(StreamError, match="at most") as caught:
        open_packet_file(large, max_packet_bytes=1, index=False)
    assert caught.value.code == "LIMIT_EXCEEDED"
    damages = []
    file = open_packet_file(large, max_packet_bytes=1, damaged="skip", on_damage=damages.append)
    with pytest.raises(StreamError, match="has 3008 bytes: raise max_packet_bytes"):
        file[0]
    assert list(file) == [] and damages[0].code == "LIMIT_EXCEEDED"
    with pytest.raises(TypeError, match="belong together"):
        open_packet_file(data, damaged="skip")
    with pytest.raises(ValueError, match="max_packet_bytes"):
        open_packet_file(data, max_packet_bytes=0)
    with pytest.raises(TypeError, match="source must be"):
        open_packet_file(5)
    path = tmp_path / "a.lws"
    with create_packet_file(path, max_packet_bytes=3) as writer:
        assert writer.add(b"abc", "one") == 0 and "one" in writer and len(writer) == 1
        with pytest.raises(ValueError, match="already has"):
            writer.add(b"", "one")
        with pytest.raises(ValueError, match="1024 are the most"):
            writer.add(b"", "n" * 1025)
        with pytest.raises(ValueError, match="no Unicode"):
            writer.add(b"", "\ud800")
        with pytest.raises(TypeError, match="name must be"):
            writer.add(b"", b"two")
        with pytest.raises(CodecError, match="raise max_packet_bytes"):
            writer.add(b"abcd")
    with pytest.raises(TypeError, match="closed"):
        writer.add(b"")
    with pytest.raises(FileExistsError):
        create_packet_file(path)
    with open_packet_file(path) as file:
        assert list(file) == [FileRecord(0, "one", b"abc")]
        path.write_bytes(b"LWS\1")
        with pytest.raises(CodecError, match="became shorter"):
            file[0]


def test_threads_share_a_file(tmp_path):
    path = tmp_path / "a.lws"
    with create_packet_file(path) as writer:
        for i in range(200):
            writer.add(bytes([i]) * (i + 1), f"{i}")
    with open_packet_file(path) as file, path.open("rb") as plain:
        wrong = []

        def read(source):
            wrong.extend(i for i in range(200) if source[f"{i}"].packet != bytes([i]) * (i + 1))

        for source in (file, open_packet_file(plain)):
            threads = [threading.Thread(target=read, args=(source,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not wrong
