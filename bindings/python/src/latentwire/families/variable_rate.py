"""Families with many rates in one model: CompressAI's variable-rate zoo, where a gain scales y before it is rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Union, cast

import numpy as np

from ..prior import Prior
from ..tensor import Array, Floats
from .context import code_pixels
from .network import HyperModel, Net, Tensors, check_same_shape, gaussian, network
from .wire import Family, Piece, Wire


@dataclass
class VariableRateModel(HyperModel):
    """A variable-rate model. `prior` is one for all levels, or a list with one for each.

    h_s gets z_hat and gain, an array of one number, and gives `outputs`; with `pixel` it gets z_hat and gives psi.
    """

    #: Per level the gain: 1 over the quantization step. Any positive numbers.
    gains: Sequence[float] = ()
    #: What h_s, or pixel, gives: scales, already times the gain; means, which are not; offsets of the reconstructions. The last two may be left out.
    outputs: Sequence[str] = ("scales", "means", "offsets")
    #: y_hat, psi, gain -> `outputs`, for models that go pixel by pixel.
    pixel: Optional[Net] = None
    #: C of y, and k, odd: with pixel.
    channels: int = 0
    kernel: int = 5


def _variable_rate(wire: Wire, model: VariableRateModel, y: Optional[Floats], level: Optional[int]) -> Array:
    """Variable rate by gain and offset (Kamisli 2024; CompressAI's -vbr models): (y - mean) * gain is rounded and coded with scales * gain.

    A reconstruction that is not 0 moves by an offset, which a network computes of scale and gain. Both ends raise ValueError for a level that does
    not exist.
    """
    count = len(model.gains)
    if (y is not None or wire.strings) and (level is None or not 0 <= level < count):
        raise ValueError(f"level must be one of 0 .. {count - 1}, not {level}")
    chosen = int(level or 0) if wire.strings else wire.code_number(count, level)
    gain = np.array([model.gains[chosen]], np.float32)
    prior = cast(Union[Prior, Sequence[Prior]], model.prior)
    if isinstance(prior, (list, tuple)):
        if len(prior) != count:
            raise ValueError(f"prior has {len(prior)} levels, gains {count}")
        prior = prior[chosen]
    z = None if y is None else network(model.h_a, "h_a", ["z"])({"y": y})["z"]
    z_hat = wire.code_factorized(cast(Prior, prior), z)
    if model.pixel is not None:
        psi = network(model.h_s, "h_s", ["psi"])({"z_hat": z_hat})["psi"]

        def rule(code: Piece, values: Optional[Array], found: Tensors) -> Array:
            steps = None if values is None else _to_steps(values, found, gain)
            return _from_steps(code(steps, found["scales"], None), found, gain)

        return code_pixels(wire, model, psi, y, {"gain": gain}, model.outputs, rule)
    found = network(model.h_s, "h_s", model.outputs)({"z_hat": z_hat, "gain": gain})
    for name, tensor in found.items():
        check_same_shape(name, tensor, found["scales"])
    check_same_shape("the latent", y, found["scales"])
    steps = None if y is None else _to_steps(y, found, gain)
    return _from_steps(wire.code_conditional(gaussian(wire, model, {"scales": found["scales"]}, steps), steps), found, gain)


variable_rate: Family[VariableRateModel] = Family(_variable_rate, 1, has_level=True)


def _to_steps(y: Array, found: Tensors, gain: Array) -> Array:
    """(y - mean) in steps of 1 / gain, in CompressAI's order of float32 operations."""
    scaled = y.astype(np.float32, copy=False) * gain
    return scaled - found["means"] * gain if "means" in found else scaled


def _from_steps(symbols: Array, found: Tensors, gain: Array) -> Array:
    """From symbols to values: away from 0 by the offset, back by the gain, plus the mean."""
    size = np.abs(symbols)
    if "offsets" in found:
        size = np.where(symbols == 0, size, size + found["offsets"])
    value = np.sign(symbols) * size * (np.float32(1) / gain)
    return value + found["means"] if "means" in found else value
