"""Families with many rates in one model: CompressAI's variable-rate zoo, where a gain scales y before it is rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence, Union

import numpy as np

from ..prior import Prior
from ..tables import TableSource
from ..tensor import Array, Floats
from .context import PixelRule, code_pixels
from .network import Net, Tensors, check_same_shape, gaussian, network
from .wire import Family, Piece, Wire, code_level

_OPTIONAL = ("means", "offsets")


@dataclass
class VariableRateModel:
    """A variable-rate model. The encoder needs h_a."""

    #: Of z: one for all levels, or a list with one for each.
    prior: Union[Prior, Sequence[Prior]]
    #: Per level the gain: 1 over the quantization step. Any positive numbers; the levels need not be those of training.
    gains: Sequence[float]
    #: z_hat, gain -> scales, already times the gain; means, which are not, if it has them; offsets, if it has them: how
    #: much the reconstruction of each element moves away from the middle of its step. A callable without means and with
    #: offsets gives a dict. With `pixel`: z_hat -> psi.
    h_s: Net
    #: y -> z.
    h_a: Optional[Net] = None
    #: For models that go pixel by pixel: y_hat, psi, gain -> as h_s otherwise; C of y; the odd size of y_hat.
    pixel: Optional[Net] = None
    channels: int = 0
    kernel: int = 5
    table: Optional[TableSource] = None
    scale_table: Optional[Any] = None


def _variable_rate(wire: Wire, model: VariableRateModel, y: Optional[Floats], level: Optional[int]) -> Array:
    """Variable rate by gain and offset (Kamisli 2024; CompressAI's -vbr models):

    (y - mean) * gain is rounded and coded with scales * gain.

    A reconstruction that is not 0 moves by an offset, which a network computes of scale and gain. Both ends raise
    ValueError for a level that does not exist.
    """
    chosen = code_level(wire, len(model.gains), y is not None, level)
    gain = np.array([model.gains[chosen]], np.float32)
    z = None if y is None else network(model.h_a, "h_a", ["z"])({"y": y})["z"]
    if not isinstance(model.prior, Prior) and len(model.prior) != len(model.gains):
        raise ValueError(f"prior has {len(model.prior)} levels, gains {len(model.gains)}")
    z_hat = wire.code_factorized(model.prior if isinstance(model.prior, Prior) else model.prior[chosen], z)
    if model.pixel is not None:
        psi = network(model.h_s, "h_s", ["psi"])({"z_hat": z_hat})["psi"]
        return code_pixels(wire, model, psi, y, ["scales"], _GainedPixels(gain))
    found = network(model.h_s, "h_s", ["scales"], _OPTIONAL)({"z_hat": z_hat, "gain": gain})
    for name, tensor in found.items():
        check_same_shape(name, tensor, found["scales"])
    check_same_shape("the latent", y, found["scales"])
    steps = None if y is None else _to_steps(y, found, gain)
    latent = wire.code_conditional(gaussian(wire, model, {"scales": found["scales"]}, steps), steps)
    return _from_steps(latent, found, gain)


variable_rate: Family[VariableRateModel] = Family(_variable_rate, 1, has_level=True)


class _GainedPixels(PixelRule):
    optional = _OPTIONAL

    def __init__(self, gain: Floats) -> None:
        self._gain = gain

    def inputs(self) -> Tensors:
        return {"gain": self._gain}

    def code(self, piece: Piece, values: Optional[Floats], found: Tensors) -> Floats:
        steps = None if values is None else _to_steps(values, found, self._gain)
        return _from_steps(piece(steps, found["scales"], None), found, self._gain)


def _to_steps(y: Floats, found: Tensors, gain: Floats) -> Floats:
    """(y - mean) in steps of 1 / gain, in CompressAI's order of float32 operations."""
    if "means" not in found:
        return y * gain
    means: Floats = found["means"] * gain
    return y * gain - means


def _from_steps(symbols: Floats, found: Tensors, gain: Floats) -> Floats:
    """From symbols to values: away from 0 by the offset, back by the gain, plus the mean."""
    sizes = np.abs(symbols)
    if "offsets" in found:
        sizes = np.where(symbols != 0, sizes + found["offsets"], sizes)
    values: Floats = np.where(symbols < 0, -sizes, sizes) * (np.float32(1) / gain)
    return values + found["means"] if "means" in found else values
