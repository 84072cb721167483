"""Families that use decoded parts of y for the next part: checkerboard, channel groups, ELIC, autoregressive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence

import numpy as np

from ..tensor import Array, Floats, checkerboard_half, mismatch, shape_text
from .network import BOTH, HyperModel, Net, Tensors, check_same_shape, gaussian, hyper, network, rows_of
from .wire import Family, Piece, Wire


@dataclass
class CheckerboardModel(HyperModel):
    """A checkerboard model; h_s gives psi."""

    #: psi -> scales, means. Those at the anchors are used.
    anchor: Optional[Net] = None
    #: psi, y_hat (0 except at the anchors) -> scales, means. The others are used.
    nonanchor: Optional[Net] = None
    #: The positions that are coded first. `even`: row + column is even, as CompressAI's `anchor_parity` says; or `odd`.
    anchors: str = "even"


def _checkerboard(wire: Wire, model: CheckerboardModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Checkerboard context (He 2021):

    z factorized, then the anchors of y, then the rest under a prior from a network that sees the anchors.

    H and W of y are even.
    """
    psi = hyper(wire, model, y, ["psi"])["psi"]
    return _code_halves(wire, model, y, model.anchor, model.nonanchor, model.anchors, {"psi": psi}, "y_hat", "")


checkerboard: Family[CheckerboardModel] = Family(_checkerboard, 1)


@dataclass
class ChannelGroupsModel(HyperModel):
    """A channel-group model; h_s gives psi."""

    #: Channels of each group. Their sum is C of y.
    groups: Sequence[int] = ()
    #: Per group: psi and, except for the first, y_hat (the channels before) -> scales, means of the group.
    nets: Sequence[Net] = ()
    #: Latent residual prediction (Minnen 2020; TCM, CCA), per group: psi, y_hat (except for the first), y_group (the
    #: group as decoded) and, if the group's net has a third output, support -> refined, which takes the place of
    #: y_group.
    refine: Optional[Sequence[Net]] = None
    #: Whether CompressAI's strings are one for all groups, as in TCM and CCA. Packets are the same.
    one_string: bool = False


