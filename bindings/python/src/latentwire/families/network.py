"""Runs the user's networks, by the names of their inputs and outputs. What all hyperpriors do with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

import numpy as np

from ..errors import CodecError
from ..prior import Prior
from ..tables import TableSource
from ..tensor import Array, array_of, mismatch, shape_text
from .wire import Wire

#: A network: a module of torch, an InferenceSession of onnxruntime, or any callable of numpy arrays.
#:
#: A module or callable gets its inputs by position, in the order of docs/python.md. It returns its outputs in that
#: order: a tuple, a dict by name, or one tensor. If two outputs are wanted and there is one tensor, its channels are
#: split in halves, scales first, as in CompressAI. A session's inputs and outputs go by name. So do those of a module
#: or callable with the attributes `inputs` and `outputs`, tuples of names, as the networks of compressai_families.py
#: have them. A module runs on its own device, without gradients.
Net = Any

Tensors = Dict[str, Array]

#: The outputs of most networks.
BOTH = ("scales", "means")


@dataclass
class HyperModel:
    """A model with a hyperprior. An object of any class with these attributes will do."""

    #: Of z: `codec.factorized`, or of a bundle.
    prior: Prior
    #: z_hat -> psi, or the parameters of y's prior.
    h_s: Net
    #: y -> z. The encoder needs it. CompressAI's scale hyperprior takes abs(y).
    h_a: Optional[Net] = None
    #: Rows and ascending scales, as of `codec.gaussian`. Default: CompressAI's 64.
    table: Optional[TableSource] = None
    scale_table: Optional[Any] = None
    #: Parameters of a context prior over the scales of y, for the families scale and mean_scale (docs/context.md).
    #: Strings do not use them.
    context: Optional[bytes] = None


def _fail(label: str, message: str) -> NoReturn:
    raise CodecError("MODEL", f"{label}: {message}")


def on_torch(function: Callable[..., Any], device: Any = None) -> Callable[..., Any]:
    """A network of a function of torch tensors, such as `lambda psi, y_hat:

    entropy_parameters(torch.cat((psi, y_hat), 1))`.

    device: where its inputs are put. It runs without gradients.
    """
    import torch

    def run(*arrays: Array) -> Any:
        with torch.no_grad():
            return function(*(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays))

    return run


def network(net: Net, label: str, wanted: Sequence[str], optional: Sequence[str] = ()) -> Callable[[Tensors], Tensors]:
    """A function that computes the outputs `wanted`, and those of `optional` that the network has, as float32 arrays.

    label: what messages call the network. Raises MODEL if `net` is no network or lacks an output.
    """
    if hasattr(net, "get_inputs") and hasattr(net, "run"):
        given = [output.name for output in net.get_outputs()]
        return _of_session(net, label, [*wanted, *(name for name in optional if name in given)])
    if not callable(net):
        _fail(label, "it is neither a module, a session nor a callable")
    call = net
    if hasattr(net, "forward") and hasattr(net, "parameters"):
        first = next(iter(net.parameters()), None)
        call = on_torch(net, None if first is None else first.device)
    own, named = _names(net, "inputs"), _names(net, "outputs")

    def run(inputs: Tensors) -> Tensors:
        by_name = own is not None and len(own) + len(inputs) > 2
        found = call(*(_input(inputs, name, label) for name in own or ()) if by_name else inputs.values())
        if named is not None and isinstance(found, (tuple, list)) and len(named) > 1:
            if len(found) != len(named):
                _fail(label, f"it gave {len(found)} outputs, its names are {_quoted(named)}")
            found = dict(zip(named, found))
        return _named(found, label, wanted, optional)

    return run


def _names(net: Net, attribute: str) -> Optional[Tuple[str, ...]]:
    """The names of inputs or outputs that a network states."""
    found = getattr(net, attribute, None)
    if not isinstance(found, (tuple, list)) or not all(isinstance(name, str) for name in found):
        return None
    return tuple(found)


def _input(inputs: Tensors, name: str, label: str) -> Array:
    """The input of a name. Raises MODEL."""
    if name not in inputs:
        _fail(label, f'its input "{name}" is none of {_quoted(list(inputs))}')
    return inputs[name]


def _of_session(session: Any, label: str, wanted: Sequence[str]) -> Callable[[Tensors], Tensors]:
    outputs = [output.name for output in session.get_outputs()]
    alone = len(outputs) == 1 and len(wanted) <= 2
    missing = [name for name in wanted if name not in outputs]
    if missing and not alone:
        _fail(label, f'it has no output "{missing[0]}", it has {_quoted(outputs)}')
    ports = session.get_inputs()

    def run(inputs: Tensors) -> Tensors:
        feeds: Tensors = {}
        for port in ports:
            only = len(ports) == 1 and len(inputs) == 1
            array = next(iter(inputs.values())) if only else _input(inputs, port.name, label)
            half = port.type == "tensor(float16)"
            feeds[port.name] = np.ascontiguousarray(array, dtype=np.float16 if half else None)
        found = session.run(outputs if alone else list(wanted), feeds)
        return _named(found[0] if alone else tuple(found), label, wanted)

    return run


def _named(found: Any, label: str, wanted: Sequence[str], optional: Sequence[str] = ()) -> Tensors:
    """The outputs by name."""
    listed: List[Any]
    if isinstance(found, dict):
        wanted = [*wanted, *(name for name in optional if name in found)]
    elif isinstance(found, (tuple, list)):
        wanted = [*wanted, *optional][: max(len(found), len(wanted))]
    if isinstance(found, dict):
        missing = [name for name in wanted if name not in found]
        if missing:
            _fail(label, f'it gave no "{missing[0]}"')
        listed = [found[name] for name in wanted]
    elif isinstance(found, (tuple, list)):
        if len(found) != len(wanted):
            _fail(label, f"it gave {len(found)} outputs, {_quoted(wanted)} are wanted")
        listed = list(found)
    elif len(wanted) == 1:
        listed = [found]
    elif len(wanted) == 2:
        joined = array_of(found, label)
        if joined.ndim < 2 or joined.shape[1] % 2:
            _fail(label, f"its output {shape_text(joined.shape)} cannot be split in halves")
        c = joined.shape[1] // 2
        listed = [joined[:, :c], joined[:, c:]]
    else:
        _fail(label, f"it gave one output, {_quoted(wanted)} are wanted")
    outputs: Tensors = {}
    for name, value in zip(wanted, listed):
        array = array_of(value, f"{label}: {name}")
        if array.dtype.kind != "f":
            _fail(label, f'"{name}" is {array.dtype}, float32 is wanted')
        outputs[name] = array.astype(np.float32, copy=False)
    return outputs


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# ---- hyperpriors


def hyper(wire: Wire, model: HyperModel, y: Optional[Array], wanted: Sequence[str]) -> Tensors:
    """Codes z, and returns the outputs of h_s for it."""
    z = None if y is None else network(model.h_a, "h_a", ["z"])({"y": y})["z"]
    return network(model.h_s, "h_s", wanted)({"z_hat": wire.code_factorized(model.prior, z)})


def gaussian(wire: Wire, model: Any, found: Tensors, latent: Optional[Array], context: Optional[bytes] = None) -> Prior:
    """A prior from the scales and means of a network, perhaps under a context.

    `latent` is known at the encoder's end only.
    """
    scales, means = found["scales"], found.get("means")
    check_same_shape("the latent", latent, scales)
    check_same_shape("the means", means, scales)
    table, scale_table = rows_of(model)
    over = wire.codec.gaussian(scales, means=means, table=table, scale_table=scale_table)
    return over if context is None else wire.codec.context(context, over=over)


def rows_of(model: Any) -> Tuple[Optional[TableSource], Optional[Any]]:
    """Table and scales of a model. An object of the user's may leave them out."""
    return getattr(model, "table", None), getattr(model, "scale_table", None)


def check_same_shape(what: str, tensor: Optional[Array], scales: Array) -> None:
    """Checks shapes, because the codec only counts elements: it would not find a network that exchanges H and W."""
    if tensor is not None and tensor.shape != scales.shape:
        raise mismatch(
            f"the scales are for {shape_text(scales.shape)}, {what} {shape_text(tensor.shape)}. "
            "Where height or width differ, pad the image to a multiple of the networks' strides"
        )
