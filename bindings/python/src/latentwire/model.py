"""A model that compressai_export.py wrote: its networks and tables, under the names that its family wants.

docs/families.md has an example of every family.
"""

from __future__ import annotations

import os
import re
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, NoReturn, Optional, Sequence, Set, Tuple, Union

import numpy as np

from . import families
from .bundle import Bundle, load_bundle, read_bundle
from .codec import Codec
from .errors import CodecError
from .families.network import Net, network
from .families.wire import Encoded, Family
from .tensor import Array, Buffer, array_of

#: Makes a session of a path or, where `read` brings the files, of bytes.
SessionMaker = Callable[..., Any]

#: The class of each family's model.
_MODELS: Dict[str, type] = {
    "autoregressive": families.AutoregressiveModel,
    "channel_groups": families.ChannelGroupsModel,
    "checkerboard": families.CheckerboardModel,
    "elic": families.ElicModel,
    "factorized": families.FactorizedModel,
    "gain": families.GainModel,
    "mean_scale": families.HyperModel,
    "mixture": families.MixtureModel,
    "recursive": families.RecursiveModel,
    "scale": families.HyperModel,
    "variable_rate": families.VariableRateModel,
}
#: Networks that one side alone runs.
_ENCODER = ("g_a", "h_a", "h_a1", "h_a2")
_DECODER = ("g_s",)
_NETWORK = re.compile(r"[\w-][\w.-]*\.onnx", re.ASCII)
_MAX_SIZE = 65535


@dataclass(frozen=True)
class LoadedModel:
    """What `load_model` returns."""

    #: Its family: `mean_scale`, `elic`, ..
    name: str
    #: The family in `latentwire.families`, to be called with `model`.
    family: Family[Any]
    #: What the family calls: networks, priors, rows, numbers.
    model: Any
    #: All tables of the folder. `bundle.meta["parameters"]` has the model's numbers outside of networks.
    bundle: Bundle
    #: From the image to y; None if the folder has none or `side` is `decoder`.
    g_a: Optional[Net]
    #: From y to the image or the features; None if the folder has none or `side` is `encoder`.
    g_s: Optional[Net]
    #: The codec that `load_model` got.
    codec: Codec = field(repr=False)

    def encode(self, image: Any, **options: Any) -> Encoded:
        """Runs g_a and encodes y.

        image: what g_a takes, an array or a tensor of torch; floats become float32. Without g_a it is y. options: those
        of `Family.encode`: `guard`, `format`, `level`, .. Raises what that raises.
        """
        y = image
        if self.g_a is not None:
            array = array_of(image, "image")
            given = array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array
            y = network(self.g_a, "g_a", ["y"])({"x": given})["y"]
        return self.family.encode(self.codec, self.model, y, **options)

    def decode(self, packet: Union[Buffer, Sequence[Buffer]], **options: Any) -> Array:
        """Decodes y and runs g_s.

        options: those of `Family.decode`: `shape`, `level`, .. Returns the output of g_s as a float32 array; without
        g_s the latent, which is the encoder's `latent`. Raises what `Family.decode` raises.
        """
        latent = self.family.decode(self.codec, self.model, packet, **options)
        if self.g_s is None:
            return latent
        return network(self.g_s, "g_s", ["x_hat"])({"y_hat": latent})["x_hat"]


