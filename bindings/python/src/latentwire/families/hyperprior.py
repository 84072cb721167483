"""Families in which y is one part: factorized, and scale, mean-scale, recursive, mixture and gain hyperpriors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence

import numpy as np

from ..prior import Prior
from ..tables import TableSource
from ..tensor import Array, Floats, mismatch, shape_text
from .network import BOTH, HyperModel, Net, gaussian, hyper, network
from .wire import Family, Wire, code_level


@dataclass
class FactorizedModel:
    """One prior, no network."""

    #: From `codec.factorized`, `codec.context` or a bundle.
    prior: Prior


def _factorized(wire: Wire, model: FactorizedModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Factorized prior (Balle 2018, bmshj2018-factorized; FrankenSplit):

    y under a row per channel. `codec.encode` does it without parts.
    """
    return wire.code_factorized(model.prior, y)


factorized: Family[FactorizedModel] = Family(_factorized, 0)


def _scale(wire: Wire, model: HyperModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Scale hyperprior (Balle 2018, bmshj2018-hyperprior):

    z factorized, then y with the `scales` of h_s and no means.
    """
    return wire.code_conditional(
        gaussian(wire, model, hyper(wire, model, y, ["scales"]), y, getattr(model, "context", None)), y
    )


scale: Family[HyperModel] = Family(_scale, 1)


def _mean_scale(wire: Wire, model: HyperModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Mean-scale hyperprior (Minnen 2018, mbt2018-mean): z factorized, then y with `scales` and `means` of h_s."""
    return wire.code_conditional(
        gaussian(wire, model, hyper(wire, model, y, BOTH), y, getattr(model, "context", None)), y
    )


mean_scale: Family[HyperModel] = Family(_mean_scale, 1)


@dataclass
class RecursiveModel:
    """A recursive hyperprior. The encoder needs h_a1 and h_a2."""

    #: Of z2.
    prior: Prior
    #: z2_hat -> scales, means of z1.
    h_s2: Net
    #: z1_hat -> scales, means of y.
    h_s1: Net
    #: y -> z1.
    h_a1: Optional[Net] = None
    #: z1 -> z2.
    h_a2: Optional[Net] = None
    table: Optional[TableSource] = None
    scale_table: Optional[Any] = None


def _recursive(wire: Wire, model: RecursiveModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Recursive mean-scale hyperprior (FrankenSplit):

    z2 factorized, then z1 with `scales` and `means` of h_s2, then y with those of h_s1.
    """
    z1 = None if y is None else network(model.h_a1, "h_a1", ["z1"])({"y": y})["z1"]
    z2 = None if z1 is None else network(model.h_a2, "h_a2", ["z2"])({"z1": z1})["z2"]
    z2_hat = wire.code_factorized(model.prior, z2)
    of_z1 = network(model.h_s2, "h_s2", BOTH)({"z2_hat": z2_hat})
    z1_hat = wire.code_conditional(gaussian(wire, model, of_z1, z1), z1)
    of_y = network(model.h_s1, "h_s1", BOTH)({"z1_hat": z1_hat})
    return wire.code_conditional(gaussian(wire, model, of_y, y), y)


recursive: Family[RecursiveModel] = Family(_recursive, 2)


# ---- mixtures


@dataclass
class MixtureModel(HyperModel):
    """A mixture hyperprior; components, kind and support as of `codec.mixture`."""

    components: int = 1
    kind: str = "gaussian"
    support: Sequence[int] = (-128, 127)


def _mixture(wire: Wire, model: MixtureModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Mixtures (Cheng 2020):

    z factorized, then y, rounded as it is. Each element has a mixture of its own, whose row is made at run time.

    h_s gives `weights` (not with one component), `scales` and `means`, each (N, K * C, H, W) with component k of
    channel c at k * C + c.
    """
    k = model.components
    found = hyper(wire, model, y, [*(["weights"] if k > 1 else []), *BOTH])
    scales = found["scales"]
    for name, given in found.items():
        if given.shape != scales.shape:
            raise mismatch(f"the scales are {shape_text(scales.shape)}, the {name} {shape_text(given.shape)}")
    n, every, *size = scales.shape
    shape = (n, every // k, *size)
    if y is not None and y.shape != shape:
        raise mismatch(
            f"the scales are for {shape_text(shape)}, the latent {shape_text(y.shape)}. Where height or width differ, "
            "pad the image to a multiple of the networks' strides"
        )
    # In the codec's order: component 0 of all images, then component 1.
    own = {name: np.moveaxis(given.reshape(n, k, -1), 1, 0) for name, given in found.items()}
    return wire.code_conditional(
        wire.codec.mixture(**own, components=k, kind=model.kind, support=model.support, shape=shape), y
    )


mixture: Family[MixtureModel] = Family(_mixture, 1)


# ---- gain units


@dataclass
class GainModel(HyperModel):
    """A hyperprior with gain units: each level has a float32 factor per channel."""

    #: Per level: factors of the channels of y, before the quantizer, and those that undo them.
    gains: Sequence[Any] = ()
    inverse_gains: Sequence[Any] = ()
    #: The same of z. With them h_a sees y itself, as in CompressAI's gain hyperprior. Without them h_a sees y times the
    #: gains, and z is coded as it is.
    z_gains: Optional[Sequence[Any]] = None
    inverse_z_gains: Optional[Sequence[Any]] = None


def _gain(wire: Wire, model: GainModel, y: Optional[Floats], level: Optional[int]) -> Array:
    """Mean-scale hyperprior with gain units (Cui 2021), one model for many rates:

    y is multiplied by the gains of `level` and coded.

    The result is multiplied by the inverse gains. In a packet the level is one more symbol in front. Both ends raise
    ValueError for a level that does not exist, and where gains and channels differ in number.
    """
    chosen = code_level(wire, len(model.gains), y is not None, level)
    scaled = None if y is None else _times(y, model.gains[chosen], "gains")
    z: Optional[Array] = None
    if y is not None and scaled is not None:
        z = network(model.h_a, "h_a", ["z"])({"y": scaled if model.z_gains is None else y})["z"]
        z = z if model.z_gains is None else _times(z, model.z_gains[chosen], "z_gains")
    coded = wire.code_factorized(model.prior, z)
    if model.inverse_z_gains is not None:
        coded = _times(coded, model.inverse_z_gains[chosen], "inverse_z_gains")
    found = network(model.h_s, "h_s", BOTH)({"z_hat": coded})
    latent = wire.code_conditional(gaussian(wire, model, found, scaled), scaled)
    return _times(latent, model.inverse_gains[chosen], "inverse_gains")


gain: Family[GainModel] = Family(_gain, 1, has_level=True)


def _times(tensor: Array, factors: Any, name: str) -> Floats:
    """Each channel times its factor: one float32 product per element."""
    values = np.asarray(factors, np.float32).reshape(-1)
    if values.size != tensor.shape[1]:
        raise ValueError(
            f"{name} has {values.size} factors, the latent {shape_text(tensor.shape)} {tensor.shape[1]} channels"
        )
    product: Floats = tensor.astype(np.float32, copy=False) * values.reshape(1, -1, *[1] * (tensor.ndim - 2))
    return product