def _channel_groups(wire: Wire, model: ChannelGroupsModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Channel groups (Minnen 2020):

    z factorized, then y group by group, each under a prior made from the groups before.
    """

    refine = model.refine
    piece: Optional[Piece] = None

    def code(k: int, inputs: Tensors, group: Optional[Array]) -> Array:
        nonlocal piece
        found = network(_at(model.nets, k), f"nets[{k}]", BOTH, ["support"] if refine else [])(inputs)
        # Begun here, because z comes before it.
        if model.one_string and wire.strings and piece is None:
            piece = wire.sequence(*rows_of(model))
        if piece is None:
            coded = wire.code_conditional(gaussian(wire, model, found, group), group)
        else:
            check_same_shape("the means", found["means"], found["scales"])
            check_same_shape("the latent", group, found["scales"])
            coded = piece(group, found["scales"], found["means"])
        if not refine:
            return coded
        support = {"support": found["support"]} if "support" in found else {}
        run = network(_at(refine, k), f"refine[{k}]", ["refined"])
        refined = run({**inputs, "y_group": coded, **support})["refined"]
        check_same_shape("what refine gave", refined, coded)
        return refined

    return _code_groups(wire, model, y, model.groups, code)


channel_groups: Family[ChannelGroupsModel] = Family(_channel_groups, 1)


def _at(nets: Sequence[Net], k: int) -> Optional[Net]:
    """The network of group k; None where the model has fewer."""
    return nets[k] if k < len(nets) else None


@dataclass
class ElicGroup:
    """The two networks of a group of an ELIC model."""

    channels: int
    #: psi and, except for the first group, y_hat (the channels before) -> scales, means of the group.
    anchor: Net
    #: As `anchor`, and y_anchor: the group's own channels, 0 except at the anchors.
    nonanchor: Net


@dataclass
class ElicModel(HyperModel):
    """An ELIC model; h_s gives psi."""

    groups: Sequence[ElicGroup] = ()
    #: As of `CheckerboardModel`.
    anchors: str = "even"


def _elic(wire: Wire, model: ElicModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """ELIC (He 2022): z factorized, then uneven channel groups, each in two checkerboard halves.

    C of y is the sum of the groups' channels, H and W are even.
    """

    def code(k: int, inputs: Tensors, part: Optional[Array]) -> Array:
        group = model.groups[k]
        label = f"groups[{k}]."
        return _code_halves(wire, model, part, group.anchor, group.nonanchor, model.anchors, inputs, "y_anchor", label)

    return _code_groups(wire, model, y, [group.channels for group in model.groups], code)


elic: Family[ElicModel] = Family(_elic, 1)


def _code_groups(
    wire: Wire,
    model: HyperModel,
    y: Optional[Floats],
    counts: Sequence[int],
    code: Callable[[int, Tensors, Optional[Array]], Array],
) -> Array:
    """Codes y group by group.

    `code` gets the inputs of a group's networks and, at the encoder's end, its channels of y.
    """
    total = sum(counts)
    if y is not None and y.shape[1] != total:
        raise mismatch(f"the groups have {total} channels together, y {shape_text(y.shape)} has {y.shape[1]}")
    psi = hyper(wire, model, y, ["psi"])["psi"]
    y_hat: Optional[Array] = None
    seen = 0
    for k, count in enumerate(counts):
        inputs = {"psi": psi} if y_hat is None else {"psi": psi, "y_hat": y_hat[:, :seen]}
        group = code(k, inputs, None if y is None else y[:, seen : seen + count])
        if y_hat is None:
            y_hat = np.zeros((group.shape[0], total, *group.shape[2:]), np.float32)
        place = y_hat[:, seen : seen + count]
        if group.shape != place.shape:
            raise mismatch(
                f"the scales of group {k} are {shape_text(group.shape)}, {shape_text(place.shape)} is wanted"
            )
        place[...] = group
        seen += count
    if y_hat is None:
        raise ValueError("groups must not be empty")
    return y_hat


def _code_halves(
    wire: Wire,
    model: HyperModel,
    y: Optional[Array],
    anchor: Optional[Net],
    nonanchor: Optional[Net],
    anchors: str,
    inputs: Tensors,
    known: str,
    label: str,
) -> Array:
    """Codes the anchors, then the rest. `nonanchor` gets the anchors as its input `known`."""
    if anchors not in ("even", "odd"):
        raise TypeError(f'anchors must be "even" or "odd", not {anchors!r}')
    first = network(anchor, f"{label}anchor", BOTH)(inputs)
    y_hat = np.zeros(first["scales"].shape, np.float32)

    def code(parity: int, found: Tensors) -> None:
        half = None if y is None else checkerboard_half(y, parity)
        own = {name: checkerboard_half(tensor, parity) for name, tensor in found.items()}
        checkerboard_half(y_hat, parity)[...] = wire.code_conditional(gaussian(wire, model, own, half), half)

    parity = 1 if anchors == "odd" else 0
    code(parity, first)
    code(1 - parity, network(nonanchor, f"{label}nonanchor", BOTH)({**inputs, known: y_hat}))
    return y_hat


# ---- pixel by pixel


@dataclass
class AutoregressiveModel(HyperModel):
    """An autoregressive model; h_s gives psi."""

    #: y_hat (1, C, k, k) and psi (1, P, 1, 1) -> scales, means (1, C, 1, 1). y_hat is the surrounding of the pixel: the
    #: positions before it in raster order, and 0 elsewhere.
    pixel: Optional[Net] = None
    #: C of y.
    channels: int = 0
    #: k, odd.
    kernel: int = 5


class PixelRule:
    """How the pixels of a model are coded: with its scales and means. A variable rate has another rule."""

    #: Outputs of the network that it may have.
    optional: Sequence[str] = ()

    def inputs(self) -> Tensors:
        """Inputs of the pixel's network, besides y_hat and psi."""
        return {}

    def code(self, piece: Piece, values: Optional[Floats], found: Tensors) -> Floats:
        """Codes the C values of a pixel with the outputs of the network, and gives what the decoder sees."""
        return piece(values, found["scales"], found["means"])


def _autoregressive(wire: Wire, model: AutoregressiveModel, y: Optional[Floats], _: Optional[int]) -> Array:
    """Joint autoregressive and hierarchical prior (Minnen 2018, mbt2018; Cheng 2020's anchor):

    z factorized, then y pixel by pixel in raster order.

    There is one run of `pixel` before each, so each end makes N * H * W runs, one after the other. Both ends raise
    ValueError for an even kernel.
    """
    return code_pixels(wire, model, hyper(wire, model, y, ["psi"])["psi"], y, BOTH, PixelRule())


autoregressive: Family[AutoregressiveModel] = Family(_autoregressive, 1)


def code_pixels(
    wire: Wire, model: Any, psi: Array, y: Optional[Floats], wanted: Sequence[str], rule: PixelRule
) -> Array:
    """Codes y pixel by pixel, after z."""
    c, k = model.channels, model.kernel
    if k % 2 != 1:
        raise ValueError(f"kernel must be odd, not {k}")
    n, _, h, w = psi.shape
    if y is not None and y.shape != (n, c, h, w):
        raise mismatch(f"y is {shape_text(y.shape)}, psi and the channels ask for {shape_text((n, c, h, w))}")
    # With a border of zeros, so that every surrounding is inside. What is not decoded yet is 0.
    reach = k // 2
    known = np.zeros((n, c, h + 2 * reach, w + 2 * reach), np.float32)
    run = network(model.pixel, "pixel", wanted, rule.optional)
    piece = wire.sequence(*rows_of(model))
    for b, i, j in np.ndindex(n, h, w):
        crop, point = known[b : b + 1, :, i : i + k, j : j + k], psi[b : b + 1, :, i : i + 1, j : j + 1]
        found = run({"y_hat": crop, "psi": point, **rule.inputs()})
        for name, tensor in found.items():
            if tensor.size != c:
                raise mismatch(f"pixel gave {name} {shape_text(tensor.shape)}, [1,{c},1,1] is wanted")
        flat = {name: np.ascontiguousarray(tensor).reshape(-1) for name, tensor in found.items()}
        known[b, :, i + reach, j + reach] = rule.code(piece, None if y is None else y[b, :, i, j], flat)
    return known[:, :, reach : reach + h, reach : reach + w].copy()
