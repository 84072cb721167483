"""Encodes a folder of Parquet files, or decodes it with --decode. Ray Data runs one file per task on every core of a machine or a cluster.

A task depends on nothing but its file, and its output appears whole or not at all. So a run that was killed goes on
when it is started again: files that are done are skipped.
"""

import argparse
import os
from pathlib import Path

import latentwire
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray

ROWS = 1024  # that are in memory at once


def encode(rows: pa.RecordBatch, codec: latentwire.Codec, prior: latentwire.Prior) -> pa.RecordBatch:
    """Columns `name`, `shape` (list of int32), `latent` (bytes of int8) -> `name`, `packet`."""
    packets = [
        codec.encode(np.frombuffer(latent, np.int8).reshape(shape), prior)
        for shape, latent in zip(rows["shape"].to_pylist(), rows["latent"].to_pylist())
    ]
    return pa.record_batch({"name": rows["name"], "packet": pa.array(packets, pa.binary())})


def decode(rows: pa.RecordBatch, codec: latentwire.Codec, prior: latentwire.Prior) -> pa.RecordBatch:
    """Columns `name`, `packet` -> `name`, `shape`, `latent`."""
    latents = [codec.decode(packet, prior, dtype="int8") for packet in rows["packet"].to_pylist()]
    shapes = pa.array([latent.shape for latent in latents], pa.list_(pa.int32()))
    data = pa.array([latent.tobytes() for latent in latents], pa.binary())
    return pa.record_batch({"name": rows["name"], "shape": shapes, "latent": data})


def convert(source: str, target: str, model: str, code) -> int:
    """One file, in pieces. Returns its number of rows."""
    codec = latentwire.create()  # 1 ms, for a whole file
    bundle = latentwire.load_bundle(model)
    prior = bundle.factorized(codec, bundle.entries[0].name)
    part = f"{target}.{os.getpid()}.part"
    rows = 0
    try:
        writer = None
        for batch in pq.ParquetFile(source).iter_batches(batch_size=ROWS):
            done = code(batch, codec, prior)
            writer = writer or pq.ParquetWriter(part, done.schema)
            writer.write_batch(done)
            rows += len(done)
        if writer is not None:
            writer.close()
            os.replace(part, target)  # atomic: nobody sees half a file
    finally:
        Path(part).unlink(missing_ok=True)
    return rows


def convert_files(batch: dict, target: str, model: str, code) -> dict:
    """A task of Ray: the files of one batch. A file that cannot be read is named, and does not end the run."""
    rows, faults = [], []
    for source in batch["item"]:
        try:
            rows.append(convert(str(source), str(Path(target) / Path(source).name), model, code))
            faults.append("")
        except (latentwire.CodecError, ValueError, OSError, KeyError) as error:
            rows.append(0)
            faults.append(f"{source}: {error}")
    return {"rows": np.array(rows), "fault": np.array(faults, dtype=object)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--model", required=True, help="a bundle (.lwb)")
    parser.add_argument("--decode", action="store_true")
    parser.add_argument("--cpus", type=int, help="default: all")
    args = parser.parse_args()
    Path(args.target).mkdir(parents=True, exist_ok=True)
    files = sorted(Path(args.source).glob("*.parquet"))
    missing = [str(file.resolve()) for file in files if not (Path(args.target) / file.name).exists()]
    print(f"{len(files)} files, {len(files) - len(missing)} are done")
    if not missing:
        return 0
    ray.init(num_cpus=args.cpus, log_to_driver=False, include_dashboard=False)
    settings = {
        "target": str(Path(args.target).resolve()),
        "model": str(Path(args.model).resolve()),
        "code": decode if args.decode else encode,
    }
    results = ray.data.from_items(missing, override_num_blocks=len(missing)).map_batches(
        convert_files, batch_size=1, fn_kwargs=settings
    )
    rows, faults = 0, []
    for result in results.iter_rows():
        rows += result["rows"]
        if result["fault"]:
            faults.append(result["fault"])
    print(f"{rows} latents in {len(missing) - len(faults)} files")
    for fault in faults:
        print(f"bad: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