def load_model(
    folder: Union[str, "os.PathLike[str]"],
    *,
    codec: Codec,
    runtime: Any = None,
    networks: Union[Mapping[str, Net], Iterable[Tuple[str, Net]], None] = None,
    session_options: Optional[Mapping[str, Any]] = None,
    side: Optional[str] = None,
    part: Optional[str] = None,
    model: Optional[Mapping[str, Any]] = None,
    read: Optional[Callable[[str], Buffer]] = None,
) -> LoadedModel:
    """Opens a folder that `compressai_export.py` wrote:

    makes the sessions, loads the bundle, and puts both under the names that the family wants.

    runtime: the module onnxruntime, its InferenceSession, or a callable that makes a session of a path. None is
    imported here. networks: callables or modules of torch that take the place of the folder's files, by the names of
    these without `.onnx` (of a folder with several models: without the model's name, too). What
    `recipes_of(..)[0].networks()` of compressai_families.py gives will do. With all of them no runtime is needed.
    session_options: keyword arguments for each session, such as `{"providers": ["CUDAExecutionProvider"]}`. side:
    `encoder` or `decoder` leaves out the networks that only the other side runs. part: which model of a folder with
    several: `img`, `motion`, `res` of ssf2020. model: fields of the family's model that the folder does not have, such
    as `gains`, or that replace its own. read: gives the bytes of a file of the folder, by its name. Default: files of
    `folder`.

    Raises MODEL where the bundle describes no model, or a network cannot be loaded; what `load_bundle` raises;
    ValueError for a `part` or a network that is not there; TypeError for a wrong argument.
    """
    if not isinstance(codec, Codec):
        raise TypeError("codec must be what latentwire.create() gives")
    if side not in (None, "encoder", "decoder"):
        raise ValueError(f'side must be "encoder" or "decoder", not {side!r}')
    base = Path(folder)
    bundle = load_bundle(base / "model.lwb") if read is None else read_bundle(read("model.lwb"))
    part, described = _described_in(bundle, part)
    name = _snake(described["family"])
    if name not in _MODELS:
        _fail(f"the family {described['family']} is none of {', '.join(_MODELS)}")
    kind = _MODELS[name]
    nets = _Networks(base, part, runtime, dict(networks or {}), dict(session_options or {}), side, read)

    found = {_snake(key): nets.made(key, value) for key, value in described["model"].items()}
    if kind is families.ElicModel:
        found["groups"] = [_filled(families.ElicGroup, group) for group in _listed(found.get("groups"))]
    prior = described["prior"]
    found["prior"] = (
        bundle.factorized(codec, prior) if isinstance(prior, str) else [bundle.factorized(codec, one) for one in prior]
    )
    filled = _filled(kind, found)
    given = dict(model or {})
    own = [one.name for one in fields(kind)]
    rows = described.get("rows")
    if rows is not None and "table" in own and given.get("table") is None:
        given = {**given, "table": bundle.table(codec, rows), "scale_table": bundle.entry(rows).scale_table}
        # Of a bundle that `latentwire tables fit --context` has added one to.
        if kind is families.HyperModel:
            given.setdefault("context", bundle.entry(rows).context)
    for key, value in given.items():
        if key not in own:
            raise TypeError(f"model has the field {key!r}; {kind.__name__} has {', '.join(own)}")
        setattr(filled, key, value)
    g_a, g_s = (nets.made(key, described.get(key)) for key in ("g_a", "g_s"))
    nets.check_all_known()
    return LoadedModel(name, getattr(families, name), filled, bundle, g_a, g_s, codec)


class _Networks:
    """The networks of a folder: sessions of its files, or what the caller gave in their place."""

    def __init__(
        self,
        base: Path,
        part: str,
        runtime: Any,
        given: Dict[str, Net],
        options: Dict[str, Any],
        side: Optional[str],
        read: Optional[Callable[[str], Buffer]],
    ) -> None:
        maker: Optional[SessionMaker] = getattr(runtime, "InferenceSession", runtime)
        if maker is None and not given:
            raise TypeError("runtime must be given, or networks")
        if maker is not None and not callable(maker):
            raise TypeError("runtime must be an ONNX runtime, its InferenceSession, or make a session of a path")
        self._base, self._part, self._maker, self._given = base, part, maker, given
        self._options, self._read = options, read
        self._skipped = {"encoder": _DECODER, "decoder": _ENCODER}.get(side or "", ())
        self._names: Set[str] = set()
        self._sessions: Dict[str, Net] = {}

    def made(self, key: str, value: Any) -> Any:
        """A value of the description, with networks in place of the names of their files."""
        if isinstance(value, str) and value.endswith(".onnx"):
            return self._network(key, value)
        if isinstance(value, list):
            return [self.made(key, item) for item in value]
        if isinstance(value, dict):
            return {_snake(name): self.made(name, item) for name, item in value.items()}
        return value

    def _network(self, key: str, file: str) -> Optional[Net]:
        if not _NETWORK.fullmatch(file):
            _fail(f"{file} is no name of a network in the folder")
        stem = file[: -len(".onnx")]
        name = stem[len(self._part) + 1 :] if stem.startswith(f"{self._part}.") else stem
        self._names.add(name)
        if key in self._skipped:
            return None
        if name in self._given:
            return self._given[name]
        if self._maker is None:
            raise TypeError(f"networks has no {name!r}: add it, or give runtime, which opens {file}")
        if file not in self._sessions:
            at = str(self._base / file) if self._read is None else file
            try:
                source = at if self._read is None else self._read(file)
                self._sessions[file] = self._maker(source, **self._options)
            except Exception as error:  # a runtime raises errors of its own
                raise CodecError("MODEL", f"{at}: {error}") from error
        return self._sessions[file]

    def check_all_known(self) -> None:
        """Raises ValueError where the caller gave a network that the model does not call."""
        unknown = [name for name in self._given if name not in self._names]
        if unknown:
            raise ValueError(f"networks has {unknown[0]!r}; this model calls {', '.join(sorted(self._names))}")


def _described_in(bundle: Bundle, part: Optional[str]) -> Tuple[str, Dict[str, Any]]:
    """What the bundle says of one of its models, and the name of that."""
    models = bundle.meta.get("models")
    if not isinstance(models, dict) or not models:
        _fail(
            "the bundle describes no model: compressai_export.py writes one that does, for models of latentwire's "
            "families"
        )
    name = part if part is not None or len(models) > 1 else next(iter(models))
    if name is None or name not in models:
        raise ValueError(f"part must be one of {', '.join(models)}, not {part!r}")
    found = models[name]
    fit = isinstance(found, dict) and isinstance(found.get("family"), str) and isinstance(found.get("model"), dict)
    prior = found.get("prior") if fit else None
    if not (isinstance(prior, str) or (isinstance(prior, list) and all(isinstance(one, str) for one in prior))):
        _fail(f"the bundle's description of {name} has no family, no model or no prior")
    for key in ("g_a", "g_s", "rows"):
        if not isinstance(found.get(key, ""), str):
            _fail(f"the bundle's description of {name} has a {key} that is no name")
    return name, found


def _filled(kind: type, values: Any) -> Any:
    """A model of this class. Fields that the description does not have are None, or the default of the class."""
    if not isinstance(values, dict):
        _fail(f"{kind.__name__} has to be described by an object")
    known = {one.name: one for one in fields(kind)}
    for name, value in values.items():
        if name not in known:
            _fail(f"{name} is no field of {kind.__name__}, which has {', '.join(known)}")
        if not _CHECKS.get(name, lambda _: True)(value):
            _fail(f"{name} of {kind.__name__} is not what it has to be")
    missing = {
        name: None
        for name, one in known.items()
        if name not in values and one.default is MISSING and one.default_factory is MISSING
    }
    return kind(**missing, **values)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_SIZE


def _is_list(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(is_one(one) for one in value)


#: What numbers of a description have to be. Networks are looked at when they run.
_CHECKS: Dict[str, Callable[[Any], bool]] = {
    "channels": _is_size,
    "kernel": _is_size,
    "components": _is_size,
    "groups": _is_list(lambda one: _is_size(one) or isinstance(one, families.ElicGroup)),
    "nets": _is_list(lambda one: one is not None),
    "refine": _is_list(lambda one: one is not None),
    "anchors": lambda value: value in ("even", "odd"),
    "one_string": lambda value: isinstance(value, bool),
    "support": _is_list(lambda one: isinstance(one, int)),
}


def _listed(value: Any) -> List[Any]:
    return value if isinstance(value, list) else _fail("groups is no list")


def _snake(name: str) -> str:
    """A name of JavaScript in Python's spelling."""
    return re.sub("([a-z])([A-Z])", lambda found: f"{found[1]}_{found[2].lower()}", name)


def _fail(message: str) -> NoReturn:
    raise CodecError("MODEL", message)
